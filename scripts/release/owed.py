"""Scaling that a release could not put back: commands that look at an endpoint try again."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from release.aws.store import S3History
from release.driver.lock import this_process
from release.driver.owed import settle
from release.errors import ReleaseError

if TYPE_CHECKING:
    from release.state import EndpointState
    from scripts.release.stack import ReleaseStack

LEASE_SECONDS = 60.0


def settled_state(place: ReleaseStack, endpoint: str) -> EndpointState:
    """The endpoint's state; what is still owed in it was tried just now, where possible."""
    state = place.state(endpoint)
    if state.owed_scaling is None:
        return state
    history = S3History(place.s3, place.bucket, endpoint)
    try:
        here = this_process(place.cloud.caller(), secrets.token_hex(8), frozenset())
        return settle(endpoint, place.cloud, history, history.load(), here, LEASE_SECONDS)
    except ReleaseError:
        # A release was faster, and tries it itself; or AWS does not answer.
        return state
