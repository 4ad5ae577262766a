"""What `slipway destroy` does beside Pulumi: may it, what Pulumi retains, and the last record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.errors import SlipwayError
from contracts.history import state_key
from contracts.release_manifest import TAG_STACK
from release.aws.cloud import NOT_FOUND, RefusedError, call
from release.aws.store import GONE, S3History, list_endpoints
from release.driver.lock import holder, this_process
from release.memory import closed
from scripts.release.stack import ReleaseStack

DELETE_BATCH = 1000


class BusyError(SlipwayError):
    """A release runs, or waits to be continued, on what the operation would touch."""


@dataclass(frozen=True)
class Removed:
    """What was removed after Pulumi, by name, and what stays."""

    endpoint_configs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    objects: int = 0
    kept: tuple[str, ...] = field(default=())


def endpoints(place: ReleaseStack) -> list[str]:
    """Every endpoint that the history knows, by its manifest or its state."""
    prefix, suffix = state_key("\0").split("\0")
    try:
        pages = place.s3.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=prefix
        )
        keys = call(lambda: [item["Key"] for page in pages for item in page.get("Contents", [])])
        staged = list_endpoints(place.s3, place.bucket)
    except SlipwayError as error:
        if getattr(error, "code", "NoSuchBucket") == "NoSuchBucket":
            return []
        raise
    states = [k.removeprefix(prefix).removesuffix(suffix) for k in keys if k.endswith(suffix)]
    return sorted({*states, *staged})


def refuse_while_locked(place: ReleaseStack, names: Iterable[str], operation: str) -> None:
    """A release that is being driven must find everything as it was planned with.

    Raises:
        BusyError: names the release and who drives it.
    """
    for name in names:
        state = place.state(name)
        lock = holder(state, time.time(), this_process("", "", frozenset()))
        if lock is not None:
            raise BusyError(
                f"{operation} is refused: release {lock.release_id} is running on {name}, by "
                f"{lock.owner} on {lock.host} (process {lock.pid}); wait for its end "
                "(`slipway status`)"
            )


def refuse_while_released(place: ReleaseStack, names: Iterable[str]) -> None:
    """As :func:`refuse_while_locked`, and also while a release waits to be continued."""
    known = list(names)
    refuse_while_locked(place, known, "destroy")
    for name in known:
        current = place.state(name).current
        if current is not None:
            raise BusyError(
                f"destroy is refused: release {current.id} on {name} was interrupted; end it with "
                "`slipway release` (goes on) or `slipway rollback` (goes back)"
            )


def remove_retained(place: ReleaseStack, say: Callable[[str], None]) -> Removed:
    """Remove what carries the stack's tag and nothing needs without its endpoint."""
    configs = _tagged(place, "list_endpoint_configs", "EndpointConfigs", "EndpointConfig")
    models = _tagged(place, "list_models", "Models", "Model")
    sagemaker = place.cloud["sagemaker"]
    for name in configs:
        say(f"endpoint configuration {name}")
        _delete(sagemaker.delete_endpoint_config, EndpointConfigName=name)
    for name in models:
        say(f"model {name}")
        _delete(sagemaker.delete_model, ModelName=name)
    objects, gone = 0, _artifact_buckets(place)
    for bucket in gone:
        say(f"bucket {bucket}")
        objects += _empty(place.s3, bucket)
        _delete(place.s3.delete_bucket, Bucket=bucket)
    return Removed(tuple(configs), tuple(models), tuple(gone), objects)


def images(place: ReleaseStack) -> list[str]:
    """Where the stack's images lie: they may be serving elsewhere, and stay."""
    build = place.image_build()
    return [] if build is None else [f"ECR repository {build.repository} (its images)"]


def close_history(
    place: ReleaseStack, names: Iterable[str], removed: Removed, stays: Iterable[str]
) -> Removed:
    """Write into each endpoint's history that its stack is gone; ``kept`` tells what stays."""
    if not _stands(place):
        return removed
    by = place.cloud.caller()
    for name in names:
        history = S3History(place.s3, place.bucket, name)
        state = history.load()
        if state.closed is None:
            history.save(closed(state, place.cloud.endpoint(name).now, by))
    kept = [f"s3://{place.bucket} (manifests, release state, evidence)"]
    return replace(removed, kept=(*kept, *stays, *_log_groups(place, names)))


def _tagged(place: ReleaseStack, operation: str, key: str, kind: str) -> list[str]:
    """Names of the SageMaker things that carry the stack's tag."""
    pages = place.cloud["sagemaker"].get_paginator(operation).paginate()
    items: list[dict[str, Any]] = call(lambda: [item for page in pages for item in page[key]])
    return [
        str(item[f"{kind}Name"])
        for item in items
        if place.cloud.tags(item[f"{kind}Arn"]).get(TAG_STACK) == place.name
    ]


def _artifact_buckets(place: ReleaseStack) -> list[str]:
    """The buckets with the stack's tag, in its region, but the history."""
    found: list[str] = []
    for bucket in call(place.s3.list_buckets)["Buckets"]:
        name = str(bucket["Name"])
        if not name.startswith(f"slipway-{place.name}-") or name == place.bucket:
            continue
        try:
            tags = call(place.s3.get_bucket_tagging, Bucket=name)["TagSet"]
        except RefusedError as error:
            if error.code in ("NoSuchTagSet", "NoSuchBucket", "AccessDenied", "PermanentRedirect"):
                continue
            raise
        if {"Key": TAG_STACK, "Value": place.name} in tags:
            found.append(name)
    return found


def _empty(s3: Any, bucket: str) -> int:
    """Delete every version of every object; returns how many."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    versions = call(
        lambda: [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for page in pages
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
    )
    for at in range(0, len(versions), DELETE_BATCH):
        batch = versions[at : at + DELETE_BATCH]
        answer = call(s3.delete_objects, Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        for error in answer.get("Errors", []):
            raise BusyError(
                f"s3://{bucket}/{error['Key']} could not be deleted ({error['Code']}); "
                "remove what protects it and run `slipway destroy` again: it goes on"
            )
    return len(versions)


def _stands(place: ReleaseStack) -> bool:
    try:
        call(place.s3.head_bucket, Bucket=place.bucket)
    except RefusedError as error:
        if error.code in GONE | {"NoSuchBucket"}:
            return False
        raise
    return True


def _log_groups(place: ReleaseStack, names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        wanted = f"/aws/sagemaker/Endpoints/{name}"
        answer = call(place.cloud["logs"].describe_log_groups, logGroupNamePrefix=wanted)
        found += [g["logGroupName"] for g in answer["logGroups"] if g["logGroupName"] == wanted]
    return [f"log group {name} (delete it yourself)" for name in found]


def _delete(function: Callable[..., Any], **arguments: Any) -> None:
    try:
        call(function, **arguments)
    except RefusedError as error:
        if NOT_FOUND not in str(error) and error.code != "NoSuchBucket":
            raise
