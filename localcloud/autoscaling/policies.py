"""Scaling policies, and the alarms that belong to them."""

from __future__ import annotations

import copy
import logging
import uuid
from typing import Any

from localcloud.autoscaling import rules, tracking
from localcloud.autoscaling.measures import CLOUDWATCH, alarms_of
from localcloud.autoscaling.pages import page
from localcloud.autoscaling.records import DIMENSION, NAMESPACE, STEP, TRACKING, Policy, State
from localcloud.cloudwatch.paging import when
from localcloud.in_process import Caller
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]
log = logging.getLogger(__name__)


class Policies:
    """The caller takes care that one changes at a time."""

    def __init__(self, state: State, call: Caller) -> None:
        self._state = state
        self._call = call

    def put(self, params: Params, context: RequestContext) -> Params:
        rules.check_resource(params)
        resource_id, name = params["ResourceId"], params["PolicyName"]
        with self._state.lock:
            if (context.region, resource_id) not in self._state.targets:
                raise rules.not_found(
                    f"No scalable target registered for {rules.where(resource_id)}"
                )
            known = self._state.policies.get((context.region, resource_id, name))
            others = self._state.policies_of((context.region, resource_id))
        policy = _wanted(params, context, known)
        rules.check_policy(policy, others)
        if policy.type == TRACKING:
            self._put_alarms(policy, known)
        with self._state.lock:
            self._state.policies[(*policy.key, policy.name)] = policy
        return {"PolicyARN": policy.arn, "Alarms": self._shown_alarms(policy)}

    def _put_alarms(self, policy: Policy, known: Policy | None) -> None:
        """A policy that tracks what it did before keeps its alarms, and they their states."""
        is_same = known is not None and tracking.metric_of(known) == tracking.metric_of(policy)
        if known is not None and is_same and known.alarms:
            unique = [name[-36:] for name in known.alarms]
        else:
            unique = [str(uuid.uuid4()), str(uuid.uuid4())]
        kinds = (tracking.HIGH, tracking.LOW)
        policy.alarms = [
            tracking.alarm_name(policy, kind, one) for kind, one in zip(kinds, unique, strict=True)
        ]
        try:
            for kind, name, one in zip(kinds, policy.alarms, unique, strict=True):
                alarm = tracking.alarm(policy, kind, name, one)
                self._call(CLOUDWATCH, "PutMetricAlarm", policy.region, alarm)
        except ServiceError as error:
            if not is_same:
                self._delete_alarms(policy)
            raise rules.refuse(error.message) from error
        if known is not None and not is_same:
            self._delete_alarms(known)

    def describe(self, params: Params, context: RequestContext) -> Params:
        rules.check_filter(params)
        names, resource_id = params.get("PolicyNames"), params.get("ResourceId")
        with self._state.lock:
            found = [
                policy
                for policy in self._state.policies.values()
                if policy.region == context.region
                and params["ServiceNamespace"] == NAMESPACE
                and params.get("ScalableDimension", DIMENSION) == DIMENSION
                and resource_id in (None, policy.resource_id)
                and (not names or policy.name in names or policy.arn in names)
            ]
        answer = page([{"policy": p} for p in found], params, "found")
        shown = [self._described(item["policy"]) for item in answer.pop("found")]
        return {**answer, "ScalingPolicies": shown}

    def _described(self, policy: Policy) -> Params:
        block = (
            "TargetTrackingScalingPolicyConfiguration"
            if policy.type == TRACKING
            else "StepScalingPolicyConfiguration"
        )
        return {
            "PolicyARN": policy.arn,
            "PolicyName": policy.name,
            "ServiceNamespace": NAMESPACE,
            "ResourceId": policy.resource_id,
            "ScalableDimension": DIMENSION,
            "PolicyType": policy.type,
            block: copy.deepcopy(policy.config),
            "Alarms": self._shown_alarms(policy),
            "CreationTime": when(policy.created),
        }

    def _shown_alarms(self, policy: Policy) -> list[Params]:
        """Those that have the policy as their action, whoever made them."""
        return [
            {"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]}
            for alarm in alarms_of(self._call, policy)
        ]

    def delete(self, params: Params, context: RequestContext) -> Params:
        resource_id, name = params["ResourceId"], params["PolicyName"]
        with self._state.lock:
            policy = self._state.policies.get((context.region, resource_id, name))
        if policy is None or params["ScalableDimension"] != DIMENSION:
            raise rules.not_found(
                f"No scaling policy found for {rules.where(resource_id)}, policy name: {name}"
            )
        self.remove(policy)
        return {}

    def remove(self, policy: Policy) -> None:
        """With the alarms that it made; those that people made for a step policy stay."""
        with self._state.lock:
            self._state.policies.pop((*policy.key, policy.name), None)
        self._delete_alarms(policy)

    def _delete_alarms(self, policy: Policy) -> None:
        for name in policy.alarms:
            try:
                self._call(CLOUDWATCH, "DeleteAlarms", policy.region, {"AlarmNames": [name]})
            except ServiceError as error:
                # Gone already, or a composite alarm depends on it: then it stays, as on AWS.
                log.warning("the alarm %s of %s: %s", name, policy.name, error.message)

    def by_action(self, arn: str) -> Policy | None:
        """The policy that an alarm's action names."""
        with self._state.lock:
            for policy in self._state.policies.values():
                if arn == policy.arn or arn.startswith(f"{policy.arn}:"):
                    return policy
        return None


def _wanted(params: Params, context: RequestContext, known: Policy | None) -> Policy:
    kind = params.get("PolicyType", STEP if known is None else known.type)
    if known is not None and kind != known.type:
        raise rules.refuse(
            f"The policy {known.name} is of type {known.type}, which cannot be changed; delete it "
            "first."
        )
    config = rules.config_of(kind, params)
    if config is None:
        if known is None:
            raise rules.refuse(f"A policy of type {kind} needs its configuration.")
        config = known.config
    resource_id, name = params["ResourceId"], params["PolicyName"]
    arn = (
        f"arn:aws:autoscaling:{context.region}:{context.account_id}:scalingPolicy:{uuid.uuid4()}:"
        f"resource/{NAMESPACE}/{resource_id}:policyName/{name}"
    )
    return Policy(
        region=context.region,
        resource_id=resource_id,
        name=name,
        type=kind,
        arn=arn if known is None else known.arn,
        created=context.now.timestamp() if known is None else known.created,
        config=copy.deepcopy(config),
    )
