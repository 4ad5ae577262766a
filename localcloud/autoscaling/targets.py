"""Scalable targets: registering, describing, deregistering, tags."""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.autoscaling import rules
from localcloud.autoscaling.pages import page
from localcloud.autoscaling.policies import Policies
from localcloud.autoscaling.records import DIMENSION, NAMESPACE, Key, State, Target, split
from localcloud.autoscaling.scaler import Scaler
from localcloud.cloudwatch.paging import when
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]
SUSPENDED = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)
_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


class Targets:
    """The caller takes care that one changes at a time."""

    def __init__(self, state: State, scaler: Scaler, policies: Policies) -> None:
        self._state = state
        self._scaler = scaler
        self._policies = policies

    def register(self, params: Params, context: RequestContext) -> Params:
        """Also changes what is registered: what the request leaves out stays as it is."""
        rules.check_resource(params)
        resource_id = params["ResourceId"]
        endpoint, name = split(resource_id) or ("", "")
        variant = self._scaler.variant(context.region, endpoint, name)
        if variant is None or not variant.is_there:
            # As for the other services ("ECS service doesn't exist: ..."); the exact text is not
            # published for SageMaker.
            raise rules.refuse(f"SageMaker endpoint variant doesn't exist: {resource_id}")
        with self._state.lock:
            known = self._state.targets.get((context.region, resource_id))
            target = self._made(params, context) if known is None else _changed(known, params)
            self._state.targets[target.key] = target
        self._scaler.keep_within(target)
        return {"ScalableTargetARN": target.arn}

    def _made(self, params: Params, context: RequestContext) -> Target:
        bounds = rules.check_bounds(params.get("MinCapacity"), params.get("MaxCapacity"))
        arn = (
            f"arn:aws:application-autoscaling:{context.region}:{context.account_id}:"
            f"scalable-target/{uuid.uuid4()}"
        )
        return Target(
            region=context.region,
            resource_id=params["ResourceId"],
            arn=arn,
            created=context.now.timestamp(),
            minimum=bounds[0],
            maximum=bounds[1],
            suspended=_suspended({}, params),
            tags=rules.check_tags(dict(params.get("Tags") or {})),
        )

    def describe(self, params: Params, context: RequestContext) -> Params:
        wanted = params.get("ResourceIds")
        with self._state.lock:
            found = [
                _described(target, context.account_id)
                for target in self._state.targets.values()
                if target.region == context.region
                and params["ServiceNamespace"] == NAMESPACE
                and params.get("ScalableDimension", DIMENSION) == DIMENSION
                and (not wanted or target.resource_id in wanted)
            ]
        return page(found, params, "ScalableTargets")

    def deregister(self, params: Params, context: RequestContext) -> Params:
        """Policies, with their alarms, and scheduled actions go with the target."""
        resource_id = params["ResourceId"]
        key = (context.region, resource_id)
        with self._state.lock:
            is_known = key in self._state.targets and params["ScalableDimension"] == DIMENSION
        if not is_known:
            raise rules.not_found(f"No scalable target found for {rules.where(resource_id)}")
        self.remove(key)
        return {}

    def remove(self, key: Key) -> None:
        with self._state.lock:
            del self._state.targets[key]
            for name in [n for n, s in self._state.scheduled.items() if s.key == key]:
                del self._state.scheduled[name]
        for policy in self._state.policies_of(key):
            self._policies.remove(policy)

    # tags

    def tag(self, params: Params, _context: RequestContext) -> Params:
        with self._state.lock:
            target = self._by_arn(params["ResourceARN"])
            target.tags = rules.check_tags({**target.tags, **params["Tags"]})
        return {}

    def untag(self, params: Params, _context: RequestContext) -> Params:
        with self._state.lock:
            target = self._by_arn(params["ResourceARN"])
            target.tags = {k: v for k, v in target.tags.items() if k not in params["TagKeys"]}
        return {}

    def list_tags(self, params: Params, _context: RequestContext) -> Params:
        with self._state.lock:
            return {"Tags": dict(self._by_arn(params["ResourceARN"]).tags)}

    def _by_arn(self, arn: str) -> Target:
        for target in self._state.targets.values():
            if target.arn == arn:
                return target
        raise ServiceError(
            "ResourceNotFoundException",
            f"The specified resource doesn't exist: {arn}",
            fields={"ResourceName": arn},
        )


def _changed(target: Target, params: Params) -> Target:
    """The target itself, with everything that was asked for, or nothing of it."""
    if params.get("Tags"):
        # botocore: the parameter is for a new target, TagResource for one that exists.
        raise rules.refuse(
            f"The scalable target {target.resource_id} exists; use TagResource to tag it."
        )
    bounds = (params.get("MinCapacity", target.minimum), params.get("MaxCapacity", target.maximum))
    target.minimum, target.maximum = rules.check_bounds(*bounds)
    target.suspended = _suspended(target.suspended, params)
    return target


def _suspended(known: dict[str, bool], params: Params) -> dict[str, bool]:
    given: dict[str, bool] = params.get("SuspendedState") or {}
    return {name: bool(given.get(name, known.get(name, False))) for name in SUSPENDED}


def _described(target: Target, account: str) -> Params:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "MinCapacity": target.minimum,
        "MaxCapacity": target.maximum,
        # Whatever role was given, SageMaker's own service-linked role is used.
        "RoleARN": f"arn:aws:iam::{account}:{_ROLE}",
        "CreationTime": when(target.created),
        "SuspendedState": dict(target.suspended),
        "ScalableTargetARN": target.arn,
    }
