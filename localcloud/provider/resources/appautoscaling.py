"""aws.appautoscaling.Target and Policy; both are written whole, also over one that exists."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

from localcloud.provider.errors import ProviderError, code_of, message_of
from localcloud.provider.naming import physical_name
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties

IDENTITY = ("serviceNamespace", "resourceId", "scalableDimension")


class Scaling(Resource):
    """What Application Auto Scaling holds of a resource."""

    gone = frozenset({"ObjectNotFoundException"})


class Target(Scaling):
    """Its id is the resource id alone, also where a resource has several dimensions."""

    token = "aws:appautoscaling/target:Target"

    def create(self, call: Call) -> None:
        extra = {"Tags": call.tags} if call.tags else {}
        self._register(call, extra)
        call.id = str(call.inputs["resourceId"])

    def read(self, call: Call) -> Properties | None:
        known = call.state or call.inputs
        answer = call.client().describe_scalable_targets(
            ServiceNamespace=known["serviceNamespace"],
            ResourceIds=[known["resourceId"]],
            ScalableDimension=known["scalableDimension"],
        )
        target = next(
            (
                t
                for t in answer["ScalableTargets"]
                if t["ResourceId"] == known["resourceId"]
                and t["ScalableDimension"] == known["scalableDimension"]
            ),
            None,
        )
        if target is None:
            return None
        arn = target["ScalableTargetARN"]
        found = call.properties(target)
        tags = call.client().list_tags_for_resource(ResourceARN=arn)["Tags"]
        return {**found, "arn": arn, "tagsAll": tags}

    def update(self, call: Call, changed: set[str]) -> None:
        self._register(call, {})

    def delete(self, call: Call) -> None:
        call.client().deregister_scalable_target(**_identity(call.state))

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        autoscaling, arn = call.client(), call.state["arn"]
        if removed:
            autoscaling.untag_resource(ResourceARN=arn, TagKeys=removed)
        if added:
            autoscaling.tag_resource(ResourceARN=arn, Tags=added)

    def import_state(self, resource_id: str) -> Properties:
        namespace, *rest = resource_id.split("/")
        if len(rest) < 2:
            raise ProviderError(
                f"{resource_id!r} is not a scalable target's id; write it as "
                "service-namespace/resource-id/scalable-dimension"
            )
        return _state(namespace, "/".join(rest[:-1]), rest[-1])

    def imported_id(self, resource_id: str, found: Properties) -> str:
        return str(found["resourceId"])

    @staticmethod
    def _register(call: Call, extra: dict[str, Any]) -> None:
        request = {**call.request(), **extra}
        autoscaling = call.client()
        retry(
            lambda: autoscaling.register_scalable_target(**request),
            lambda error: "Unable to assume IAM role" in message_of(error),
        )


class Policy(Scaling):
    """Its id is its name alone."""

    token = "aws:appautoscaling/policy:Policy"
    blocks = ("stepScalingPolicyConfiguration", "targetTrackingScalingPolicyConfiguration")

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        call.inputs = {**call.inputs, "name": name}
        self._put(call)
        call.id = name

    def read(self, call: Call) -> Properties | None:
        known, name = call.state or call.inputs, call.id.rsplit("/", 1)[-1]
        answer = call.client().describe_scaling_policies(**_identity(known), PolicyNames=[name])
        policy = next((p for p in answer["ScalingPolicies"] if p["PolicyName"] == name), None)
        if policy is None:
            return None
        return {
            **call.properties(policy),
            "arn": policy["PolicyARN"],
            "alarmArns": [alarm["AlarmARN"] for alarm in policy.get("Alarms", [])],
        }

    def update(self, call: Call, changed: set[str]) -> None:
        self._put(call)

    def delete(self, call: Call) -> None:
        call.client().delete_scaling_policy(**_identity(call.state), PolicyName=call.id)

    def import_state(self, resource_id: str) -> Properties:
        namespace, *rest = resource_id.split("/")
        if len(rest) < 3:
            raise ProviderError(
                f"{resource_id!r} is not a scaling policy's id; write it as "
                "service-namespace/resource-id/scalable-dimension/policy-name"
            )
        *resource, dimension, name = rest
        return {**_state(namespace, "/".join(resource), dimension), "name": name}

    def imported_id(self, resource_id: str, found: Properties) -> str:
        return str(found["name"])

    def _put(self, call: Call) -> None:
        request, autoscaling = call.request(), call.client()
        # The real provider sends a cooldown that was left out as 0.
        step = request.get("StepScalingPolicyConfiguration")
        if step is not None:
            step.setdefault("Cooldown", 0)
        tracking = request.get("TargetTrackingScalingPolicyConfiguration")
        if tracking is not None:
            tracking.setdefault("ScaleInCooldown", 0)
            tracking.setdefault("ScaleOutCooldown", 0)
        retry(
            lambda: autoscaling.put_scaling_policy(**request),
            lambda error: code_of(error) == "FailedResourceAccessException",
        )


def _identity(known: Properties) -> dict[str, str]:
    return {name[:1].upper() + name[1:]: str(known[name]) for name in IDENTITY}


def _state(namespace: str, resource: str, dimension: str) -> Properties:
    return dict(zip(IDENTITY, (namespace, resource, dimension), strict=True))
