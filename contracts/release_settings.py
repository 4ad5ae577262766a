"""How versions of a model are released: strategy, gates and times, as the manifest carries them.

Durations are seconds, latencies microseconds, weights and sizes percent, shares fractions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from contracts.errors import ContractError
from contracts.fields import Fields


@dataclass(frozen=True)
class Tolerance:
    """A step passes when the candidate is shown within ``ratio`` × live or ``points`` above."""

    ratio: float
    points: float


@dataclass(frozen=True)
class Step:
    """One canary step: the candidate's share of traffic in percent, and how long it may bake."""

    weight: float
    tolerance: Tolerance
    bake_min_seconds: float
    bake_max_seconds: float


# --- strategies


@dataclass(frozen=True)
class Canary:
    """Two weighted production variants in one endpoint; a gate at every step, then the swap."""

    kind: ClassVar[str] = "canary"
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class AllAtOnce:
    """All traffic moves to the new fleet at once; nothing is compared on the same minutes."""

    kind: ClassVar[str] = "all_at_once"


@dataclass(frozen=True)
class CanaryShift:
    """``percent`` (at most 50) of the capacity first, for ``wait_seconds``; then the rest."""

    kind: ClassVar[str] = "canary"
    percent: int
    wait_seconds: int


@dataclass(frozen=True)
class LinearShift:
    """``percent`` (10 to 50) of the capacity at a time, ``wait_seconds`` between."""

    kind: ClassVar[str] = "linear"
    percent: int
    wait_seconds: int


Shift = AllAtOnce | CanaryShift | LinearShift


@dataclass(frozen=True)
class BlueGreen:
    """SageMaker's blue/green guardrails; the gates' verdict is one of the rollback alarms.

    ``final_wait_seconds`` is the bake on the whole new fleet before the old one is terminated.
    """

    kind: ClassVar[str] = "blue_green"
    shift: Shift
    final_wait_seconds: int
    tolerance: Tolerance
    timeout_seconds: int | None = None


@dataclass(frozen=True)
class Rolling:
    """SageMaker's rolling guardrails: ``batch_percent`` (5 to 50) of the fleet at a time."""

    kind: ClassVar[str] = "rolling"
    batch_percent: int
    wait_seconds: int
    tolerance: Tolerance
    rollback_batch_percent: int | None = None
    timeout_seconds: int | None = None


@dataclass(frozen=True)
class Shadow:
    """A copy of ``sampling_percent`` of the traffic; its answers are compared, never returned.

    ``max_disagreement`` is the share of paired predictions that may differ. ``then``: the strategy
    that follows when it passes; None ends the release with nothing promoted.
    """

    kind: ClassVar[str] = "shadow"
    sampling_percent: float
    tolerance: Tolerance
    bake_min_seconds: float
    bake_max_seconds: float
    max_disagreement: float
    then: Canary | BlueGreen | Rolling | None = None


Strategy = Canary | BlueGreen | Rolling | Shadow


# --- gates


@dataclass(frozen=True)
class ErrorGate:
    """Errors (``InvocationModelErrors``) of the candidate against live; ``allow`` is a ratio."""

    kind: ClassVar[str] = "errors"
    allow: float = 1.0
    dry_run: bool = False


@dataclass(frozen=True)
class LatencyGate:
    """Share of answers slower than ``over_us``, candidate against live; ``allow`` is a ratio."""

    kind: ClassVar[str] = "latency"
    over_us: float
    allow: float = 1.25
    dry_run: bool = False


@dataclass(frozen=True)
class PredictionGate:
    """Distribution of the predictions: a total-variation distance of at most ``max_shift``.

    Needs data capture. ``bins``: upper edges of the numeric bins; empty: chosen from live.
    """

    kind: ClassVar[str] = "predictions"
    max_shift: float = 0.1
    bins: tuple[float, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True)
class LimitGate:
    """A fixed limit on the candidate alone.

    ``metric``: "errors" (share), "slow" (share slower than ``over_us``) or "p95" (microseconds).
    """

    kind: ClassVar[str] = "limit"
    metric: str
    at_most: float
    over_us: float | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class AlarmGate:
    """A CloudWatch alarm of the owner's: ALARM fails, anything but OK holds."""

    kind: ClassVar[str] = "alarm"
    alarm: str
    dry_run: bool = False


@dataclass(frozen=True)
class HookGate:
    """A question to the owner's own check: exactly one of ``command`` and ``function_arn``.

    Asked every ``every_seconds`` while a step bakes; it answers pass, fail or not enough data
    within ``timeout_seconds``.
    """

    kind: ClassVar[str] = "hook"
    name: str
    command: tuple[str, ...] = ()
    function_arn: str = ""
    timeout_seconds: float = 30.0
    every_seconds: float = 60.0
    dry_run: bool = False


Gate = ErrorGate | LatencyGate | PredictionGate | LimitGate | AlarmGate | HookGate
LIMIT_METRICS = ("errors", "slow", "p95")


