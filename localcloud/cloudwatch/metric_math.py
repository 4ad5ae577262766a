"""GetMetricData's expressions: computes a tree over the request's other queries. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.cloudwatch import math_parser
from localcloud.cloudwatch.math_functions import FUNCTIONS, NOT_OFFERED, WORDS, Scope
from localcloud.cloudwatch.math_parser import (
    Array,
    Binary,
    Call,
    MathSyntaxError,
    Name,
    Negative,
    Node,
    Number,
    Text,
)
from localcloud.cloudwatch.math_values import Labelled, MathTypeError, Points, Value, combine
from localcloud.service import ServiceError

__all__ = ["Context", "Labelled", "Points", "Scope", "Value", "evaluate", "refuse"]


@dataclass(frozen=True)
class Context:
    """What an expression can see: the other queries' values, the periods asked for.

    ``metrics`` are the ids, labels and periods of the queries that are metrics.
    """

    id: str
    expression: str
    values: Callable[[str], Value]
    metrics: dict[str, tuple[str, int]]
    scope: Scope


def refuse(query_id: str, why: str) -> ServiceError:
    return ServiceError("ValidationError", f"Error in expression '{query_id}': {why}")


def evaluate(context: Context) -> Value:
    """The value of ``context.expression``.

    Raises:
        ServiceError: ``ValidationError`` for what is no expression, or of the wrong kinds.
    """
    if context.expression.strip().upper().startswith("SELECT"):
        raise refuse(context.id, "the local cloud does not offer Metrics Insights queries")
    try:
        return _value(context, math_parser.parse(context.expression))
    except (MathSyntaxError, MathTypeError) as error:
        raise refuse(context.id, str(error)) from None


def _value(context: Context, node: Node) -> Value:
    match node:
        case Number(value):
            return value
        case Name(name):
            return context.values(name)
        case Negative(operand):
            return combine("*", -1.0, _value(context, operand))
        case Binary():
            return _binary(context, node)
        case Array(items):
            return tuple(x for item in items for x in _members(context, item))
        case Call(name, arguments):
            return _call(context, name, arguments)
        case Text(text):
            raise MathSyntaxError(f"unexpected text '{text}'")


def _binary(context: Context, node: Binary) -> Value:
    """Down the left side in a loop: a sum of a thousand terms is that deep."""
    steps = [node]
    while isinstance(steps[-1].left, Binary):
        steps.append(steps[-1].left)
    value = _value(context, steps[-1].left)
    for step in reversed(steps):
        value = combine(step.operator, value, _value(context, step.right))
    return value


def _members(context: Context, item: Node) -> tuple[Labelled, ...]:
    """What an item adds to an array: one series, or all of another array's."""
    value = _value(context, item)
    if isinstance(value, tuple):
        return value
    if isinstance(value, dict):
        return (Labelled(_label(context, item), value),)
    raise MathTypeError("an array holds time series")


def _label(context: Context, node: Node) -> str:
    name = node.name if isinstance(node, Name) else ""
    return context.metrics[name][0] if name in context.metrics else name


def _call(context: Context, name: str, arguments: tuple[Node, ...]) -> Value:
    if name == "METRICS":
        return _metrics(context, arguments)
    if name == "PERIOD":
        return _period(context, arguments)
    if name in NOT_OFFERED:
        raise MathTypeError(f"the local cloud does not offer the function {name}")
    function = FUNCTIONS.get(name)
    if function is None:
        raise MathSyntaxError(f"Unknown function '{name}'")
    given = [_argument(context, a) for a in arguments]
    try:
        return function(context.scope, *given)
    except TypeError:
        raise MathTypeError(f"{name} does not take these arguments") from None


def _argument(context: Context, node: Node) -> Value | str:
    if isinstance(node, Name) and node.name in WORDS:
        return node.name
    return _value(context, node)


def _metrics(context: Context, arguments: tuple[Node, ...]) -> Value:
    match arguments:
        case ():
            needle = ""
        case (Text(needle),):
            pass
        case _:
            raise MathTypeError("METRICS takes one text at most")
    found = [(label, context.values(i)) for i, (label, _) in context.metrics.items() if needle in i]
    return tuple(Labelled(label, v) for label, v in found if isinstance(v, dict))


def _period(context: Context, arguments: tuple[Node, ...]) -> Value:
    match arguments:
        case (Name(name),) if name in context.metrics:
            return float(context.metrics[name][1])
        case _:
            raise MathTypeError("PERIOD takes a metric, not the result of another expression")
