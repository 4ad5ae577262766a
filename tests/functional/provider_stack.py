"""A Pulumi stack of a test's own: real engine, inline program, the local cloud's provider."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi.automation as auto
import pytest

VERSION = "3.259.0"
CACHED = Path.home() / ".cache" / "slipway" / f"pulumi-v{VERSION}"
PROJECT = "provider"
STACK = "test"

Program = Callable[[], None]


@cache  # it runs the CLI to ask for its version
def cli() -> auto.PulumiCommand:
    """The CLI on PATH, else the one that set-up built; the test is skipped without any."""
    if shutil.which("pulumi"):
        return auto.PulumiCommand()
    if (CACHED / "bin" / "pulumi").exists():
        return auto.PulumiCommand(root=str(CACHED))
    pytest.skip("no pulumi CLI: run `make setup`")


@contextmanager
def provider_of(endpoint_url: str) -> Iterator[dict[str, str]]:
    """A provider process of its own for a cloud; gives the variables that attach Pulumi to it."""
    command = [sys.executable, "-m", "localcloud.provider", "--endpoint-url", endpoint_url]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield {"PULUMI_DEBUG_PROVIDERS": f"aws:{child.stdout.readline().strip()}"}
    finally:
        child.stdin.close()
        assert child.wait(10) == 0
        child.stdout.close()


@dataclass
class Operation:
    """What an operation did: the count of resources by kind of change, and its messages."""

    changes: dict[str, int]
    text: str
    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    details: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def of(self, operation: str) -> list[str]:
        """The names of the resources that met the operation, in order."""
        return [name for op, name in self.steps if op == operation]


class ProviderStack:
    """One stack; ``program`` may be changed between operations."""

    def __init__(self, variables: Mapping[str, str], folder: Path, program: Program) -> None:
        self._attached = variables
        self.program = program
        self.folder = folder
        (folder / "state").mkdir(parents=True)
        self._stack = auto.create_stack(
            STACK,
            PROJECT,
            self._run_program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(folder), env_vars=self._variables(), pulumi_command=cli()
            ),
        )

    def _variables(self) -> dict[str, str]:
        return {
            **self._attached,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def configure(self, **values: str) -> None:
        for key, value in values.items():
            self._stack.set_config(f"aws:{key}", auto.ConfigValue(value))

    def preview(self, **options: Any) -> Operation:
        return self._run(self._stack.preview, **options)

    def up(self, **options: Any) -> Operation:
        return self._run(self._stack.up, **options)

    def refresh(self, **options: Any) -> Operation:
        return self._run(self._stack.refresh, **options)

    def destroy(self, **options: Any) -> Operation:
        return self._run(self._stack.destroy, **options)

    def resources(self) -> dict[str, dict[str, Any]]:
        """The state by logical name."""
        deployment: Any = self._stack.export_stack().deployment
        return {r["urn"].rsplit("::", 1)[-1]: r for r in deployment.get("resources", [])}

    def outputs(self, name: str) -> dict[str, Any]:
        return self.resources()[name]["outputs"]

    def output(self, name: str) -> Any:
        return self._stack.outputs()[name].value

    def checkpoint(self) -> str:
        """The state file as it lies on disk."""
        return next((self.folder / "state").rglob(f"{STACK}.json")).read_text()

    def _run_program(self) -> None:
        self.program()

    def _run(self, action: Callable[..., Any], **options: Any) -> Operation:
        seen = Operation({}, "")

        def listen(event: Any) -> None:
            if event.resource_pre_event:
                step = event.resource_pre_event.metadata
                name = step.urn.rsplit("::", 1)[-1]
                seen.steps.append((str(getattr(step.op, "value", step.op)), name))
                if step.detailed_diff:
                    seen.details[name] = {
                        path: str(getattr(d.diff_kind, "value", d.diff_kind))
                        for path, d in step.detailed_diff.items()
                    }

        try:
            result = action(on_event=listen, **options)
        finally:
            # A program that fails leaves a half-run coroutine of Pulumi's SDK behind, and CPython
            # 3.11 breaks any `ast.parse` in the middle of which the collector happens to end it.
            gc.collect()
        changes: Any = getattr(result, "change_summary", None)
        if changes is None:
            changes = result.summary.resource_changes
        seen.changes = {str(getattr(k, "value", k)): v for k, v in changes.items()}
        seen.text = result.stdout + result.stderr
        return seen
