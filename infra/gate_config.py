"""The list ``release.gates``: what a step must show, and what only reports."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

from contracts.release_manifest import (
    AlarmGate,
    ErrorGate,
    Gate,
    HookGate,
    LatencyGate,
    LimitGate,
    PredictionGate,
)
from contracts.release_settings import LIMIT_METRICS
from infra.reading import MICROSECONDS, Node

LATENCY_ALLOW = 1.25
LONGEST_EVERY_SECONDS = 86400.0
HOOK_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
ALARM_NAME = r"[\s\S]{1,255}"
FUNCTION_ARN = r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:\S+"
_LATENCY = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


def read_gates(node: Node, default: tuple[Gate, ...]) -> tuple[Gate, ...]:
    items = node.items("gates")
    if items is None:
        return default
    path, value = node.find("gates")
    if value == []:
        node.problems.add(path, value, "at least one gate is needed", "write `- {metric: errors}`")
    read = [_gate(item) for item in items]
    gates = [gate for gate in read if gate is not None]
    names = [g.name for g in gates if isinstance(g, HookGate)]
    for name in sorted({n for n in names if names.count(n) > 1}):
        node.problems.add(path, name, "each hook has a name of its own", "rename one of them")
    if gates and all(gate.dry_run for gate in gates):
        node.problems.add(
            f"{path}[0].dryRun", True, "at least one gate must decide", "leave dryRun out of one"
        )
    for i, gate in enumerate(read):
        if gate is not None and gate in read[:i] and not isinstance(gate, HookGate):
            twice = f"{path}[{read.index(gate)}] says the same already"
            node.problems.add(f"{path}[{i}]", gate.kind, twice, "remove one of them")
    _one_limit(node, items)
    return tuple(gates)


def _one_limit(node: Node, items: list[Node]) -> None:
    """CloudWatch is asked for one count of slow answers, which all gates share."""
    written = [found for found in (item.find("over") for item in items) if found[1] is not None]
    for path, value in written[1:]:
        if value != written[0][1]:
            allowed = f"all gates count slow answers over one latency, and {written[0][0]} is "
            remedy = "write the same, or limit p95 (`of: p95`)"
            node.problems.add(path, value, f"{allowed}{written[0][1]}", remedy)


def _gate(item: Node) -> Gate | None:
    if item.find("alarm")[1] is not None:
        return _alarm(item)
    if item.find("hook")[1] is not None:
        return _hook(item)
    metric = item.find("metric")[1]
    reader = _METRICS.get(metric) if isinstance(metric, str) else None
    if reader is not None:
        return reader(item)
    known = ", ".join(_METRICS)
    item.problems.add(
        f"{item.path}.metric",
        metric,
        f"{known} are known; a gate may also be `alarm: NAME` or `hook: NAME`",
        "write one of them",
    )
    return None


def _errors(item: Node) -> Gate:
    item.only("metric", "allow", "dryRun")
    return ErrorGate(item.number("allow", 1.0, 1), item.flag("dryRun", default=False))


def _latency(item: Node) -> Gate:
    item.only("metric", "over", "allow", "dryRun")
    path, value = item.find("over")
    if value is None:
        item.problems.add(path, value, "a latency such as 50ms is needed", "write it")
    return LatencyGate(
        _over(item),
        item.number("allow", LATENCY_ALLOW, 1),
        item.flag("dryRun", default=False),
    )


def _over(item: Node) -> float:
    """From how many microseconds on an answer is slow."""
    over = item.microseconds("over", 1.0)
    if over <= 0:
        path, value = item.find("over")
        allowed = "a latency above zero is needed: every answer takes some time"
        item.problems.add(path, value, allowed, "write one such as 50ms")
    return over


def _predictions(item: Node) -> Gate:
    item.only("metric", "maxShift", "bins", "dryRun")
    return PredictionGate(
        item.number("maxShift", 0.1, 0.001, 1), _bins(item), item.flag("dryRun", default=False)
    )


def _bins(item: Node) -> tuple[float, ...]:
    path, value = item.find("bins")
    if value is None:
        return ()
    edges = cast("list[Any]", value) if isinstance(value, list) else []
    are_numbers = all(
        isinstance(e, int | float) and not isinstance(e, bool) and math.isfinite(e) for e in edges
    )
    if not edges or not are_numbers or edges != sorted(set(edges)):
        item.problems.add(path, value, "a list of rising numbers is allowed", "write upper edges")
        return ()
    return tuple(float(edge) for edge in edges)


def _limit(item: Node) -> Gate:
    item.only("metric", "of", "atMost", "over", "dryRun")
    path, of = item.find("of")
    if of not in LIMIT_METRICS:
        allowed = f"{' or '.join(LIMIT_METRICS)} is needed"
        item.problems.add(path, of, allowed, "write what the limit is of")
        of = LIMIT_METRICS[0]
    over = _over(item)
    where, written = item.find("over")
    if of == "slow" and written is None:
        item.problems.add(where, written, "a latency such as 50ms is needed", "say what slow is")
    if of != "slow" and written is not None:
        allowed = f"a limit of {of} has none; `of: slow` has"
        item.problems.add(where, written, allowed, "leave it out")
    at_most = _at_most(item, is_latency=of == "p95")
    is_dry = item.flag("dryRun", default=False)
    return LimitGate(of, at_most, None if written is None else over, is_dry)


def _at_most(item: Node, *, is_latency: bool) -> float:
    """A latency for a percentile, else a share of requests."""
    path, value = item.find("atMost")
    if is_latency:
        match = _LATENCY.fullmatch(value) if isinstance(value, str) else None
        if match is not None and match[2] in MICROSECONDS and float(match[1]) > 0:
            return float(match[1]) * MICROSECONDS[match[2]]
        allowed = "a latency above zero such as 50ms is needed"
        item.problems.add(path, value, allowed, "write it with its unit")
        return 0.0
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and 0 <= value <= 1:
        return float(value)
    item.problems.add(path, value, "a fraction from 0 to 1 is needed", "write 0.05 for 5 percent")
    return 0.0


def _alarm(item: Node) -> Gate:
    item.only("alarm", "dryRun")
    allowed = "the name of a CloudWatch alarm is needed"
    name = item.text("alarm", "", ALARM_NAME, allowed, "write its name")
    return AlarmGate(name, item.flag("dryRun", default=False))


def _hook(item: Node) -> Gate:
    item.only("hook", "command", "function", "timeout", "every", "dryRun")
    allowed = "letters, digits, dots, hyphens and underscores are allowed, at most 63"
    name = item.text("hook", "", HOOK_NAME, allowed, "write a short name")
    command = _command(item)
    allowed = "the ARN of a Lambda function is allowed"
    function = item.text("function", "", FUNCTION_ARN, allowed, "write its whole ARN")
    has_command = item.find("command")[1] is not None
    has_function = item.find("function")[1] is not None
    if has_command == has_function:
        what = "both" if has_command else "neither"
        item.problems.add(
            item.path,
            {"hook": name},
            f"it has {what}; exactly one of command and function is needed",
            "write `command: [PROGRAM, ARGUMENT]` or `function: ARN`",
        )
    timeout, every = item.seconds("timeout", 30.0), item.seconds("every", 60.0)
    if not 1 <= timeout <= 300:
        path, value = item.find("timeout")
        item.problems.add(path, value, "1s to 5m are allowed", "change it")
    if not 1 <= every <= LONGEST_EVERY_SECONDS:
        path, value = item.find("every")
        item.problems.add(path, value, "1s to 24h are allowed", "change it")
    return HookGate(name, command, function, timeout, every, item.flag("dryRun", default=False))


def _command(item: Node) -> tuple[str, ...]:
    path, value = item.find("command")
    if value is None:
        return ()
    words = cast("list[Any]", value) if isinstance(value, list) else []
    if not words or not all(isinstance(word, str) and word for word in words):
        item.problems.add(
            path, value, "a list of a program and its arguments is allowed", "write `[PROGRAM]`"
        )
        return ()
    return tuple(words)


_METRICS: dict[str, Callable[[Node], Gate]] = {
    "errors": _errors,
    "latency": _latency,
    "predictions": _predictions,
    "limit": _limit,
}
