"""``slipway doctor``: what a stack needs, checked one by one, each with what to do about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from contracts.errors import SlipwayError
from scripts.console import JsonOption, StackOption, print_json, project_root, stdout

PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    seen: str


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(stack: StackOption = None, as_json: JsonOption = False) -> int:
    """Check what a stack needs, and say what to do about it.

    Python, Pulumi, the stack's file and configuration, packages, registry, cloud.
    """
    from scripts.release.stack import stack_name

    root, name = project_root(), stack_name(stack)
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("python", _python),
        ("pulumi", _pulumi),
        ("stack file", lambda: _settings(root, name)),
        ("configuration", lambda: _configuration(root, name)),
        ("registry", lambda: _registry(root)),
        ("cloud", lambda: _cloud(root, name)),
    )
    findings = [_look(what, check) for what, check in checks]
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        for f in findings:
            stdout.print("[green]✓[/green]" if f.ok else "[red]✗[/red]", end="  ")
            seen = f.seen.replace("\n", "\n   ")
            stdout.print(f"{f.what:<13}  {seen}", markup=False, soft_wrap=True)
    return 0 if all(f.ok for f in findings) else 1


def _look(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except SlipwayError as error:
        return Finding(what, False, str(error))


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != PYTHON:
        raise SlipwayError(f"{version}; Slipway is made for 3.11: run `make setup` with it")
    return f"{version} ({sys.prefix})"


def _pulumi() -> str:
    from scripts import setup_pulumi
    from scripts.infrastructure.pulumi_cli import find_pulumi

    found = find_pulumi()
    version = ".".join(map(str, setup_pulumi.version_of(found) or ()))
    return f"v{version} ({found})"


def _settings(root: Path, name: str) -> str:
    from scripts.release.stack import settings_file

    return str(settings_file(root, name))


def _configuration(root: Path, name: str) -> str:
    """The whole configuration as `up` would read it, packages and their hashes included."""
    from infra import config
    from scripts.infrastructure.pulumi_cli import LOCAL_STACK
    from scripts.release.stack import settings_file, stack_values

    raw = stack_values(settings_file(root, name))
    values = {
        key.removeprefix("slipway:"): value
        for key, value in raw.items()
        if key.startswith("slipway:")
    }
    image = ""
    if name == LOCAL_STACK:
        from localcloud.image import local_image

        image = local_image()
    read = config.parse(values, name, root, image)
    return ", ".join(
        f"{m.name} version {m.package.manifest.version} → {m.endpoint_name}" for m in read.models
    )


def _registry(root: Path) -> str:
    from model_code import registry

    uri = registry.tracking_uri(root)
    place = "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else "the project's own"
    names = registry.names(uri)
    return f"{place}: {', '.join(names) or 'no models yet (`slipway train`)'}"


def _cloud(root: Path, name: str) -> str:
    from scripts.release.stack import open_stack

    place = open_stack(name, root)
    return f"{place.cloud.caller()} in {place.region}"
