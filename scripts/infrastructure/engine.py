"""Pulumi's own engine, by its Automation API, with the program of ``infra`` inline."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import SlipwayError
from scripts.infrastructure import interrupted_up, pulumi_cli

if TYPE_CHECKING:
    import pulumi.automation as auto

# Operation, and type and logical name of a resource, as it begins.
Observer = Callable[[str, str], None]
RECREATE_VARIABLE = "SLIPWAY_RECREATE_ENDPOINT"
# What Pulumi says after the error that matters.
SUMMARIES = frozenset(
    f"error: {what} failed" for what in ("update", "preview", "refresh", "destroy")
)
UNCHANGED = frozenset({"same", "refresh"})
REMOVALS = frozenset({"delete", "delete-replaced", "discard", "discard-replaced"})


class EngineError(SlipwayError):
    """Pulumi could not do what was asked; the text is its own."""


class EngineInterruptedError(EngineError):
    """The operation was stopped; what was under way was finished and is known."""

    exit_code = 130


@dataclass(frozen=True)
class Change:
    """One resource that an operation touches; ``is_kept``: it leaves the state, and stays.

    ``inputs`` are what the program gives; assets by hash, secrets left out.
    """

    operation: str
    type: str
    name: str
    is_kept: bool = False
    inputs: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True)
class Result:
    """What an operation did, or would do; ``changes`` counts resources by kind of change.

    Pulumi counts as deleted what is retained, too; ``kept`` says how many of them.
    """

    operation: str
    changes: dict[str, int]
    seconds: float
    steps: tuple[Change, ...] = field(default=())
    note: str = ""
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def kept(self) -> int:
        return sum(step.is_kept for step in self.steps)

    @property
    def is_unchanged(self) -> bool:
        return not set(self.changes) - {"same"}


class Engine:
    """One stack of the project at ``root``; ``home`` (default: root) holds ``.slipway``."""

    def __init__(
        self, root: Path, stack: str, home: Path | None = None, observer: Observer | None = None
    ) -> None:
        self.root = root.resolve()
        self.stack = stack
        self.home = (home or root).resolve()
        self._observer = observer
        self._stack: auto.Stack | None = None
        self._variables: dict[str, str] = {}
        self._failure: SlipwayError | None = None

    def create(self) -> None:
        """Make the stack in its backend if it is not there; its resources are `up`'s."""
        with _variables_set(self._opened_variables()):
            self._opened()

    def preview(self) -> Result:
        return self._run("preview", lambda stack, options: stack.preview(**options))

    def up(self, *, recreate_endpoint: bool = False) -> Result:
        more = {RECREATE_VARIABLE: "1"} if recreate_endpoint else {}
        return self._run("up", lambda stack, options: stack.up(**options), more)

    def refresh(self, *, preview_only: bool = False) -> Result:
        """Read what stands into the state; with ``preview_only`` only tell what differs."""
        if preview_only:
            return self._run("refresh", lambda stack, options: stack.preview_refresh(**options))
        return self._run("refresh", lambda stack, options: stack.refresh(**options))

    def destroy(self) -> Result:
        """Unprotect, then destroy; what is ``retain_on_delete`` stays.

        The Automation API skips the preview, so a protected endpoint would stop it half-way.
        """
        self._unprotect()
        return self._run("destroy", lambda stack, options: stack.destroy(**options))

    def resources(self) -> list[dict[str, Any]]:
        """The state's resources as Pulumi wrote them."""
        deployment: Any = self._opened().export_stack().deployment
        return list(deployment.get("resources") or [])

    def _unprotect(self) -> None:
        stack = self._opened()
        exported = stack.export_stack()
        deployment: Any = exported.deployment
        protected = [r for r in deployment.get("resources") or [] if r.get("protect")]
        if protected:
            for resource in protected:
                resource["protect"] = False
            stack.import_stack(exported)

    def _opened_variables(self) -> dict[str, str]:
        if not self._variables:
            self._variables = pulumi_cli.environment(self.stack, self.home)
        return self._variables

    def _opened(self) -> auto.Stack:
        """The stack, made if it is new; always with ``work_dir``, else its file is not read."""
        if self._stack is not None:
            return self._stack
        import pulumi.automation as auto

        settings = self.root / f"Pulumi.{self.stack}.yaml"
        if not settings.is_file():
            found = sorted(self.root.glob("Pulumi.*.yaml"))
            known = ", ".join(p.name.split(".", 1)[1].removesuffix(".yaml") for p in found)
            raise EngineError(
                f"no stack {self.stack!r}: {settings.name} is missing in {self.root}; "
                f"the stacks are: {known or 'none'}"
            )
        variables = self._opened_variables()
        cli = pulumi_cli.find_pulumi()
        # With a root, PulumiCommand takes bin/pulumi below it; without, the one on PATH.
        is_on_path = shutil.which("pulumi") == str(cli)
        command = auto.PulumiCommand(root=None if is_on_path else str(cli.parent.parent))
        try:
            self._stack = auto.create_or_select_stack(
                stack_name=self.stack,
                project_name=_project_name(self.root),
                program=self._program,
                opts=auto.LocalWorkspaceOptions(
                    work_dir=str(self.root), env_vars=variables, pulumi_command=command
                ),
            )
        except auto.CommandError as error:
            raise EngineError(readable(str(error))) from None
        return self._stack

    def _program(self) -> None:
        """Runs in this process; what it refuses is kept, for Pulumi passes on only text."""
        from infra.program import run

        try:
            run(self.root)
        except SlipwayError as error:
            self._failure = error
            raise

    def _run(
        self,
        operation: str,
        action: Callable[[auto.Stack, dict[str, Any]], Any],
        more: Mapping[str, str] | None = None,
    ) -> Result:
        import pulumi.automation as auto

        started = time.monotonic()
        steps: list[Change] = []
        self._failure = None
        stack = self._opened()
        options = {"on_event": self._listener(operation, steps)}
        with _variables_set({**self._opened_variables(), **(more or {})}), _gentle() as stopped:
            note = interrupted_up.recover(stack, self.stack, self.home)
            try:
                done = action(stack, options)
            except auto.CommandError as error:
                raise self._explain(operation, error, stopped.is_set()) from None
            finally:
                # A program that fails leaves a half-run coroutine of Pulumi's SDK behind, and
                # CPython 3.11 breaks any `ast.parse` during which the collector ends it.
                gc.collect()
        changes: Any = getattr(done, "change_summary", None)
        if changes is None:
            changes = done.summary.resource_changes or {}
        counted = {str(getattr(k, "value", k)): int(v) for k, v in changes.items()}
        seconds = round(time.monotonic() - started, 2)
        found: Any = getattr(done, "outputs", None) or {}
        outputs = {name: output.value for name, output in found.items()}
        return Result(operation, counted, seconds, tuple(steps), note, outputs)

    def _listener(self, running: str, steps: list[Change]) -> Callable[[Any], None]:
        def listen(event: Any) -> None:
            # A refresh begins with every resource alike; what it found is told at the end.
            began, ended = event.resource_pre_event, event.res_outputs_event
            told = ended if running == "refresh" else began
            if told is None:
                return
            step = told.metadata
            operation = str(getattr(step.op, "value", step.op))
            name = step.urn.rsplit("::", 1)[-1]
            if operation not in UNCHANGED:
                is_kept = operation in REMOVALS and bool(step.old and step.old.retain_on_delete)
                inputs = dict(step.new.inputs or {}) if step.new else {}
                steps.append(Change(operation, step.type, name, is_kept, inputs))
                if self._observer is not None:
                    self._observer(operation, f"{short_type(step.type)} {name}")

        return listen

    def _explain(self, operation: str, error: Exception, stopped: bool) -> SlipwayError:
        import pulumi.automation as auto

        if stopped:
            return EngineInterruptedError(
                f"{operation} of stack {self.stack} was stopped; what was under way is finished "
                "and known; run it again to go on"
            )
        if self._failure is not None:
            return self._failure
        if isinstance(error, auto.ConcurrentUpdateError):
            holders = interrupted_up.holders(self.stack, self.home)
            who = "; ".join(str(holder) for holder in holders) or "another process"
            return EngineError(
                f"stack {self.stack} is locked by {who}; wait for its end, "
                "or end that process, then run this again"
            )
        return EngineError(f"{operation} of stack {self.stack} failed:\n{readable(str(error))}")


