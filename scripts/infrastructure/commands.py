"""Infrastructure commands: ``preview``, ``up``, ``refresh``, ``destroy``, ``env``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.errors import SlipwayError
from scripts.console import (
    JsonOption,
    StackOption,
    counted,
    print_json,
    stderr,
    stdout,
)

if TYPE_CHECKING:
    from scripts.infrastructure.engine import Observer, Result
    from scripts.release.stack import ReleaseStack

EXIT_DRIFT = 7
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SIGNS = {"create": "+", "import": "=", "update": "~", "replace": "±", "delete": "-", "read": ">"}
# What Pulumi calls the parts of a replacement; one line for each would tell it three times.
HIDDEN = frozenset({"create-replacement", "delete-replaced", "discard-replaced"})
WORDS = {
    "create": "created",
    "import": "taken over",
    "update": "changed",
    "replace": "replaced",
    "delete": "deleted",
    "same": "unchanged",
}
PLANNED = {
    "create": "to create",
    "import": "to take over",
    "update": "to change",
    "replace": "to replace",
    "delete": "to delete",
    "same": "unchanged",
}


class NotConfirmedError(SlipwayError):
    """Nobody confirmed what must be confirmed."""


def register(app: typer.Typer) -> None:
    for command in (preview, up, refresh, destroy, env):
        app.command()(command)


def preview(stack: StackOption = None, as_json: JsonOption = False) -> None:
    """Show what `up` would change; changes nothing."""
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    with _watched(f"previewing stack {place.name}", as_json) as observer:
        result = _engine(place, observer).preview()
    _show(result, as_json, PLANNED)


def up(
    stack: StackOption = None,
    yes: YesOption = False,
    recreate_endpoint: Annotated[
        bool,
        typer.Option(
            "--recreate-endpoint",
            help="Make an endpoint that was deleted by hand from its last good configuration.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make what the stack's file says; traffic stays where it is.

    The versions that it names are staged: `slipway release` then moves traffic to them.
    Any other stack than `local` is previewed first, and asks.
    """
    from scripts.infrastructure import orphans, teardown
    from scripts.models import environments as model_environments
    from scripts.registry.follow import catch_up
    from scripts.release.owed import settled_state
    from scripts.release.stack import LOCAL_STACK, open_stack

    place = open_stack(stack)
    teardown.refuse_while_locked(place, teardown.endpoints(place), "up")
    if place.name == LOCAL_STACK:
        model_environments.prepare_local(place.root)
    orphans.settle(place, lambda text: stderr.print(text, markup=False, soft_wrap=True))
    if place.name != LOCAL_STACK and not yes:
        _require_terminal("up")
        with _watched(f"previewing stack {place.name}", as_json) as observer:
            planned = _engine(place, observer).preview()
        _show(planned, False, PLANNED)
        if not typer.confirm(f"make these changes to stack {place.name}?", err=True):
            raise NotConfirmedError("nothing was changed")
    with _watched(f"updating stack {place.name}", as_json) as observer:
        result = _engine(place, observer).up(recreate_endpoint=recreate_endpoint)
    _show(result, as_json, WORDS)
    if not as_json:
        show_next(place)
    for manifest in place.manifests():
        settled_state(place, manifest.endpoint_name)
        catch_up(place, manifest.endpoint_name)


