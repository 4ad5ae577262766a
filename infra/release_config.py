"""The part ``release`` of a model's configuration: strategy, steps, gates and times."""

from __future__ import annotations

from contracts.release_manifest import (
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    Gate,
    LinearShift,
    ReleaseSettings,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)
from infra.gate_config import read_gates
from infra.reading import Node
from infra.settings import DEFAULT_STEPS

# Metrics arrive late, and an error is stamped when it ends; new instances are cold.
SETTLE_SECONDS = 180.0
WARM_UP_SECONDS = 180.0
POST_BAKE_SECONDS = 600.0
KEEP_VERSIONS = 3
BAKE_MIN_SECONDS, BAKE_MAX_SECONDS = 180.0, 7200.0
# SageMaker's own limits (facts 3.1).
LONGEST_WAIT_SECONDS = 3600.0
SHORTEST_TIMEOUT_SECONDS, LONGEST_TIMEOUT_SECONDS = 600.0, 28800.0
# SageMaker keeps weights as 32-bit floats: what is much less is no share of the traffic.
LEAST_WEIGHT = 0.01
STRATEGIES = ("canary", "blue_green", "rolling", "shadow")
KEYS = (
    "strategy",
    "steps",
    "blueGreen",
    "rolling",
    "shadow",
    "gates",
    "onInconclusive",
    "settle",
    "warmUp",
    "postBake",
    "keepVersions",
)


def read_release(node: Node, default_gates: tuple[Gate, ...]) -> ReleaseSettings:
    """How versions of this model are released; what is not written has its default."""
    node.only(*KEYS)
    settings = ReleaseSettings(
        strategy=_strategy(node),
        gates=read_gates(node, default_gates),
        on_inconclusive=node.choice("onInconclusive", "rollback", ("rollback", "hold")),
        settle_seconds=node.seconds("settle", SETTLE_SECONDS),
        warm_up_seconds=node.seconds("warmUp", WARM_UP_SECONDS),
        post_bake_seconds=node.seconds("postBake", POST_BAKE_SECONDS),
        keep_versions=node.integer("keepVersions", KEEP_VERSIONS, 1, 50),
    )
    guarded = [p.kind for p in settings.phases if isinstance(p, BlueGreen | Rolling)]
    if settings.on_inconclusive == "hold" and guarded:
        path, value = node.find("onInconclusive")
        allowed = f"{guarded[0]} cannot be held, for SageMaker's own timers run on"
        node.problems.add(path, value, allowed, "write rollback, or release by canary")
    return settings


def _strategy(node: Node) -> Strategy:
    """All are read, so that what is wrong is told before it is chosen."""
    kind = node.choice("strategy", "canary", STRATEGIES)
    canary = Canary(_steps(node))
    blue_green = _blue_green(node.child("blueGreen"))
    rolling = _rolling(node.child("rolling"))
    direct = {s.kind: s for s in (canary, blue_green, rolling)}
    shadow = _shadow(node.child("shadow"), direct)
    return direct.get(kind, shadow)


# --- canary


def _steps(node: Node) -> tuple[Step, ...]:
    items = node.items("steps")
    if items is None:
        return DEFAULT_STEPS
    path, value = node.find("steps")
    if value == []:
        node.problems.add(path, value, "at least one step is needed", "write one, or leave it out")
    steps: list[Step] = []
    reached = 0.0
    for item in items:
        item.only("weight", "tolerance", "bake")
        weight = _weight(item)
        if weight is not None and weight <= reached:
            item.problems.add(
                f"{item.path}.weight",
                item.find("weight")[1],
                f"weights must rise, and the step before has {reached:g}",
                "write the steps from the smallest weight to the largest",
            )
        reached = reached if weight is None else weight
        shortest, longest = _bake(item)
        steps.append(Step(reached, _tolerance(item), shortest, longest))
    return tuple(steps)


def _weight(item: Node) -> float | None:
    path, weight = item.find("weight")
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not is_number or not LEAST_WEIGHT <= weight < 100:
        item.problems.add(
            path,
            weight,
            f"a share in percent from {LEAST_WEIGHT:g} to below 100 is allowed",
            "change it; the swap takes the last share, so a step of 100 is left out",
        )
        return None
    return float(weight)


# --- guardrails