@dataclass(frozen=True)
class ReleaseSettings:
    """``on_inconclusive``: "rollback", or "hold" for a person's decision."""

    strategy: Strategy
    gates: tuple[Gate, ...]
    on_inconclusive: str
    settle_seconds: float
    warm_up_seconds: float
    post_bake_seconds: float
    keep_versions: int

    @property
    def phases(self) -> tuple[Strategy, ...]:
        """The strategy, and after a shadow the one that it hands on to."""
        match self.strategy:
            case Shadow(then=then) if then is not None:
                return (self.strategy, then)
            case strategy:
                return (strategy,)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The canary's steps; none where no phase is a canary."""
        return next((p.steps for p in self.phases if isinstance(p, Canary)), ())

    def to_dict(self) -> dict[str, Any]:
        value = {k: getattr(self, k) for k in _TIMES}
        return {
            **value,
            "strategy": strategy_to_dict(self.strategy),
            "gates": [gate_to_dict(gate) for gate in self.gates],
            "on_inconclusive": self.on_inconclusive,
            "keep_versions": self.keep_versions,
        }

    @staticmethod
    def from_fields(fields: Fields) -> ReleaseSettings:
        return ReleaseSettings(
            strategy=_strategy(fields.child("strategy")),
            gates=tuple(_gate(f) for f in fields.children("gates")),
            on_inconclusive=fields.text("on_inconclusive"),
            settle_seconds=fields.number("settle_seconds"),
            warm_up_seconds=fields.number("warm_up_seconds"),
            post_bake_seconds=fields.number("post_bake_seconds"),
            keep_versions=fields.integer("keep_versions"),
        )


_TIMES = ("settle_seconds", "warm_up_seconds", "post_bake_seconds")


# --- JSON


def gate_to_dict(gate: Gate) -> dict[str, Any]:
    return {"kind": gate.kind, **asdict(gate)}


def strategy_to_dict(strategy: Strategy) -> dict[str, Any]:
    value: dict[str, Any] = {"kind": strategy.kind, **asdict(strategy)}
    match strategy:
        case BlueGreen(shift):
            value["shift"] = {"kind": shift.kind, **asdict(shift)}
        case Shadow(then=then):
            value["then"] = None if then is None else strategy_to_dict(then)
        case _:
            pass
    return value


def _strategy(fields: Fields) -> Strategy:
    match fields.text("kind"):
        case "shadow":
            return _shadow(fields)
        case _:
            return _direct(fields)


def _direct(fields: Fields) -> Canary | BlueGreen | Rolling:
    match fields.text("kind"):
        case "canary":
            return Canary(tuple(_step(f) for f in fields.children("steps")))
        case "blue_green":
            return BlueGreen(
                shift=_shift(fields.child("shift")),
                final_wait_seconds=fields.integer("final_wait_seconds"),
                tolerance=_tolerance(fields.child("tolerance")),
                timeout_seconds=_optional(fields, "timeout_seconds"),
            )
        case "rolling":
            return Rolling(
                batch_percent=fields.integer("batch_percent"),
                wait_seconds=fields.integer("wait_seconds"),
                tolerance=_tolerance(fields.child("tolerance")),
                rollback_batch_percent=_optional(fields, "rollback_batch_percent"),
                timeout_seconds=_optional(fields, "timeout_seconds"),
            )
        case other:
            raise ContractError(
                f"{fields.where}: kind is {other!r}; canary, blue_green, rolling or shadow is "
                "needed, and a shadow is never followed by another"
            )


def _shadow(fields: Fields) -> Shadow:
    return Shadow(
        sampling_percent=fields.number("sampling_percent"),
        tolerance=_tolerance(fields.child("tolerance")),
        bake_min_seconds=fields.number("bake_min_seconds"),
        bake_max_seconds=fields.number("bake_max_seconds"),
        max_disagreement=fields.number("max_disagreement"),
        then=None if fields.raw.get("then") is None else _direct(fields.child("then")),
    )


def _shift(fields: Fields) -> Shift:
    match fields.text("kind"):
        case "all_at_once":
            return AllAtOnce()
        case "canary":
            return CanaryShift(fields.integer("percent"), fields.integer("wait_seconds"))
        case "linear":
            return LinearShift(fields.integer("percent"), fields.integer("wait_seconds"))
        case other:
            raise ContractError(
                f"{fields.where}: kind is {other!r}; all_at_once, canary or linear is needed"
            )


def _gate(fields: Fields) -> Gate:
    dry_run = fields.flag("dry_run")
    match fields.text("kind"):
        case "errors":
            return ErrorGate(fields.number("allow"), dry_run)
        case "latency":
            return LatencyGate(fields.number("over_us"), fields.number("allow"), dry_run)
        case "predictions":
            bins = tuple(float(edge) for edge in fields.items("bins"))
            return PredictionGate(fields.number("max_shift"), bins, dry_run)
        case "limit":
            over = None if fields.raw.get("over_us") is None else fields.number("over_us")
            return LimitGate(fields.text("metric"), fields.number("at_most"), over, dry_run)
        case "alarm":
            return AlarmGate(fields.text("alarm"), dry_run)
        case "hook":
            return HookGate(
                name=fields.text("name"),
                command=tuple(str(word) for word in fields.items("command")),
                function_arn=fields.text("function_arn"),
                timeout_seconds=fields.number("timeout_seconds"),
                every_seconds=fields.number("every_seconds"),
                dry_run=dry_run,
            )
        case other:
            raise ContractError(
                f"{fields.where}: kind is {other!r}; errors, latency, predictions, limit, alarm "
                "or hook is needed"
            )


def _step(fields: Fields) -> Step:
    return Step(
        fields.number("weight"),
        _tolerance(fields.child("tolerance")),
        fields.number("bake_min_seconds"),
        fields.number("bake_max_seconds"),
    )


def _tolerance(fields: Fields) -> Tolerance:
    return Tolerance(fields.number("ratio"), fields.number("points"))


def _optional(fields: Fields, key: str) -> int | None:
    return None if fields.raw.get(key) is None else fields.integer(key)