def short_type(type_token: str) -> str:
    """``aws:s3/bucket:Bucket`` as ``s3:Bucket``: what a name alone does not tell."""
    module, _, kind = type_token.rpartition(":")
    area = module.rpartition(":")[2].partition("/")[0]
    return f"{area}:{kind}"


def readable(text: str) -> str:
    """The lines of Pulumi's output that say what went wrong, each once."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:") and line not in SUMMARIES]
    chosen = errors or [line for line in lines if "error:" in line] or lines
    return "\n".join(f"  {line}" for line in list(dict.fromkeys(chosen))[-20:])


def _project_name(root: Path) -> str:
    import yaml

    raw: Any = yaml.safe_load((root / "Pulumi.yaml").read_text())
    return str(raw["name"])


@contextmanager
def _variables_set(variables: Mapping[str, str]) -> Generator[None]:
    """The inline program sees what the CLI sees; afterwards all is as it was."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _gentle() -> Generator[threading.Event]:
    """While the CLI works, Ctrl-C reaches it from the process group, and TERM is passed on as INT.

    A KeyboardInterrupt here would kill the CLI, and leave its lock and pending creates behind.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def on_interrupt(_number: int, _frame: object) -> None:
        stopped.set()

    def on_terminate(_number: int, _frame: object) -> None:
        stopped.set()
        os.killpg(os.getpgrp(), signal.SIGINT)

    before = (
        signal.signal(signal.SIGINT, on_interrupt),
        signal.signal(signal.SIGTERM, on_terminate),
    )
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
