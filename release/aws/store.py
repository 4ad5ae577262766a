"""Release state in S3: read with its ETag, written only over what was read."""

from __future__ import annotations

import json
from typing import Any, Protocol, TypeVar

from contracts.canonical import pretty_json
from contracts.errors import ContractError
from contracts.history import (
    evidence_key,
    freeze_key,
    manifest_key,
    page_key,
    request_key,
    state_key,
)
from contracts.release_manifest import ReleaseManifest
from release.aws.cloud import RefusedError, call
from release.errors import ConflictError, NotFoundError
from release.freeze import Freeze
from release.observation import Request
from release.records import decode, encode
from release.state import EndpointState

T = TypeVar("T")
GONE = frozenset({"NoSuchKey", "404", "NotFound"})
PRECONDITION_FAILED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class History(Protocol):
    """Where one endpoint's state and evidence lie; ``save`` raises ConflictError on a change."""

    def load(self) -> EndpointState: ...
    def save(self, state: EndpointState) -> None: ...
    def is_unchanged(self) -> bool: ...
    def write_evidence(self, release_id: str, text: str) -> None: ...
    def request(self) -> Request | None: ...
    def forget_request(self, request: Request) -> None: ...
    def freeze(self) -> Freeze | None: ...


class S3History:
    """State object and evidence of one endpoint; remembers the ETag that it last saw."""

    def __init__(self, s3: Any, bucket: str, endpoint_name: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._endpoint_name = endpoint_name
        self._key = state_key(endpoint_name)
        self._etag: str | None = None

    def load(self) -> EndpointState:
        """The state as it is now; an empty one where none was ever written."""
        found = read_object(self._s3, self._bucket, self._key)
        if found is None:
            self._etag = None
            return EndpointState(self._endpoint_name)
        text, self._etag = found
        return EndpointState.from_json(text, f"s3://{self._bucket}/{self._key}")

    def save(self, state: EndpointState) -> None:
        condition = {"IfNoneMatch": "*"} if self._etag is None else {"IfMatch": self._etag}
        body = state.to_json().encode()
        try:
            answer = call(
                self._s3.put_object,
                Bucket=self._bucket,
                Key=self._key,
                Body=body,
                ContentType="application/json",
                **condition,
            )
        except RefusedError as error:
            if error.code not in PRECONDITION_FAILED | GONE:
                raise
            # A retry inside the client may have met our own first write.
            found = read_object(self._s3, self._bucket, self._key)
            if found is not None and found[0].encode() == body:
                self._etag = found[1]
                return
            raise ConflictError(
                f"the release state of {self._endpoint_name} was changed by another process; "
                "nothing more was done; run the command again"
            ) from None
        self._etag = answer["ETag"]

    def is_unchanged(self) -> bool:
        """Whether the state is still the one that was read or written last."""
        try:
            answer = call(self._s3.head_object, Bucket=self._bucket, Key=self._key)
        except RefusedError as error:
            if error.code in GONE:
                return self._etag is None
            raise
        return answer["ETag"] == self._etag

    def write_evidence(self, release_id: str, text: str) -> None:
        """The document, then its page; one that cannot be drawn stops no release."""
        from release.page.render import page_of

        self._write(evidence_key(release_id), text, "application/json")
        drawn = page_of(text)
        if drawn is not None:
            self._write(page_key(release_id), drawn, "text/html; charset=utf-8")

    def _write(self, key: str, text: str, content_type: str) -> None:
        call(
            self._s3.put_object,
            Bucket=self._bucket,
            Key=key,
            Body=text.encode(),
            ContentType=content_type,
        )

    def request(self) -> Request | None:
        """A person's word that waits for a driver."""
        return read_request(self._s3, self._bucket, self._endpoint_name)

    def forget_request(self, request: Request) -> None:
        """It was applied, or is not meant for the release that runs; a newer one stays."""
        if self.request() == request:
            key = request_key(self._endpoint_name)
            call(self._s3.delete_object, Bucket=self._bucket, Key=key)

    def freeze(self) -> Freeze | None:
        return read_freeze(self._s3, self._bucket)


def read_object(s3: Any, bucket: str, key: str) -> tuple[str, str] | None:
    """Text and ETag of an object, None where it does not exist."""
    try:
        answer = call(s3.get_object, Bucket=bucket, Key=key)
    except RefusedError as error:
        if error.code in GONE:
            return None
        if error.code == "NoSuchBucket":
            raise _no_bucket(bucket) from None
        raise
    return call(answer["Body"].read).decode(), answer["ETag"]


# --- a person's word, and a freeze


def read_request(s3: Any, bucket: str, endpoint_name: str) -> Request | None:
    key = request_key(endpoint_name)
    return _read_record(s3, bucket, key, Request)


def write_request(s3: Any, bucket: str, endpoint_name: str, request: Request) -> None:
    """The latest word counts: one that no driver has read yet is replaced."""
    _write_record(s3, bucket, request_key(endpoint_name), request)


def read_freeze(s3: Any, bucket: str) -> Freeze | None:
    return _read_record(s3, bucket, freeze_key(), Freeze)


def write_freeze(s3: Any, bucket: str, freeze: Freeze) -> None:
    _write_record(s3, bucket, freeze_key(), freeze)


def delete_freeze(s3: Any, bucket: str) -> None:
    call(s3.delete_object, Bucket=bucket, Key=freeze_key())


def _write_record(s3: Any, bucket: str, key: str, record: Any) -> None:
    body = pretty_json(encode(record)).encode()
    try:
        call(s3.put_object, Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    except RefusedError as error:
        if error.code == "NoSuchBucket":
            raise _no_bucket(bucket) from None
        raise


def _read_record(s3: Any, bucket: str, key: str, kind: type[T]) -> T | None:
    found = read_object(s3, bucket, key)
    if found is None:
        return None
    where = f"s3://{bucket}/{key}"
    try:
        raw = json.loads(found[0])
    except ValueError as error:
        raise ContractError(f"{where} is not JSON ({error}); delete the object") from None
    return decode(kind, raw, where)


def read_manifest(s3: Any, bucket: str, endpoint_name: str) -> ReleaseManifest | None:
    """What the last ``up`` staged for the endpoint."""
    key = manifest_key(endpoint_name)
    found = read_object(s3, bucket, key)
    return None if found is None else ReleaseManifest.from_json(found[0], f"s3://{bucket}/{key}")


def list_endpoints(s3: Any, bucket: str) -> list[str]:
    """The endpoints that have a manifest in the history bucket."""
    prefix = manifest_key("").removesuffix(".json")
    keys = _keys(s3, bucket, prefix)
    return sorted(k.removeprefix(prefix).removesuffix(".json") for k in keys)


def remembered_endpoints(s3: Any, bucket: str) -> list[str]:
    """The endpoints whose releases are remembered, also those of a stack that was destroyed."""
    before, after = state_key("\0").split("\0")
    keys = _keys(s3, bucket, before)
    names = (k.removeprefix(before).removesuffix(after) for k in keys if k.endswith(after))
    return sorted(names)


def _keys(s3: Any, bucket: str, prefix: str) -> list[str]:
    try:
        pages = call(s3.get_paginator("list_objects_v2").paginate, Bucket=bucket, Prefix=prefix)
        return call(lambda: [item["Key"] for page in pages for item in page.get("Contents", [])])
    except RefusedError as error:
        if error.code == "NoSuchBucket":
            raise _no_bucket(bucket) from None
        raise


def _no_bucket(bucket: str) -> NotFoundError:
    return NotFoundError(
        f"the history bucket {bucket} does not exist: nothing was staged in this stack; "
        "run `slipway up` first, or name another stack with --stack"
    )


def read_evidence(s3: Any, bucket: str, release_id: str) -> str | None:
    found = read_object(s3, bucket, evidence_key(release_id))
    return None if found is None else found[0]
