"""Carries decisions out: calls SageMaker, and keeps the book of activities."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.autoscaling.decisions import AT_MAXIMUM, AT_MINIMUM, Hold, Situation, decide
from localcloud.autoscaling.measures import measured
from localcloud.autoscaling.proposals import proposals
from localcloud.autoscaling.records import (
    FAILED,
    IN_PROGRESS,
    NAMESPACE,
    OVERRIDDEN,
    SUCCESSFUL,
    Activity,
    Change,
    Key,
    Policy,
    State,
    Target,
)
from localcloud.clock import Clock
from localcloud.in_process import Caller
from localcloud.service import ServiceError

Params = dict[str, Any]
IN_SERVICE = "InService"
_MOVING = frozenset({"Updating", "SystemUpdating", "RollingBack"})
_NOT_THERE = frozenset({"Creating", "Failed", "Deleting", "OutOfService"})
_ALARM_DESCRIPTION = "Attempting to scale due to alarm triggered"


@dataclass(frozen=True)
class Variant:
    """The status of its endpoint, how many instances it is to have, and why it has not."""

    status: str
    count: int
    failure: str | None

    @property
    def is_active(self) -> bool:
        return self.status == IN_SERVICE

    @property
    def is_there(self) -> bool:
        """Whether it can be a scalable target."""
        return self.status not in _NOT_THERE

    @property
    def is_changing(self) -> bool:
        return self.status in _MOVING


class Scaler:
    """One caller at a time; no lock of the state is held while another service is called."""

    def __init__(
        self, state: State, call: Caller, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self._state = state
        self._call = call
        self._clock = clock
        self._on_change = on_change

    def variant(self, region: str, endpoint: str, name: str) -> Variant | None:
        """None where the endpoint or the variant is missing."""
        try:
            answer = self._call(NAMESPACE, "DescribeEndpoint", region, {"EndpointName": endpoint})
        except ServiceError:
            return None
        if answer["EndpointName"] != endpoint:  # facts 6: here the case matters
            return None
        for found in answer.get("ProductionVariants", []):
            if found["VariantName"] == name:
                return Variant(
                    answer["EndpointStatus"],
                    int(found["DesiredInstanceCount"]),
                    answer.get("FailureReason"),
                )
        return None

    # what sets scaling off

    def follow(self, policy: Policy) -> None:
        """An alarm of this policy wants something: ask all policies, do what the largest wants."""
        target = self._state.targets.get(policy.key)
        if target is None:
            return
        self.settle(target.key)
        found = self.variant(target.region, target.endpoint, target.variant)
        if found is None or self._running(target.key) is not None:
            return
        situation = self._situation(target, found.count)
        wanted = [
            (one, measured(self._call, one, situation.now))
            for one in self._state.policies_of(target.key)
        ]
        decision = decide(situation, proposals(situation, wanted))
        if decision is None:
            return
        proposal = decision.proposal
        cause = f"monitor alarm {proposal.alarm} in state ALARM triggered policy {proposal.policy}"
        if isinstance(decision, Hold):
            self._hold(target, situation, decision, cause)
        else:
            self._scale(target, situation.current, decision.desired, cause)

    def keep_within(self, target: Target) -> None:
        """Bring a count that is outside the bounds inside; not while the endpoint is changing."""
        self.settle(target.key)
        found = self.variant(target.region, target.endpoint, target.variant)
        if found is None or not found.is_active:
            return
        current = found.count
        desired = self._situation(target, current).within(current)
        if desired != current:
            bound = "minimum" if desired > current else "maximum"
            self._scale(target, current, desired, f"{bound} capacity was set to {desired}")

    def refuse(self, target: Target, cause: str, reason: str) -> None:
        """Note what was to be done and cannot be."""
        activity = self._activity(target, target.minimum, target.minimum, cause)
        self._fail(activity, reason)
        self._state.add(activity)
        self._on_change()

    def settle(self, key: Key | None = None) -> None:
        """See what has become of activities that were under way."""
        with self._state.lock:
            running = [
                a
                for a in self._state.activities
                if a.status == IN_PROGRESS and key in (None, a.key)
            ]
        for activity in running:
            self._settle(activity)

    # steps

    def _situation(self, target: Target, current: int) -> Situation:
        suspended = target.suspended
        return Situation(
            current=current,
            minimum=target.minimum,
            maximum=target.maximum,
            now=self._clock.timestamp(),
            is_out_suspended=suspended.get("DynamicScalingOutSuspended", False),
            is_in_suspended=suspended.get("DynamicScalingInSuspended", False),
            last_out=target.last_out,
            last_in=target.last_in,
        )

    def _scale(self, target: Target, before: int, desired: int, cause: str) -> None:
        activity = self._activity(target, before, desired, cause)
        update = {"VariantName": target.variant, "DesiredInstanceCount": desired}
        params: Params = {
            "EndpointName": target.endpoint,
            "DesiredWeightsAndCapacities": [update],
        }
        try:
            self._call(NAMESPACE, "UpdateEndpointWeightsAndCapacities", target.region, params)
        except ServiceError as error:
            reason = f"{error.message} (Service: SageMaker; Error Code: {error.code})"
            self._fail(activity, reason)
        self._state.add(activity)
        self._on_change()

    def _activity(self, target: Target, before: int, desired: int, cause: str) -> Activity:
        return Activity(
            id=str(uuid.uuid4()),
            region=target.region,
            resource_id=target.resource_id,
            description=f"Setting desired instance count to {desired}.",
            cause=cause,
            start=self._clock.timestamp(),
            before=before,
            desired=desired,
            status=IN_PROGRESS,
            message=f"Successfully set desired instance count to {desired}. Waiting for change to "
            "be fulfilled by sagemaker.",
        )

    def _fail(self, activity: Activity, reason: str) -> None:
        activity.status, activity.ended = FAILED, self._clock.timestamp()
        activity.message = (
            f"Failed to set desired instance count to {activity.desired}. Reason: {reason}"
        )

    def _hold(self, target: Target, situation: Situation, hold: Hold, cause: str) -> None:
        """A run of equal reasons is one activity; cooldowns and suspensions have no code."""
        if hold.code is None:
            return
        reason: Params = {"Code": hold.code}
        if hold.code == AT_MAXIMUM:
            reason["MaxCapacity"] = situation.maximum
        elif hold.code == AT_MINIMUM:
            reason["MinCapacity"] = situation.minimum
        else:
            reason["CurrentCapacity"] = situation.current
        with self._state.lock:
            own = [a for a in self._state.activities if a.key == target.key]
        if own and (own[-1].not_scaled, own[-1].cause) == (reason, cause):
            return
        activity = self._activity(target, situation.current, situation.current, cause)
        activity.description, activity.message = _ALARM_DESCRIPTION, None
        activity.status, activity.not_scaled = FAILED, reason
        self._state.add(activity)
        self._on_change()

    def _running(self, key: Key) -> Activity | None:
        with self._state.lock:
            return next(
                (a for a in self._state.activities if a.status == IN_PROGRESS and a.key == key),
                None,
            )

    def _settle(self, activity: Activity) -> None:
        _, endpoint, _, variant = activity.resource_id.split("/")
        found = self.variant(activity.region, endpoint, variant)
        if found is not None and found.is_changing:
            return
        now = self._clock.timestamp()
        with self._state.lock:
            if found is None:
                self._fail(activity, "the variant is gone")
            elif found.count == activity.desired:
                self._fulfil(activity, now)
            elif found.count == activity.before:
                self._fail(activity, found.failure or "sagemaker could not fulfil the change")
            else:
                activity.status, activity.ended = OVERRIDDEN, now
                activity.message = "The desired capacity was updated by a newer scaling event."
        self._on_change()

    def _fulfil(self, activity: Activity, now: float) -> None:
        activity.status, activity.ended = SUCCESSFUL, now
        activity.message = (
            f"Successfully set desired instance count to {activity.desired}. Change successfully "
            "fulfilled by sagemaker."
        )
        target = self._state.targets.get(activity.key)
        if target is None:
            return
        if activity.desired > activity.before:
            # A scale-out ends what a scale-in has to cool down (user guide, "Cooldown period").
            target.last_out = Change(activity.before, activity.desired, now)
            target.last_in = None
        else:
            target.last_in = now
