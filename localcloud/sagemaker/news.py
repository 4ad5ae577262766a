"""Who hears of an endpoint's changes: the state on disk, and EventBridge (fact sheet 9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.faults import Faults
from localcloud.sagemaker import describe
from localcloud.sagemaker.records import Endpoint
from localcloud.service import EventSink

Params = dict[str, Any]
SOURCE = "aws.sagemaker"
STATE_CHANGE = "SageMaker Endpoint State Change"
DEPLOYMENT_CHANGE = "SageMaker Endpoint Deployment State Change"


class News:
    """``on_change`` is called when an endpoint has changed by itself."""

    def __init__(self, events: EventSink, faults: Faults, on_change: Callable[[], None]) -> None:
        self._events = events
        self._faults = faults
        self._on_change = on_change

    def state(self, endpoint: Endpoint) -> None:
        """The endpoint's status changed; under the state's lock."""
        self._put(endpoint, STATE_CHANGE)
        self._on_change()

    def deployment(self, endpoint: Endpoint) -> None:
        """A deployment moved on; under the state's lock."""
        self._put(endpoint, DEPLOYMENT_CHANGE)
        self._on_change()

    def changed(self) -> None:
        """Something that no event tells."""
        self._on_change()

    def _put(self, endpoint: Endpoint, detail_type: str) -> None:
        detail = detail_of(endpoint, detail_type)
        for _ in range(2 if self._faults.duplicates(endpoint.name) else 1):
            self._events.put_event(endpoint.region, SOURCE, detail_type, [endpoint.arn], detail)


def upper_snake(status: str) -> str:
    """``InService`` as events spell it: ``IN_SERVICE``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def detail_of(endpoint: Endpoint, detail_type: str) -> Params:
    """What DescribeEndpoint answers, as an event has it: times in ms, tags, another status."""
    described = describe.endpoint(endpoint)
    if detail_type == STATE_CHANGE:
        described.pop("PendingDeploymentSummary", None)
    described["EndpointStatus"] = upper_snake(endpoint.status)
    described["Tags"] = dict(endpoint.tags)
    return _plain(described)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
