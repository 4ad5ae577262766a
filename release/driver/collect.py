"""Collection: versions that nothing needs any more, by content hash, after each release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from contracts.release_manifest import TAG_MODEL, TAG_STACK, ReleaseManifest
from release.aws.call import delete
from release.aws.cloud import NOT_FOUND, AwsCloud, RefusedError, call
from release.aws.store import read_manifest
from release.controller.stages import own_prefix
from release.observation import Config
from release.state import EndpointState

MIN_AGE_SECONDS = 3600.0
MOST_ALARMS = 100  # of one DeleteAlarms


@dataclass(frozen=True)
class Leftover:
    """A configuration with the models it names and the artifacts they are made from."""

    config: str
    created_at: float
    content_hash: str | None
    models: tuple[str, ...]
    artifacts: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """What goes, by name."""

    configs: tuple[str, ...]
    models: tuple[str, ...]
    artifacts: tuple[str, ...]


def select(
    found: tuple[Leftover, ...],
    state: EndpointState,
    manifest: ReleaseManifest,
    serving: set[str],
    now: float,
) -> Collection:
    """What is not serving, not staged and not among the good; nothing while a release runs.

    ``serving`` holds the endpoint's configuration and the one that it is being updated to. A model
    or an artifact goes only if nothing that stays names it. What is young stays: an ``up`` that is
    under way makes a target before it writes the manifest that names it.
    """
    if state.current is not None:
        return Collection((), (), ())
    hashes = {g.content_hash for g in state.good} | {manifest.target.content_hash}
    names = serving | {g.endpoint_config_name for g in state.good}
    names.add(manifest.target.endpoint_config_name)
    models = {g.model_name for g in state.good} | {manifest.target.model_name}
    artifacts = {manifest.target.artifact_uri}
    kept = [
        f
        for f in found
        if f.config in names or f.content_hash in hashes or now - f.created_at < MIN_AGE_SECONDS
    ]
    gone = [f for f in found if f not in kept]
    models |= {m for f in kept for m in f.models}
    artifacts |= {a for f in kept for a in f.artifacts}
    return Collection(
        tuple(f.config for f in gone),
        tuple(sorted({m for f in gone for m in f.models} - models)),
        tuple(sorted({a for f in gone for a in f.artifacts} - artifacts)),
    )


def nothing(_state: EndpointState, _manifest: ReleaseManifest) -> list[str]:
    return []


def collector(cloud: AwsCloud) -> Callable[[EndpointState, ReleaseManifest], list[str]]:
    """A function that removes what :func:`select` names, and returns the names."""

    def run(state: EndpointState, manifest: ReleaseManifest) -> list[str]:
        endpoint = cloud.endpoint(manifest.endpoint_name)
        serving = {endpoint.config_name, endpoint.pending_config or endpoint.config_name}
        # What is staged now counts, not what was when the release began.
        staged = read_manifest(cloud["s3"], manifest.history_bucket, manifest.endpoint_name)
        chosen = select(find(cloud, manifest), state, staged or manifest, serving, endpoint.now)
        remove(cloud, chosen)
        alarms = remove_alarms(cloud, state, manifest)
        return [*chosen.configs, *chosen.models, *chosen.artifacts, *alarms]

    return run


def find(cloud: AwsCloud, manifest: ReleaseManifest) -> tuple[Leftover, ...]:
    """The configurations of this model in this stack, by their tags."""
    sagemaker = cloud["sagemaker"]
    created: dict[str, float] = {}
    # A release names its own after the endpoint, which may be called otherwise than the model.
    model, own = manifest.model[:50], own_prefix(manifest.endpoint_name)
    for part in (model,) if model in own else (model, own):
        for item in call(_named, sagemaker=sagemaker, part=part):
            created[item["EndpointConfigName"]] = item["CreationTime"].timestamp()
    configs = ((cloud.config(name), at) for name, at in created.items())
    return tuple(
        _leftover(cloud, config, at)
        for config, at in configs
        if config is not None and _is_ours(config, manifest)
    )


def _named(sagemaker: Any, part: str) -> list[dict[str, Any]]:
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=part)
    return [item for page in pages for item in page["EndpointConfigs"]]


def _is_ours(config: Config, manifest: ReleaseManifest) -> bool:
    wanted = (manifest.stack, manifest.model)
    return (config.tags.get(TAG_STACK), config.tags.get(TAG_MODEL)) == wanted


def _leftover(cloud: AwsCloud, config: Config, created_at: float) -> Leftover:
    models = tuple(sorted({str(v["ModelName"]) for v in config.production()}))
    artifacts: list[str] = []
    for model in models:
        uri = ((_model(cloud, model) or {}).get("PrimaryContainer") or {}).get("ModelDataUrl")
        if uri:
            artifacts.append(uri)
    return Leftover(config.name, created_at, config.content_hash, models, tuple(artifacts))


def _model(cloud: AwsCloud, name: str) -> dict[str, Any] | None:
    try:
        return call(cloud["sagemaker"].describe_model, ModelName=name)
    except RefusedError as error:
        if NOT_FOUND not in str(error):
            raise
        return None


def remove(cloud: AwsCloud, collection: Collection) -> None:
    """Delete; what is gone already is fine.

    Artifacts and models go before the configurations that lead to them: what fails on the way is
    found again.
    """
    sagemaker = cloud["sagemaker"]
    for uri in collection.artifacts:
        place = urlparse(uri)
        _delete_object(cloud["s3"], place.netloc, place.path.lstrip("/"))
    for name in collection.models:
        delete(
            sagemaker.delete_model,
            lambda name=name: _model(cloud, name) is None,
            ModelName=name,
        )
    for name in collection.configs:
        delete(
            sagemaker.delete_endpoint_config,
            lambda name=name: not cloud.has_config(name),
            EndpointConfigName=name,
        )


def remove_alarms(
    cloud: AwsCloud, state: EndpointState, manifest: ReleaseManifest
) -> tuple[str, ...]:
    """Delete the alarms that releases of this endpoint made and AWS did not let them remove.

    Theirs begin with the release's id, which no other stack's release has; nothing goes while one
    runs, and one that begins meanwhile is not among those that ``state`` remembers.
    """
    if state.current is not None:
        return ()
    cloudwatch = cloud["cloudwatch"]
    listed = call(_alarms, cloudwatch=cloudwatch, prefix=f"{manifest.model}-")
    ours = tuple(f"{release_id}-" for release_id in state.releases)
    left = tuple(name for name in listed if name.startswith(ours))
    for start in range(0, len(left), MOST_ALARMS):
        call(cloudwatch.delete_alarms, AlarmNames=list(left[start : start + MOST_ALARMS]))
    return left


def _alarms(cloudwatch: Any, prefix: str) -> list[str]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"]
    )
    return [str(alarm["AlarmName"]) for page in pages for alarm in page.get("MetricAlarms", [])]


def _delete_object(s3: Any, bucket: str, key: str) -> None:
    """S3 takes the deletion of what is not there."""
    try:
        call(s3.delete_object, Bucket=bucket, Key=key)
    except RefusedError as error:
        if error.code != "NoSuchBucket":
            raise
