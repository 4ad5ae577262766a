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


class Actions(Protocol):
    """What an alarm may set off in other services."""

    def sns_publish(self, topic_arn: str, message: str, subject: str) -> None:
        """Publish to a topic; an unknown topic raises :class:`ServiceError` (``NotFound``)."""
        ...

    def invoke_function(self, function_arn: str, payload: str, alarm_arn: str) -> None:
        """Hand an alarm to a function; one that its policy does not let in raises
        :class:`ServiceError`."""
        ...

    def put_event(self, region: str, entry: dict[str, Any]) -> None:
        """Put an entry of PutEvents on the default bus; raises :class:`ServiceError`."""
        ...
