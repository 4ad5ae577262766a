"""What PutMetricAlarm refuses beyond its service model. Pure."""

from __future__ import annotations

import math
import re
from typing import Any

from localcloud.cloudwatch import statistics
from localcloud.cloudwatch.alarms import COMPARISONS, MISSING_MODES, period_of
from localcloud.cloudwatch.queries import Queries
from localcloud.cloudwatch.store import MetricStore
from localcloud.service import ServiceError

Params = dict[str, Any]
ACTION_KEYS = ("OKActions", "AlarmActions", "InsufficientDataActions")
MAX_TAGS = 50
_DAY, _WEEK, _HOUR = 86_400, 604_800, 3_600
_ARN = re.compile(r"arn:[^:\s]+:[^:\s]+:[^:\s]*:[^:\s]*:\S+")
_PERIODS = (10, 20, 30)
_NOT_OFFERED = ("ThresholdMetricId", "EvaluationCriteria", "EvaluationWindow")
_LOW_SAMPLES = ("evaluate", "ignore")


def check(params: Params) -> None:
    """Raises ``ValidationError`` or ``MissingParameter`` for what no alarm can be made of."""
    for name in _NOT_OFFERED:
        if name in params:
            raise _refuse(f"The local cloud does not offer {name}; use a Threshold.")
    if params.get("Metrics"):
        _check_queries(params)
    else:
        _check_metric(params)
    _check_threshold(params)
    _check_range(params)
    check_actions(params)


def check_actions(params: Params) -> None:
    """Actions are ARNs, of whatever service; tags are few."""
    for key in ACTION_KEYS:
        for action in params.get(key) or []:
            if not _ARN.fullmatch(action):
                raise _refuse(f"Invalid arn syntax: {action}")
    if len(params.get("Tags") or []) > MAX_TAGS:
        raise _refuse(f"An alarm can have {MAX_TAGS} tags at most.")


def queries_of(params: Params) -> list[Params]:
    """An alarm's metric, or its metric math, as queries of which one returns data."""
    if params.get("Metrics"):
        return [{**q, "ReturnData": q.get("ReturnData", True)} for q in params["Metrics"]]
    metric = {k: params[k] for k in ("Namespace", "MetricName", "Dimensions") if k in params}
    stat: Params = {
        "Metric": metric,
        "Period": params["Period"],
        "Stat": params.get("Statistic") or params["ExtendedStatistic"],
    }
    if "Unit" in params:
        stat["Unit"] = params["Unit"]
    return [{"Id": "m1", "MetricStat": stat, "ReturnData": True}]


def _check_metric(params: Params) -> None:
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise ServiceError(
                "MissingParameter", f"The request must contain the parameter {name}."
            )
    given = [k for k in ("Statistic", "ExtendedStatistic") if params.get(k)]
    if len(given) != 1:
        raise _refuse("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if "ExtendedStatistic" in given:
        try:
            extended = statistics.parse(params["ExtendedStatistic"])
        except ServiceError as error:
            raise _refuse(error.message) from None
        if extended is None:
            raise _refuse(f"{params['ExtendedStatistic']} is a Statistic, not an extended one.")


def _check_queries(params: Params) -> None:
    single = ("MetricName", "Namespace", "Dimensions", "Period", "Statistic", "ExtendedStatistic")
    given = [k for k in (*single, "Unit") if params.get(k)]
    if given:
        raise _refuse(f"Metrics list and {given[0]} must not be specified together.")
    queries = queries_of(params)
    returning = [q["Id"] for q in queries if q["ReturnData"]]
    if len(returning) != 1:
        raise _refuse("Exactly one element of the metrics list should return data.")
    # An empty store tells everything but the values: syntax, ids and kinds.
    series = Queries(MetricStore(), queries, "", 0, period_of(params)).series(returning[0])
    if len(series) != 1 or series[0].label:
        raise _refuse("The metrics list must return a single time series.")


def _check_threshold(params: Params) -> None:
    if "ComparisonOperator" not in params:
        raise ServiceError(
            "MissingParameter", "The request must contain the parameter ComparisonOperator."
        )
    if params["ComparisonOperator"] not in COMPARISONS:
        allowed = ", ".join(COMPARISONS)
        raise _refuse(f"The local cloud offers no anomaly detection; use one of {allowed}.")
    if "Threshold" not in params:
        raise ServiceError("MissingParameter", "The request must contain the parameter Threshold.")
    if not math.isfinite(params["Threshold"]):
        raise _refuse(f"Threshold must be a finite number; it is {params['Threshold']}.")
    if params.get("TreatMissingData", "missing") not in MISSING_MODES:
        raise _refuse(f"TreatMissingData must be one of {', '.join(MISSING_MODES)}.")
    if "EvaluateLowSampleCountPercentile" in params:
        if params["EvaluateLowSampleCountPercentile"] not in _LOW_SAMPLES:
            raise _refuse("EvaluateLowSampleCountPercentile must be evaluate or ignore.")
        if not str(params.get("ExtendedStatistic", "")).startswith("p"):
            raise _refuse(
                "EvaluateLowSampleCountPercentile is only for alarms based on percentiles."
            )


def _check_range(params: Params) -> None:
    if "EvaluationPeriods" not in params:
        raise ServiceError(
            "MissingParameter", "The request must contain the parameter EvaluationPeriods."
        )
    if params.get("DatapointsToAlarm", 1) > params["EvaluationPeriods"]:
        raise _refuse("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    period = period_of(params)
    if period not in _PERIODS and (period < 60 or period % 60):
        raise _refuse(f"Period must be 10, 20, 30 or a multiple of 60; it is {period}.")
    limit = _WEEK if period >= _HOUR else _DAY
    if period * params["EvaluationPeriods"] > limit:
        raise _refuse(
            f"Metrics cannot be checked across more than {limit} s (EvaluationPeriods * Period)."
        )


def _refuse(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
