"""What Application Auto Scaling refuses beyond its service model, and how it says so. Pure.

The texts of missing targets and policies, and of a metric that is tracked twice, are AWS's; the
others say the same in our words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

from localcloud.autoscaling.records import DIMENSION, NAMESPACE, STEP, TRACKING, Policy, split
from localcloud.autoscaling.tracking import PREDEFINED, metric_of
from localcloud.service import ServiceError

Params = dict[str, Any]
MAX_TAGS = 50
MAX_STEPS = 20
_BLOCKS = {
    TRACKING: "TargetTrackingScalingPolicyConfiguration",
    STEP: "StepScalingPolicyConfiguration",
}
_STATISTICS = ("Average", "Minimum", "Maximum", "SampleCount", "Sum")


def refuse(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def not_found(message: str) -> ServiceError:
    return ServiceError("ObjectNotFoundException", message)


def where(resource_id: str) -> str:
    return (
        f"service namespace: {NAMESPACE}, resource ID: {resource_id}, "
        f"scalable dimension: {DIMENSION}"
    )


def check_resource(params: Params) -> None:
    """Raises ``ValidationException`` for what the local cloud does not scale."""
    if params["ServiceNamespace"] != NAMESPACE or params["ScalableDimension"] != DIMENSION:
        raise refuse(
            f"The local cloud scales {DIMENSION} of {NAMESPACE} only; "
            f"{params['ScalableDimension']} of {params['ServiceNamespace']} came."
        )
    if split(params["ResourceId"]) is None:
        # AWS's words for a resource id that is not of the dimension's kind.
        raise refuse("Unsupported service namespace, resource type or scalable dimension")


def check_filter(params: Params) -> None:
    if "ScalableDimension" in params and "ResourceId" not in params:
        raise refuse("If you specify a scalable dimension, you must also specify a resource ID.")


def check_bounds(minimum: int | None, maximum: int | None) -> tuple[int, int]:
    if minimum is None or maximum is None:
        raise refuse("MinCapacity and MaxCapacity are required to register a new scalable target.")
    # Facts 6: the API takes 0, a classic real-time variant does not.
    if minimum < 1:
        raise refuse(
            f"Minimum capacity {minimum} is not supported for a real-time variant; it must be at "
            "least 1."
        )
    if maximum < minimum:
        raise refuse("Maximum capacity cannot be less than minimum capacity")
    return minimum, maximum


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    if any(key.lower().startswith("aws:") for key in tags):
        raise refuse("Tag keys that begin with aws: are reserved for AWS.")
    if len(tags) > MAX_TAGS:
        raise ServiceError(
            "TooManyTagsException", f"A scalable target can have at most {MAX_TAGS} tags."
        )
    return tags


def config_of(policy_type: str, params: Params) -> Params | None:
    """The policy's own block, None where it was left out; another's is refused."""
    if policy_type not in _BLOCKS:
        raise refuse(f"The policy type {policy_type} is not supported for {NAMESPACE}.")
    for kind, block in _BLOCKS.items():
        if kind != policy_type and block in params:
            raise refuse(f"{block} cannot be specified for a policy of type {policy_type}.")
    return params.get(_BLOCKS[policy_type])


def check_policy(policy: Policy, others: Iterable[Policy]) -> None:
    if policy.type == STEP:
        _check_steps(policy.config)
        return
    _check_tracking(policy.config)
    metric = metric_of(policy)
    if any(o.type == TRACKING and o.name != policy.name and metric_of(o) == metric for o in others):
        raise refuse(
            "Only one TargetTrackingScaling policy for a given metric specification is allowed."
        )


def _check_tracking(config: Params) -> None:
    predefined = config.get("PredefinedMetricSpecification")
    custom = config.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        raise refuse(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must "
            "be specified."
        )
    target = float(config["TargetValue"])
    if not math.isfinite(target) or target <= 0:
        raise refuse(f"TargetValue must be greater than 0; it is {target:g}.")
    _check_cooldowns(config, "ScaleInCooldown", "ScaleOutCooldown")
    if predefined is not None:
        kind = predefined["PredefinedMetricType"]
        if kind not in PREDEFINED:
            raise refuse(
                f"The predefined metric type {kind} is not supported for {DIMENSION}; use one of "
                f"{', '.join(PREDEFINED)}."
            )
        if "ResourceLabel" in predefined:
            raise refuse(f"A resource label cannot be specified for {kind}.")
    elif custom is not None:
        _check_custom(custom)


def _check_custom(custom: Params) -> None:
    single = [k for k in ("MetricName", "Namespace", "Statistic", "Dimensions") if k in custom]
    if custom.get("Metrics"):
        if single:
            raise refuse(f"Metrics and {single[0]} cannot be specified together.")
        return
    missing = [k for k in ("MetricName", "Namespace", "Statistic") if k not in custom]
    if missing:
        raise refuse(f"CustomizedMetricSpecification needs {', '.join(missing)} (or Metrics).")
    if custom["Statistic"] not in _STATISTICS:
        raise refuse(f"Statistic must be one of {', '.join(_STATISTICS)}.")


def _check_cooldowns(config: Params, *names: str) -> None:
    for name in names:
        if int(config.get(name, 0)) < 0:
            raise refuse(f"{name} must not be negative; it is {config[name]}.")


def _check_steps(config: Params) -> None:
    kind, steps = config.get("AdjustmentType"), config.get("StepAdjustments") or []
    if kind is None or not steps:
        raise refuse("A step scaling policy needs AdjustmentType and StepAdjustments.")
    if len(steps) > MAX_STEPS:
        raise refuse(f"A policy has at most {MAX_STEPS} step adjustments; {len(steps)} came.")
    _check_cooldowns(config, "Cooldown")
    if "MinAdjustmentMagnitude" in config and kind != "PercentChangeInCapacity":
        raise refuse("MinAdjustmentMagnitude is only for PercentChangeInCapacity.")
    if kind == "ExactCapacity" and any(s["ScalingAdjustment"] < 0 for s in steps):
        raise refuse("ScalingAdjustment must not be negative with ExactCapacity.")
    _check_intervals(steps)


def _check_intervals(steps: list[Params]) -> None:
    """The rules of botocore's text of StepAdjustment."""
    low, high = "MetricIntervalLowerBound", "MetricIntervalUpperBound"
    bounds = sorted((s.get(low, -math.inf), s.get(high, math.inf)) for s in steps)
    if any(low not in s and high not in s for s in steps):
        raise refuse("The upper and lower bound of a step adjustment cannot both be null.")
    if any(upper <= lower for lower, upper in bounds):
        raise refuse("The upper bound of a step adjustment must be greater than its lower bound.")
    if any(before[1] != after[0] for before, after in itertools.pairwise(bounds)):
        raise refuse("The ranges of step adjustments cannot overlap or have a gap.")
    if -math.inf < bounds[0][0] < 0:
        raise refuse("With a negative lower bound, one step adjustment needs a null lower bound.")
    if 0 < bounds[-1][1] < math.inf:
        raise refuse("With a positive upper bound, one step adjustment needs a null upper bound.")
