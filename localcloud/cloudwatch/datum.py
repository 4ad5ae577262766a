"""What PutMetricData takes: one checked point for the store, or AWS's refusal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localcloud.cloudwatch.queries import key_of
from localcloud.cloudwatch.samples import StatisticSet
from localcloud.cloudwatch.store import MetricKey
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]
MAX_METRICS = 1_000
MAX_VALUES = 150
MAX_BYTES = 1_000_000
MAX_MAGNITUDE = 2.0**360
PAST_SECONDS = 14 * 24 * 3600
FUTURE_SECONDS = 2 * 3600


@dataclass(frozen=True)
class Put:
    """The arguments of :meth:`localcloud.cloudwatch.store.MetricStore.put`."""

    key: MetricKey
    at: float
    unit: str
    values: dict[float, float]
    summary: StatisticSet | None
    fine: bool


def checked(params: Params, context: RequestContext) -> list[Put]:
    """Every point of the request; none is stored when one is refused.

    Raises:
        ServiceError: a limit of PutMetricData is broken.
    """
    namespace = params["Namespace"]
    if namespace.startswith("AWS/"):
        raise _value("The value AWS/ for parameter Namespace is invalid.")
    data = list(_data(params))
    if not data:
        raise ServiceError(
            "MissingParameter", "The parameter MetricData is required and must not be empty."
        )
    if len(data) > MAX_METRICS:
        raise ServiceError(
            "InvalidParameterCombination",
            f"The collection MetricData must not have a size greater than {MAX_METRICS}.",
        )
    if sum(_size(datum) for _, datum in data) > MAX_BYTES:
        raise ServiceError(
            "RequestEntityTooLarge",
            f"The request must be smaller than {MAX_BYTES} bytes.",
            413,
        )
    return [_put(where, datum, namespace, context) for where, datum in data]


def _data(params: Params) -> Iterator[tuple[str, Params]]:
    for index, datum in enumerate(params.get("MetricData") or [], start=1):
        yield f"MetricData.member.{index}", datum
    for outer, entity in enumerate(params.get("EntityMetricData") or [], start=1):
        for index, datum in enumerate(entity.get("MetricData") or [], start=1):
            yield f"EntityMetricData.member.{outer}.MetricData.member.{index}", datum


def _put(where: str, datum: Params, namespace: str, context: RequestContext) -> Put:
    return Put(
        key_of({**datum, "Namespace": namespace}, context.region),
        _timestamp(where, datum, context),
        datum.get("Unit", "None"),
        _values(where, datum),
        _summary(where, datum),
        _is_fine(where, datum),
    )


def _timestamp(where: str, datum: Params, context: RequestContext) -> float:
    now = context.now.timestamp()
    if "Timestamp" not in datum:
        return now
    at = float(datum["Timestamp"].timestamp())
    if at < now - PAST_SECONDS:
        raise _value(
            f"The parameter {where}.Timestamp must specify a time within the past two weeks."
        )
    if at > now + FUTURE_SECONDS:
        raise _value(
            f"The parameter {where}.Timestamp must specify a time no more than two hours in the "
            "future."
        )
    return at


def _values(where: str, datum: Params) -> dict[float, float]:
    given = [k for k in ("Value", "Values", "StatisticValues") if k in datum]
    if not given:
        raise ServiceError(
            "MissingParameter",
            f"At least one of the parameters {where}.Value, {where}.Values and "
            f"{where}.StatisticValues must be specified.",
        )
    if len(given) > 1:
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and "
            "you have specified both.",
        )
    if "Value" in datum:
        return {_number(f"{where}.Value", datum["Value"]): 1.0}
    values: list[float] = datum.get("Values") or []
    counts: list[float] = datum.get("Counts") or [1.0] * len(values)
    if len(values) > MAX_VALUES:
        raise _value(
            f"The collection {where}.Values must not have a size greater than {MAX_VALUES}."
        )
    if len(values) != len(counts):
        raise _value(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    found: dict[float, float] = {}
    for index, (value, count) in enumerate(zip(values, counts, strict=True), start=1):
        number = _number(f"{where}.Values.member.{index}", value)
        times = _number(f"{where}.Counts.member.{index}", count)
        if times < 0:
            raise _value(f"The value {count:g} for parameter {where}.Counts is invalid.")
        found[number] = found.get(number, 0.0) + times
    return found


def _summary(where: str, datum: Params) -> StatisticSet | None:
    given = datum.get("StatisticValues")
    if given is None:
        return None
    names = ("SampleCount", "Sum", "Minimum", "Maximum")
    path = f"{where}.StatisticValues"
    summary = StatisticSet(*(_number(f"{path}.{n}", given[n]) for n in names))
    if summary.count <= 0:
        raise _value(f"The value {summary.count:g} for parameter {path}.SampleCount is invalid.")
    if summary.minimum > summary.maximum:
        raise _value(f"The parameter {path}.Maximum must not be less than {path}.Minimum.")
    return summary


def _number(where: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number) or abs(number) > MAX_MAGNITUDE:
        raise _value(f"The value {value:g} for parameter {where} is invalid.")
    # -0.0 and 0.0 are one value.
    return number + 0.0


def _is_fine(where: str, datum: Params) -> bool:
    resolution = datum.get("StorageResolution", 60)
    if resolution not in (1, 60):
        raise _value(
            f"The value {resolution} for parameter {where}.StorageResolution is invalid: it is 1 "
            "or 60."
        )
    return resolution == 1


def _size(datum: Params) -> int:
    """The least that a datum takes on the wire."""
    names = sum(len(d["Name"]) + len(d["Value"]) for d in datum.get("Dimensions") or [])
    numbers = len(datum.get("Values") or []) + len(datum.get("Counts") or [])
    return len(datum["MetricName"]) + names + 8 * numbers


def _value(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message)
