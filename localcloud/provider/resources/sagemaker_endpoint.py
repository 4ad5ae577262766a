"""aws.sagemaker.Endpoint, with the real provider's ways of waiting and of believing.

It never sends RetainAllVariantProperties, and takes an update that ended InService for one that
succeeded, also when SageMaker rolled it back (terraform-provider-aws 46663, 48997).
"""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import ProviderError, code_of, message_of
from localcloud.provider.naming import physical_name
from localcloud.provider.resources.base import POLL_SECONDS, Call
from localcloud.provider.resources.sagemaker import VALIDATION, Tagged, list_tags
from localcloud.provider.values import Properties

READY = "InService"
PENDING = ("Creating", "Updating", "SystemUpdating")
DELETING = "Deleting"
WAIT_SECONDS = 3600.0
DELETE_SECONDS = 600.0
# The cloud's clock may run faster than the wall; real processes start on the wall's.
MINIMUM_WALL_SECONDS = 120.0
# A role that IAM has not yet told SageMaker about makes the real provider begin again.
ROLE_PROBLEMS = ("execution role", "sts:AssumeRole", "assume the role")
ROLE_ATTEMPTS = 2


class Endpoint(Tagged):
    """Its id is recorded only once it is InService."""

    token = "aws:sagemaker/endpoint:Endpoint"
    arn_kind = "endpoint"

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        request: dict[str, Any] = {**_request(call), "EndpointName": name}
        if call.tags:
            request["Tags"] = tags.to_list(call.tags)
        for attempt in range(1, ROLE_ATTEMPTS + 1):
            call.client().create_endpoint(**request)
            problem = self._wait(call, name, "create")
            if problem is None:
                call.id = name
                return
            if attempt == ROLE_ATTEMPTS or not any(text in problem for text in ROLE_PROBLEMS):
                raise ProviderError(problem)
            call.client().delete_endpoint(EndpointName=name)
            self._wait_deleted(call, name)

    def read(self, call: Call) -> Properties | None:
        answer = call.client().describe_endpoint(EndpointName=call.id)
        if answer["EndpointStatus"] == DELETING:
            return None
        found: Properties = {
            "name": answer["EndpointName"],
            "endpointConfigName": answer.get("EndpointConfigName"),
            "arn": answer["EndpointArn"],
            "tagsAll": list_tags(call, answer["EndpointArn"]),
        }
        last = answer.get("LastDeploymentConfig")
        if last:
            found |= call.properties({"DeploymentConfig": last})
        return found

    def update(self, call: Call, changed: set[str]) -> None:
        call.client().update_endpoint(**_request(call), EndpointName=call.id)
        problem = self._wait(call, call.id, "update")
        if problem is not None:
            raise ProviderError(problem)

    def delete(self, call: Call) -> None:
        call.client().delete_endpoint(EndpointName=call.id)
        self._wait_deleted(call, call.id)

    def is_gone(self, error: Exception) -> bool:
        missing = "could not find endpoint"
        return code_of(error) == VALIDATION and missing in message_of(error).lower()

    def _wait(self, call: Call, name: str, what: str) -> str | None:
        """Wait while it is pending; the problem when it ends in anything but InService."""
        clock = _Patience(call.timeout_seconds or WAIT_SECONDS)
        head = f"waiting for SageMaker AI Endpoint ({name}) {what}"
        while True:
            answer = call.client().describe_endpoint(EndpointName=name)
            status = answer["EndpointStatus"]
            if status == READY:
                return None
            if status not in PENDING:
                reason = answer.get("FailureReason", "")
                detail = f". last error: {reason}" if reason else ""
                return f"{head}: unexpected state '{status}', wanted target '{READY}'{detail}"
            if clock.is_over(answer):
                return (
                    f"{head}: timeout while waiting for state to become '{READY}' "
                    f"(last state: '{status}', timeout: {clock.seconds:.0f}s)"
                )
            if call.session.ended.wait(POLL_SECONDS):
                return f"{head}: cancelled (last state: '{status}')"

    def _wait_deleted(self, call: Call, name: str) -> None:
        from botocore.exceptions import ClientError

        clock = _Patience(call.timeout_seconds or DELETE_SECONDS)
        head = f"waiting for SageMaker AI Endpoint ({name}) delete"
        while True:
            try:
                answer = call.client().describe_endpoint(EndpointName=name)
            except ClientError as error:
                if self.is_gone(error):
                    return
                raise
            status = answer["EndpointStatus"]
            if status != DELETING:
                raise ProviderError(f"{head}: unexpected state '{status}', wanted target ''")
            if clock.is_over(answer):
                raise ProviderError(f"{head}: timeout (last state: '{status}')")
            if call.session.ended.wait(POLL_SECONDS):
                raise ProviderError(f"{head}: cancelled (last state: '{status}')")


class _Patience:
    """A time-out on the cloud's clock, which every answer carries, with a floor on the wall's."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._wall = time.monotonic()
        self._since: float | None = None

    def is_over(self, answer: dict[str, Any]) -> bool:
        wall = time.monotonic() - self._wall
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is None:
            return wall > self.seconds
        now = parsedate_to_datetime(date).timestamp()
        self._since = now if self._since is None else self._since
        return wall > min(self.seconds, MINIMUM_WALL_SECONDS) and now - self._since > self.seconds


def _request(call: Call) -> dict[str, Any]:
    return call.request(["endpointConfigName", "deploymentConfig"])
