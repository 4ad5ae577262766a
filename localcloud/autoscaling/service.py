"""Application Auto Scaling of the local cloud: keeps targets and policies, and acts on alarms."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from typing import Any

from localcloud.autoscaling import activities
from localcloud.autoscaling.policies import Policies
from localcloud.autoscaling.records import State, Target
from localcloud.autoscaling.rules import not_found
from localcloud.autoscaling.scaler import Scaler
from localcloud.autoscaling.scheduled import ScheduledActions
from localcloud.autoscaling.targets import Targets
from localcloud.clock import Clock
from localcloud.in_process import Caller
from localcloud.service import AlarmAction, RequestContext, ServiceError

log = logging.getLogger(__name__)

Params = dict[str, Any]
Handler = Callable[[Params, RequestContext], Params]
NAME = "application-autoscaling"
_RETRY_SECONDS = 1.0


class AutoScaling:
    """:class:`localcloud.service.OwnService`.

    What changes something, or acts, takes ``_turn``; it calls SageMaker and CloudWatch meanwhile,
    and neither of them comes back here with a lock of its own.

    Args:
        call: calls SageMaker and CloudWatch.
        on_change: told when something has changed without a request.
    """

    name = NAME

    def __init__(self, clock: Clock, call: Caller, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._state = State()
        self._turn = threading.Lock()
        self._scaler = Scaler(self._state, call, clock, on_change)
        self._policies = Policies(self._state, call)
        self._scheduled = ScheduledActions(self._state, self._scaler)
        self._targets = Targets(self._state, self._scaler, self._policies)
        self._readers: dict[str, Handler] = {
            "DescribeScalableTargets": self._targets.describe,
            "DescribeScalingPolicies": self._policies.describe,
            "DescribeScheduledActions": self._scheduled.describe,
            "DescribeScalingActivities": self._describe_activities,
            "ListTagsForResource": self._targets.list_tags,
        }
        self._writers: dict[str, Handler] = {
            "RegisterScalableTarget": self._targets.register,
            "DeregisterScalableTarget": self._targets.deregister,
            "PutScalingPolicy": self._policies.put,
            "DeleteScalingPolicy": self._policies.delete,
            "PutScheduledAction": self._scheduled.put,
            "DeleteScheduledAction": self._scheduled.delete,
            "TagResource": self._targets.tag,
            "UntagResource": self._targets.untag,
        }
        self._wake, self._stopping, self._is_started = threading.Event(), False, False
        self._thread = threading.Thread(target=self._run, name="autoscaling", daemon=True)

    def start(self) -> None:
        """Every service has its state back: act from now on."""
        self._is_started = True
        self._thread.start()

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        given = copy.deepcopy(params)
        if operation in self._readers:
            return self._readers[operation](given, context)
        if operation not in self._writers:
            raise ServiceError(
                "UnknownOperationException",
                f"The local cloud does not offer Application Auto Scaling's {operation}.",
            )
        with self._turn:
            answer = self._writers[operation](given, context)
        self._wake.set()
        return answer

    def _describe_activities(self, params: Params, context: RequestContext) -> Params:
        with self._turn:
            self._scaler.settle()
        return activities.describe(self._state, params, context)

    # what others tell

    def take(self, action: AlarmAction) -> None:
        """An alarm's action: the ARN of a scaling policy.

        Raises:
            ServiceError: there is no such policy.
        """
        if not self._is_started:
            return
        with self._turn:
            policy = self._policies.by_action(action.arn)
            if policy is None:
                raise not_found(f"No scaling policy found for {action.arn}")
            self._scaler.follow(policy)

    def wake(self) -> None:
        """An endpoint has changed: see what has become of what was under way."""
        self._wake.set()

    def scaled_variants(self, region: str, endpoint: str) -> set[str]:
        """The variants of an endpoint that are scalable targets."""
        with self._state.lock:
            return {
                target.variant
                for target in self._state.targets.values()
                if _is_of(target, region, endpoint)
            }

    def deregister_endpoint(self, region: str, endpoint: str) -> None:
        """Facts 6: DeleteEndpoint deregisters the targets (here everybody may)."""
        with self._turn:
            with self._state.lock:
                targets = self._state.targets.values()
                keys = [t.key for t in targets if _is_of(t, region, endpoint)]
            for key in keys:
                self._targets.remove(key)
        if keys:
            self._on_change()

    # the thread: what is due, and what has come about

    def _run(self) -> None:
        while not self._stopping:
            due = self._scheduled.next_run()
            wait = None
            if due is not None:
                wait = max(0.0, self._clock.wall_seconds(due - self._clock.timestamp()))
            self._wake.wait(wait)
            self._wake.clear()
            if self._stopping:
                return
            try:
                self._work()
            except Exception:
                log.exception("autoscaling failed")
                self._wake.wait(_RETRY_SECONDS)

    def _work(self) -> None:
        with self._turn:
            self._scaler.settle()
            has_run = self._scheduled.run_due(self._clock.timestamp())
        if has_run:
            self._on_change()

    # state

    def snapshot(self) -> bytes:
        return self._state.dump()

    def restore(self, data: bytes) -> None:
        self._state.load(data)

    def reset(self) -> None:
        self._state.clear()

    def close(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)


def _is_of(target: Target, region: str, endpoint: str) -> bool:
    """SageMaker's names differ by more than their case."""
    return target.region == region and target.endpoint.lower() == endpoint.lower()
