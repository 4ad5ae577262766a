"""The part ``release`` of a model's configuration: strategy, steps, gates and times."""

from __future__ import annotations

from contracts.release_manifest import (
    Canary,
    ErrorGate,
    Gate,
    LatencyGate,
    ReleaseSettings,
    Step,
    Strategy,
    Tolerance,
)
from infra.reading import Node
from infra.settings import DEFAULT_STEPS

SETTLE_SECONDS = 60.0
WARM_UP_SECONDS = 60.0
POST_BAKE_SECONDS = 600.0
KEEP_VERSIONS = 3
LATENCY_ALLOW = 1.25


def read_release(node: Node, default_gates: tuple[Gate, ...]) -> ReleaseSettings:
    """How versions of this model are released; what is not written has its default."""
    node.only(
        "strategy",
        "steps",
        "gates",
        "onInconclusive",
        "settle",
        "warmUp",
        "postBake",
        "keepVersions",
    )
    return ReleaseSettings(
        strategy=_strategy(node),
        gates=_gates(node, default_gates),
        on_inconclusive=node.choice("onInconclusive", "rollback", ("rollback",)),
        settle_seconds=node.seconds("settle", SETTLE_SECONDS),
        warm_up_seconds=node.seconds("warmUp", WARM_UP_SECONDS),
        post_bake_seconds=node.seconds("postBake", POST_BAKE_SECONDS),
        keep_versions=node.integer("keepVersions", KEEP_VERSIONS, 1, 50),
    )


def _strategy(node: Node) -> Strategy:
    node.choice("strategy", "canary", ("canary",))
    return Canary(_steps(node))


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
        steps.append(_step(item, reached))
    return tuple(steps)


def _weight(item: Node) -> float | None:
    path, weight = item.find("weight")
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < 100:
        item.problems.add(
            path,
            weight,
            "a share in percent between 0 and 100, both excluded, is allowed",
            "change it; the swap takes the last share, so a step of 100 is left out",
        )
        return None
    return float(weight)


def _step(item: Node, weight: float) -> Step:
    tolerance = item.child("tolerance")
    tolerance.only("ratio", "points")
    bake = item.child("bake")
    bake.only("min", "max")
    shortest, longest = bake.seconds("min", 180.0), bake.seconds("max", 7200.0)
    if shortest > longest:
        path, value = bake.find("max")
        allowed = f"at least min, {shortest:g} s, is allowed"
        bake.problems.add(path, value or f"{longest:g}s", allowed, "raise it or lower min")
    return Step(
        weight,
        Tolerance(tolerance.number("ratio", 2.0, 1), tolerance.number("points", 1.0, 0, 100)),
        shortest,
        longest,
    )


def _gates(node: Node, default: tuple[Gate, ...]) -> tuple[Gate, ...]:
    items = node.items("gates")
    if items is None:
        return default
    path, value = node.find("gates")
    if value == []:
        node.problems.add(path, value, "at least one gate is needed", "write `- {metric: errors}`")
    gates: list[Gate] = []
    for item in items:
        match item.find("metric")[1]:
            case "errors":
                item.only("metric", "allow")
                gates.append(ErrorGate(item.number("allow", 1.0, 1)))
            case "latency":
                item.only("metric", "over", "allow")
                gates.append(_latency(item))
            case other:
                item.problems.add(
                    f"{item.path}.metric",
                    other,
                    "errors or latency is allowed",
                    "write one of them",
                )
    return tuple(gates)


def _latency(item: Node) -> LatencyGate:
    path, value = item.find("over")
    if value is None:
        item.problems.add(path, value, "a latency such as 50ms is needed", "write it")
    return LatencyGate(item.microseconds("over", 0.0), item.number("allow", LATENCY_ALLOW, 1))