def _blue_green(node: Node) -> BlueGreen:
    node.only("traffic", "size", "wait", "finalWait", "tolerance", "timeout")
    traffic = node.choice("traffic", "canary", ("all_at_once", "canary", "linear"))
    size, wait = node.integer("size", 10, 1, 50), _wait(node, "wait", 600.0)
    final = _wait(node, "finalWait", 300.0)
    if traffic == "linear" and size < 10:
        path, value = node.find("size")
        allowed = "a linear step is from 10 to 50 percent"
        node.problems.add(path, value, allowed, "write 10, or shift by canary")
    shift = {
        "all_at_once": AllAtOnce(),
        "canary": CanaryShift(size, wait),
        "linear": LinearShift(size, wait),
    }[traffic]
    _some_bake(node, "finalWait", final if traffic == "all_at_once" else wait + final)
    return BlueGreen(shift, final, _tolerance(node), _timeout(node))


def _rolling(node: Node) -> Rolling:
    node.only("batch", "wait", "rollbackBatch", "tolerance", "timeout")
    batch, wait = node.integer("batch", 25, 5, 50), _wait(node, "wait", 600.0)
    back = node.integer("rollbackBatch", 100, 5, 100)
    _some_bake(node, "wait", wait)
    return Rolling(batch, wait, _tolerance(node), None if back == 100 else back, _timeout(node))


def _wait(node: Node, key: str, default: float) -> int:
    seconds = node.seconds(key, default)
    if seconds <= LONGEST_WAIT_SECONDS and seconds == int(seconds):
        return int(seconds)
    path, value = node.find(key)
    allowed = "whole seconds up to 1h are allowed, which is SageMaker's limit"
    node.problems.add(path, value, allowed, "shorten it; a canary's steps may bake for days")
    return int(default)


def _some_bake(node: Node, key: str, seconds: float) -> None:
    """Alarms are watched only while it bakes (facts 3.3)."""
    if seconds > 0:
        return
    path, value = node.find(key)
    allowed = "alarms and gates are looked at only while it bakes, and it never does"
    node.problems.add(path, value, allowed, "let it wait some minutes")


def _timeout(node: Node) -> int | None:
    seconds = node.seconds("timeout", 0.0)
    path, value = node.find("timeout")
    if value is None:
        return None
    if not SHORTEST_TIMEOUT_SECONDS <= seconds <= LONGEST_TIMEOUT_SECONDS:
        allowed = "10m to 8h are allowed"
        node.problems.add(path, value, allowed, "change it, or leave it out")
        return None
    return int(seconds)


# --- shadow


def _shadow(node: Node, direct: dict[str, Canary | BlueGreen | Rolling]) -> Shadow:
    node.only("sampling", "bake", "tolerance", "maxDisagreement", "then")
    then = node.choice("then", "stop", ("stop", *direct))
    sampling = node.number("sampling", 100.0, 1, 100)
    shortest, longest = _bake(node)
    return Shadow(
        sampling_percent=sampling,
        tolerance=_tolerance(node),
        bake_min_seconds=shortest,
        bake_max_seconds=longest,
        max_disagreement=node.number("maxDisagreement", 0.05, 0, 1),
        then=direct.get(then),
    )


# --- what several of them have


def _tolerance(node: Node) -> Tolerance:
    tolerance = node.child("tolerance")
    tolerance.only("ratio", "points")
    ratio, points = tolerance.number("ratio", 2.0, 1), tolerance.number("points", 1.0, 0, 100)
    if ratio == 1 and points == 0:
        path, value = node.find("tolerance")
        allowed = (
            "a ratio above 1, or points above 0, is needed: no number of requests shows a version "
            "to be no worse at all"
        )
        node.problems.add(path, value, allowed, "write `{ratio: 1.5, points: 0.5}`, for one")
    return Tolerance(ratio, points)


def _bake(node: Node) -> tuple[float, float]:
    bake = node.child("bake")
    bake.only("min", "max")
    shortest = bake.seconds("min", BAKE_MIN_SECONDS)
    longest = bake.seconds("max", BAKE_MAX_SECONDS)
    path, value = bake.find("max")
    if shortest > longest:
        allowed = f"at least min, {shortest:g} s, is allowed"
        bake.problems.add(path, value or f"{longest:g}s", allowed, "raise it or lower min")
    elif longest == 0:
        allowed = "alarms and gates need time to tell, and a bake of zero has none"
        bake.problems.add(path, value, allowed, "let it bake some minutes")
    return shortest, longest
