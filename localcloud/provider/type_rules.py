"""Rules of the real provider that span several properties of one type (its plan-time checks)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from localcloud.provider.coerce import Report
from localcloud.provider.values import UNKNOWN, Properties
from localcloud.stepfunctions import definition

MAX_WILDCARDS = 2
MAX_PATTERN = 4096


def check(name: str, inputs: Properties, report: Report) -> None:
    """Run the type's own check; a type without one passes."""
    if name:
        _CHECKS[name](inputs, report)


def _metric_alarm(inputs: Properties, report: Report) -> None:
    for name in ("comparisonOperator", "evaluationPeriods"):
        if name not in inputs:
            report((name,), f"`{name}` is required with metricName or metricQueries")
    if "metricName" in inputs and ("statistic" in inputs) == ("extendedStatistic" in inputs):
        report(("metricName",), "one of statistic, extendedStatistic must be set with metricName")
    queries = inputs.get("metricQueries", [])
    for i, query in enumerate(queries if isinstance(queries, list) else []):
        if query is not UNKNOWN and "expression" in query and "metric" in query:
            report(("metricQueries", i), "no metricQuery may have both expression and metric")


def _sns_topic(inputs: Properties, report: Report) -> None:
    fifo = inputs.get("fifoTopic") is True
    name = inputs.get("name")
    if isinstance(name, str):
        rule = r"[0-9A-Za-z_-]{1,251}\.fifo" if fifo else r"[0-9A-Za-z_-]{1,256}"
        if not re.fullmatch(rule, name):
            report(("name",), f"invalid topic name {name!r}: must match {rule}")
    for only in ("archivePolicy", "fifoThroughputScope", "contentBasedDeduplication"):
        if not fifo and inputs.get(only):
            report((only,), "can only be set for FIFO topics")


def _sns_subscription(inputs: Properties, report: Report) -> None:
    if inputs.get("filterPolicyScope") and not inputs.get("filterPolicy"):
        report(("filterPolicyScope",), "filterPolicy is required with filterPolicyScope")


def _ecr_repository(inputs: Properties, report: Report) -> None:
    filters = inputs.get("imageTagMutabilityExclusionFilters")
    if not filters or filters is UNKNOWN:
        return
    if not str(inputs.get("imageTagMutability", "MUTABLE")).endswith("_WITH_EXCLUSION"):
        report(
            ("imageTagMutabilityExclusionFilters",),
            "needs imageTagMutability IMMUTABLE_WITH_EXCLUSION or MUTABLE_WITH_EXCLUSION",
        )
    for i, item in enumerate(filters):
        if item is not UNKNOWN and str(item.get("filter", "")).count("*") > MAX_WILDCARDS:
            report(("imageTagMutabilityExclusionFilters", i, "filter"), "holds too many wildcards")


def _lambda_function(inputs: Properties, report: Report) -> None:
    if inputs.get("packageType", "Zip") == "Zip":
        for name in ("handler", "runtime"):
            if name not in inputs:
                report((name,), f"`{name}` must be set when packageType is Zip")


def _state_machine(inputs: Properties, report: Report) -> None:
    """The real provider asks ValidateStateMachineDefinition in the preview."""
    text = inputs.get("definition")
    if isinstance(text, str):
        for problem in definition.problems(text):
            report(("definition",), f"{problem.code}: {problem.message} at {problem.location}")


def _event_rule(inputs: Properties, report: Report) -> None:
    pattern = inputs.get("eventPattern")
    if pattern is None:
        report(("eventPattern",), "one of eventPattern, scheduleExpression must be specified")
    elif isinstance(pattern, str):
        try:
            size = len(json.dumps(json.loads(pattern), separators=(",", ":")))
        except ValueError:
            return  # told by the property's own check
        if size > MAX_PATTERN:
            report(("eventPattern",), f"expected at most {MAX_PATTERN} characters, got {size}")


def _codebuild_project(inputs: Properties, report: Report) -> None:
    cache = inputs.get("cache")
    if not isinstance(cache, dict) or cache.get("location"):
        return
    if cache.get("type", "NO_CACHE") not in ("NO_CACHE", "LOCAL", UNKNOWN):
        report(("cache", "location"), f"cache location is required when type is {cache['type']!r}")


_CHECKS: dict[str, Callable[[Properties, Report], None]] = {
    "metricAlarm": _metric_alarm,
    "snsTopic": _sns_topic,
    "snsSubscription": _sns_subscription,
    "ecrRepository": _ecr_repository,
    "lambdaFunction": _lambda_function,
    "stateMachine": _state_machine,
    "eventRule": _event_rule,
    "codebuildProject": _codebuild_project,
}
