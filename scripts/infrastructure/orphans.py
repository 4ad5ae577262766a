"""Endpoints that AWS accepted though the `up` that asked for them did not see them work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from contracts.errors import SlipwayError
from contracts.release_manifest import TAG_STACK
from release.aws.cloud import call
from release.observation import MISSING
from scripts.release.stack import ReleaseStack

CREATING, FAILED, DELETING = "Creating", "Failed", "Deleting"
# As long as Pulumi's AWS provider waits for an endpoint (facts 10.3).
SETTLE_SECONDS = 3600.0


class OrphanError(SlipwayError):
    """An endpoint of an earlier `up` is in the way."""


def settle(place: ReleaseStack, say: Callable[[str], None]) -> None:
    """Wait for endpoints that are still being made; remove those that failed and never served.

    One that comes into service is taken over by the program (Pulumi shows it as an import).

    Raises:
        OrphanError: one neither works nor fails within an hour.
    """
    for name in _of_this_stack(place, CREATING):
        say(f"endpoint {name} is still being made, by an earlier `up`: waiting for it")
        _wait(place, name, CREATING)
    for name in _of_this_stack(place, FAILED):
        if place.state_or_new(name).has_history:
            # The program refuses to make it anew, and says what to do.
            continue
        reason = place.cloud.endpoint(name).failure_reason or "AWS gave no reason"
        say(f"endpoint {name} was never in service ({reason}): it is removed and made anew")
        call(place.cloud["sagemaker"].delete_endpoint, EndpointName=name)
        _wait(place, name, DELETING)


def _of_this_stack(place: ReleaseStack, status: str) -> list[str]:
    pages = place.cloud["sagemaker"].get_paginator("list_endpoints").paginate(StatusEquals=status)
    items: list[dict[str, Any]] = call(lambda: [i for page in pages for i in page["Endpoints"]])
    return [
        str(item["EndpointName"])
        for item in items
        if place.cloud.tags(item["EndpointArn"]).get(TAG_STACK) == place.name
    ]


def _wait(place: ReleaseStack, name: str, passing: str) -> None:
    """Until the endpoint is no longer ``passing`` (or, if that is Deleting, is gone)."""
    deadline = time.monotonic() + SETTLE_SECONDS
    until_gone = passing == DELETING
    while time.monotonic() < deadline:
        status = place.cloud.endpoint(name).status
        if status == MISSING or (not until_gone and status != passing):
            return
        time.sleep(place.pace.poll_seconds)
    raise OrphanError(
        f"endpoint {name} is {passing} for more than {SETTLE_SECONDS / 60:g} minutes; look at it "
        "in the SageMaker console, then run `slipway up` again"
    )
