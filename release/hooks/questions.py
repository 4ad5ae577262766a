"""User hooks: the owner's own check, a command or a Lambda, asked while a step bakes.

Whatever a hook does (hangs, crashes, answers nonsense), it answers: at worst with not enough data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Protocol

from contracts.release_manifest import HookGate
from release.hooks.threads import ask_together
from release.observation import HookAnswer

PASS = "pass"
FAIL = "fail"
NOT_ENOUGH_DATA = "not_enough_data"
ANSWERS = (PASS, FAIL, NOT_ENOUGH_DATA)
EXIT_ANSWERS = {0: PASS, 2: FAIL, 3: NOT_ENOUGH_DATA}

TERMINAL = "terminal"
LAMBDA = "lambda"
# The longest that a hook may take where a Lambda asks it: as long as a slice of turns, at whose end
# it may come to ask. The function lives for 15 minutes; the rest is for AWS's slow answers.
LAMBDA_SECONDS = 120.0
# What a hook may need beside its own time: to connect, and to end a command that hangs.
GRACE_SECONDS = 10.0

MAX_OUTPUT_BYTES = 64 * 1024
MAX_TEXT = 500


@dataclass(frozen=True)
class HookQuestion:
    """What a hook is told: where the release stands. Weights are percent."""

    release_id: str
    model: str
    endpoint: str
    region: str
    from_version: str
    to_version: str
    stage: str
    step: int
    weight: float
    live_variant: str
    candidate_variant: str
    minutes: float

    def to_dict(self, hook: str) -> dict[str, Any]:
        return {"schema_version": 1, "hook": hook, **asdict(self)}

    def variables(self, hook: str) -> dict[str, str]:
        """The same as ``SLIPWAY_…`` variables of a command."""
        values = self.to_dict(hook).items()
        return {f"SLIPWAY_{key.upper()}": _plain(value) for key, value in values}


class Runner(Protocol):
    """Asks one hook; several are asked at once, each in a thread of its own."""

    def __call__(self, gate: HookGate, question: HookQuestion, at: float) -> HookAnswer: ...


def runs_in(hook: HookGate, driver: str) -> bool:
    """Whether ``driver`` can ask the hook: a command needs the machine that it is installed on."""
    return driver == TERMINAL or not hook.command


def due(
    hooks: Iterable[HookGate], answers: Mapping[str, HookAnswer], now: float
) -> tuple[HookGate, ...]:
    """The hooks to ask now: never asked, or asked ``every_seconds`` ago or earlier.

    A clock that went backwards asks again.
    """
    return tuple(
        hook
        for hook in hooks
        if hook.name not in answers or not 0 <= now - answers[hook.name].at < hook.every_seconds
    )


class Hooks:
    """Asks hooks, all at the same time: it takes as long as the slowest may, and some grace.

    ``driver``: ``terminal`` or ``lambda``; the second gives none more than ``LAMBDA_SECONDS``.
    """

    def __init__(
        self, driver: str, command: Runner, function: Runner, grace: float = GRACE_SECONDS
    ) -> None:
        self._driver = driver
        self._command = command
        self._function = function
        self._grace = grace

    def __call__(
        self, hooks: Iterable[HookGate], question: HookQuestion, now: float
    ) -> dict[str, HookAnswer]:
        """The answer of each, by the hook's name; one that hangs has not enough data."""
        hooks = [self._limited(hook) for hook in hooks]
        asks = {hook.name: partial(self._ask, hook, question, now) for hook in hooks}
        longest = max((hook.timeout_seconds for hook in hooks), default=0.0)
        heard = ask_together(asks, longest + self._grace)
        return {hook.name: heard.get(hook.name) or late(hook, now) for hook in hooks}

    def _limited(self, hook: HookGate) -> HookGate:
        if self._driver != LAMBDA:
            return hook
        return replace(hook, timeout_seconds=min(hook.timeout_seconds, LAMBDA_SECONDS))

    def _ask(self, hook: HookGate, question: HookQuestion, now: float) -> HookAnswer:
        if not runs_in(hook, self._driver):
            return unsure(hook, "is a command, which a Lambda cannot run; make it a function", now)
        run = self._command if hook.command else self._function
        try:
            return run(hook, question, now)
        except Exception as error:  # noqa: BLE001 a hook never ends a release
            return unsure(hook, f"could not be asked: {str(error)[:300]}", now)


# --- what an answer means


def of_exit(hook: HookGate, code: int, output: str, at: float) -> HookAnswer:
    """A command's answer: its last JSON line that has one, else its exit code.

    A crash never passes: an exit code that means nothing wins over whatever was printed.
    """
    if code < 0:
        return unsure(hook, f"was ended by signal {-code}", at)
    if code not in EXIT_ANSWERS:
        text = _last_line(output)
        return unsure(hook, f"ended with exit code {code}{': ' + text if text else ''}", at)
    told = _answer_line(output)
    if told is not None:
        return of_document(hook, told, at)
    return HookAnswer(EXIT_ANSWERS[code], _cut(_last_line(output)), at)


def of_document(hook: HookGate, told: Any, at: float) -> HookAnswer:
    """The answer in ``{"answer": …, "text": …}``."""
    if not isinstance(told, dict) or "answer" not in told:
        shown = _cut(json.dumps(told, default=str))
        return unsure(hook, f"answered {shown}, which has no key answer", at)
    answer, text = told["answer"], told.get("text", "")
    if answer not in ANSWERS:
        known = ", ".join(ANSWERS)
        return unsure(hook, f"answered {_cut(repr(answer))}; {known} are understood", at)
    return HookAnswer(str(answer), _cut(_plain(text)), at)


def unsure(hook: HookGate, what: str, at: float) -> HookAnswer:
    """Not enough data, with a text that names the hook."""
    return HookAnswer(NOT_ENOUGH_DATA, f"hook {hook.name} {what}", at)


def late(hook: HookGate, at: float) -> HookAnswer:
    return unsure(hook, f"did not answer within {hook.timeout_seconds:g} s", at)


def _answer_line(output: str) -> dict[str, Any] | None:
    for line in reversed(output.splitlines()):
        if not line.lstrip().startswith("{"):
            continue
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "answer" in told:
            return told
    return None


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _cut(text: str) -> str:
    """One printable line of bounded length: it ends up in logs, mails and pages."""
    clean = "".join(c if c.isprintable() else " " for c in text).strip()
    return clean if len(clean) <= MAX_TEXT else clean[: MAX_TEXT - 1] + "…"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
