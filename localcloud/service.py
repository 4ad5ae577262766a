"""What a service of our own looks like to the front, and what the cloud offers to it.

The front parses and validates a request with botocore's service model, calls
:meth:`OwnService.handle`, keeps the state on disk and renders the answer in the caller's protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

ACCOUNT_ID = "123456789012"
DEFAULT_REGION = "us-east-1"


class ServiceError(Exception):
    """An error answer of AWS: ``code`` and ``message`` as AWS words them, ``status`` of HTTP.

    ``fields`` are further members of the error's shape (e.g. ``OriginalStatusCode``).
    """

    def __init__(
        self, code: str, message: str, status: int = 400, fields: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields: dict[str, Any] = {} if fields is None else fields


@dataclass(frozen=True)
class RequestContext:
    """Who asks, where and when; ``now`` is the cloud's simulated time in UTC."""

    account_id: str
    region: str
    request_id: str
    now: datetime


class OwnService(Protocol):
    """A service that moto does not do well enough, done by us.

    ``handle`` takes and gives what boto3 takes and gives (timestamps are aware datetimes, blobs are
    bytes), is called from several worker threads at once, and raises :class:`ServiceError`.
    ``name`` is botocore's name of the service.
    """

    name: str

    def handle(
        self, operation: str, params: dict[str, Any], context: RequestContext
    ) -> dict[str, Any]: ...

    def snapshot(self) -> bytes: ...

    def restore(self, data: bytes) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class S3Access(Protocol):
    """The cloud's own S3, in process: same lock, same persistence, same errors as a request.

    A missing bucket or key raises :class:`ServiceError` with ``NoSuchBucket`` or ``NoSuchKey``.
    The methods block; call them from a worker thread, never from the event loop.
    """

    def get_object(self, uri: str) -> bytes:
        """The bytes of ``s3://bucket/key``."""
        ...

    def download(self, uri: str, target: Path) -> None:
        """Write the object to ``target``, which appears only when it is complete."""
        ...

    def put_object(
        self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None: ...

    def exists(self, uri: str) -> bool:
        """Whether the object can be read (HeadObject)."""
        ...


@dataclass(frozen=True)
class AlarmAction:
    """One action of an alarm: what it was in, and what it tells.

    ``arn`` is the action's, ``state`` the alarm's new one; ``is_repeated`` while it stays in it.
    ``subject`` and ``message`` are for people and topics, ``payload`` for functions.
    """

    arn: str
    region: str
    alarm_name: str
    alarm_arn: str
    state: str
    subject: str
    message: str
    payload: str
    at: datetime
    is_repeated: bool = False


class Actions(Protocol):
    """What an alarm may set off in other services: :class:`localcloud.actions.ActionTable`."""

    def carry_out(self, action: AlarmAction) -> None:
        """Blocks until it is done; raises :class:`ServiceError` where it cannot be."""
        ...

    def put_event(self, region: str, entry: dict[str, Any]) -> None:
        """An entry of PutEvents for the default bus; returns at once."""
        ...


class EventSink(Protocol):
    """EventBridge's default bus of a region, for events of AWS services."""

    def put_event(
        self,
        region: str,
        source: str,
        detail_type: str,
        resources: list[str],
        detail: dict[str, Any],
    ) -> None:
        """Returns at once; the event is delivered later, in order."""
        ...
