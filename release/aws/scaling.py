"""Application Auto Scaling of an endpoint's variants: read exactly, removed, and put back."""

from __future__ import annotations

from typing import Any

from contracts.release_manifest import LIVE_VARIANT
from release.actions import RemoveScaling, RestoreScaling, SetScaling
from release.aws.call import RefusedError, UnavailableError, call, delete
from release.errors import AwsError
from release.observation import ScalingTarget

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
SUSPENDED = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)
POLICY_KEYS = (
    "PolicyName",
    "PolicyType",
    "StepScalingPolicyConfiguration",
    "TargetTrackingScalingPolicyConfiguration",
    "PredictiveScalingPolicyConfiguration",
)
SCHEDULED_KEYS = (
    "Schedule",
    "Timezone",
    "ScheduledActionName",
    "StartTime",
    "EndTime",
    "ScalableTargetAction",
)
TIMES = ("StartTime", "EndTime")


def read(scaling: Any, endpoint_name: str, variant: str) -> ScalingTarget | None:
    """The variant's scalable target with its policies and schedules; None where it has none."""
    place = _place(endpoint_name, variant)
    targets = _targets(scaling, place)
    if not targets:
        return None
    target = targets[0]
    state = target.get("SuspendedState") or {}
    policies = _all(scaling.describe_scaling_policies, "ScalingPolicies", place)
    scheduled = _all(scaling.describe_scheduled_actions, "ScheduledActions", place)
    return ScalingTarget(
        min_capacity=int(target["MinCapacity"]),
        max_capacity=int(target["MaxCapacity"]),
        suspended={name: bool(state.get(name, False)) for name in SUSPENDED},
        policies=tuple({k: p[k] for k in POLICY_KEYS if p.get(k) is not None} for p in policies),
        scheduled=tuple(_scheduled(s) for s in scheduled),
        tags=_tags(scaling, str(target.get("ScalableTargetARN", ""))),
    )


def _tags(scaling: Any, arn: str) -> dict[str, str]:
    if not arn:
        return {}
    try:
        return dict(call(scaling.list_tags_for_resource, ResourceARN=arn).get("Tags") or {})
    except AwsError:
        # Without the permission its tags are not put back; the target itself is.
        return {}


def _scheduled(action: dict[str, Any]) -> dict[str, Any]:
    """Times as epoch seconds: the state is JSON."""
    kept = {k: action[k] for k in SCHEDULED_KEYS if action.get(k) is not None}
    return kept | {k: kept[k].timestamp() for k in TIMES if k in kept}


def execute(
    scaling: Any, endpoint_name: str, action: SetScaling | RemoveScaling | RestoreScaling
) -> None:
    match action:
        case SetScaling(suspended):
            _set(scaling, endpoint_name, suspended)
        case RemoveScaling(variant):
            _remove(scaling, _place(endpoint_name, variant))
        case RestoreScaling(target):
            _restore(scaling, _place(endpoint_name, LIVE_VARIANT), target)


def _set(scaling: Any, endpoint_name: str, suspended: dict[str, bool]) -> None:
    place = _place(endpoint_name, LIVE_VARIANT)
    if _targets(scaling, place):
        call(scaling.register_scalable_target, **place, SuspendedState=suspended)


def _remove(scaling: Any, place: dict[str, str]) -> None:
    """Schedules and policies first, then the target: so it is known to leave nothing behind."""
    for name in _scheduled_names(scaling, place):
        delete(
            scaling.delete_scheduled_action,
            lambda name=name: name not in _scheduled_names(scaling, place),
            **place,
            ScheduledActionName=name,
        )
    for name in _policy_names(scaling, place):
        delete(
            scaling.delete_scaling_policy,
            lambda name=name: name not in _policy_names(scaling, place),
            **place,
            PolicyName=name,
        )
    delete(scaling.deregister_scalable_target, lambda: not _targets(scaling, place), **place)


def _scheduled_names(scaling: Any, place: dict[str, str]) -> list[str]:
    listed = _all(scaling.describe_scheduled_actions, "ScheduledActions", place)
    return [str(action["ScheduledActionName"]) for action in listed]


def _policy_names(scaling: Any, place: dict[str, str]) -> list[str]:
    listed = _all(scaling.describe_scaling_policies, "ScalingPolicies", place)
    return [str(policy["PolicyName"]) for policy in listed]


def _targets(scaling: Any, place: dict[str, str]) -> list[dict[str, Any]]:
    answer = call(
        scaling.describe_scalable_targets,
        ServiceNamespace=NAMESPACE,
        ResourceIds=[place["ResourceId"]],
        ScalableDimension=DIMENSION,
    )
    return answer["ScalableTargets"]


def _restore(scaling: Any, place: dict[str, str], target: ScalingTarget) -> None:
    tags = {"Tags": target.tags} if target.tags else {}
    register = {
        **place,
        "MinCapacity": target.min_capacity,
        "MaxCapacity": target.max_capacity,
        "SuspendedState": target.suspended,
    }
    try:
        call(scaling.register_scalable_target, **register, **tags)
    except RefusedError:
        # Tags are taken only where the target is new.
        call(scaling.register_scalable_target, **register)
    problems: list[RefusedError | UnavailableError] = []
    for policy in target.policies:
        what = f"policy {policy['PolicyName']}"
        problems += _problem(what, scaling.put_scaling_policy, **place, **policy)
    for action in target.scheduled:
        what = f"scheduled action {action['ScheduledActionName']}"
        problems += _problem(what, scaling.put_scheduled_action, **place, **action)
    if problems:
        raise _together(problems)


def _problem(
    what: str, function: Any, **arguments: Any
) -> tuple[RefusedError | UnavailableError, ...]:
    """Nothing where it was done; one that is refused must not keep the next from its place."""
    try:
        call(function, **arguments)
    except RefusedError as error:
        return (RefusedError(f"{what}: {error}", error.code, error.response),)
    except UnavailableError as error:
        return (UnavailableError(f"{what}: {error}"),)
    return ()


def _together(problems: list[RefusedError | UnavailableError]) -> AwsError:
    """All of them as one; not answered if any was not, for that is tried again."""
    text = "; ".join(str(p) for p in problems)
    refused = [p for p in problems if isinstance(p, RefusedError)]
    if len(refused) < len(problems):
        return UnavailableError(text)
    return RefusedError(text, refused[0].code, refused[0].response)


def _place(endpoint_name: str, variant: str) -> dict[str, str]:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": f"endpoint/{endpoint_name}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


def _all(function: Any, key: str, place: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = call(function, **place, **token)
        found += answer[key]
        if not answer.get("NextToken"):
            return found
        token = {"NextToken": answer["NextToken"]}