def refresh(
    stack: StackOption = None,
    preview_only: Annotated[
        bool, typer.Option("--preview-only", help="Only tell what differs.")
    ] = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help=f"End with {EXIT_DRIFT} if anything does.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Read into Pulumi's state what was changed behind its back.

    `slipway up` then puts it back as the stack's file says.
    """
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    with _watched(f"refreshing stack {place.name}", as_json) as observer:
        result = _engine(place, observer).refresh(preview_only=preview_only)
    words = {**WORDS, "update": "differ", "delete": "gone"}
    _show(result, as_json, words)
    return EXIT_DRIFT if expect_no_changes and not result.is_unchanged else 0


def destroy(stack: StackOption = None, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Remove all that the stack made; the release history stays."""
    from scripts.infrastructure import teardown
    from scripts.release.stack import open_stack

    place = open_stack(stack)
    names = teardown.endpoints(place)
    teardown.refuse_while_released(place, names)
    if not yes:
        _require_terminal("destroy")
        stderr.print(f"this deletes {', '.join(names) or 'what is left'} and all its models")
        if typer.prompt(f"type {place.name} to destroy the stack", err=True) != place.name:
            raise NotConfirmedError("nothing was destroyed")
    stays = teardown.images(place)
    with _watched(f"destroying stack {place.name}", as_json) as observer:
        result = _engine(place, observer).destroy()
        removed = teardown.remove_retained(place, lambda what: observer("delete", what))
        removed = teardown.close_history(place, names, removed, stays)
    if as_json:
        print_json({**_as_dict(result), "removed": asdict(removed)})
        return
    _show(result, False, WORDS)
    stdout.print(
        "of them kept by Pulumi and then removed: "
        f"{counted(len(removed.endpoint_configs), 'endpoint configuration')}, "
        f"{counted(len(removed.models), 'model')}, {counted(len(removed.buckets), 'bucket')} with "
        f"{counted(removed.objects, 'object')}",
        soft_wrap=True,
    )
    for what in removed.kept:
        stdout.print(f"kept: {what}", markup=False, soft_wrap=True)


def env(
    stack: Annotated[str, typer.Argument(metavar="STACK")] = "local", as_json: JsonOption = False
) -> None:
    """Print the variables for a plain `pulumi` command.

    In a shell: eval "$(slipway env local)", then `pulumi preview`.
    """
    from scripts.infrastructure.pulumi_cli import shell_environment
    from scripts.release.stack import LOCAL_STACK, open_stack

    place = open_stack(stack)
    if place.name == LOCAL_STACK:
        # A plain `pulumi preview` asks for a stack that exists.
        _engine(place, lambda _operation, _name: None).create()
    variables = shell_environment(place.name, place.root)
    if as_json:
        print_json(variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


# --- what the commands share


def _engine(place: ReleaseStack, observer: Observer) -> Any:
    from scripts.infrastructure.engine import Engine

    return Engine(place.root, place.name, observer=observer)


def _require_terminal(operation: str) -> None:
    if not sys.stdin.isatty():
        raise NotConfirmedError(
            f"{operation} asks before it changes anything, and nobody can answer here; "
            "give --yes if you are sure"
        )


@contextmanager
def _watched(text: str, quiet: bool) -> Generator[Observer]:
    """Each resource on stderr as it begins: beside a spinner, or as a line where nobody watches."""
    if quiet:
        yield lambda _operation, _name: None
        return
    if not stderr.is_terminal:
        stderr.print(text, markup=False)
        yield _print_step
        return
    with stderr.status(text):
        yield _print_step


def _print_step(operation: str, name: str) -> None:
    if operation not in HIDDEN:
        stderr.print(f"  {SIGNS.get(operation, '·')} {name}", markup=False)


def _as_dict(result: Result) -> dict[str, Any]:
    return {
        "operation": result.operation,
        "changes": result.changes,
        "kept": result.kept,
        "seconds": result.seconds,
        "steps": [asdict(step) for step in result.steps if step.operation not in HIDDEN],
        "note": result.note,
        "outputs": result.outputs,
    }


def _show(result: Result, as_json: bool, words: dict[str, str]) -> None:
    if as_json:
        print_json(_as_dict(result))
        return
    if result.note:
        stdout.print(result.note, markup=False, soft_wrap=True)
    order = sorted(result.changes, key=lambda kind: (kind == "same", kind))
    told = [f"{result.changes[kind]} {words.get(kind, kind)}" for kind in order]
    if result.kept:
        told.append(f"{result.kept} of the deleted are kept")
    stdout.print(f"{', '.join(told) or 'nothing there'}  ({result.seconds:.1f} s)")


def show_next(place: ReleaseStack) -> None:
    """For each model what serves and what is staged, and the command that comes next."""
    manifests = place.manifests()
    if not manifests:
        stdout.print(
            "no model has an image yet; next: slipway image build --builder codebuild --stack "
            f"{place.name}, then slipway up --stack {place.name}",
            markup=False,
            soft_wrap=True,
        )
    for manifest in manifests:
        version = manifest.target.version
        endpoint = place.cloud.endpoint(manifest.endpoint_name)
        if endpoint.config_name == manifest.target.endpoint_config_name:
            stdout.print(f"{manifest.endpoint_name}: version {version} serves", markup=False)
        elif manifest.target.content_hash in place.state_or_new(manifest.endpoint_name).rejected:
            stdout.print(
                f"{manifest.endpoint_name}: version {version} is staged, but was rolled back "
                f"before; next: name another one in Pulumi.{place.name}.yaml, or "
                f"slipway release {manifest.model} --retry{place.option}",
                markup=False,
                soft_wrap=True,
            )
        else:
            words = f"{manifest.model}{place.option}"
            stdout.print(
                f"{manifest.endpoint_name}: version {version} is staged; "
                f"next: slipway plan {words}, slipway release {words}",
                markup=False,
                soft_wrap=True,
            )
