"""Beginning: what must be true before anything moves, and the release or rollback that follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.release_manifest import (
    LIVE_VARIANT,
    TAG_HASH,
    TAG_VERSION,
    ReleaseManifest,
    Target,
)
from release.controller.capacity import alone_count
from release.controller.identity import refuse_other_content
from release.controller.stages import TAG_RELEASE, Stage
from release.errors import EndpointError, NothingToReleaseError, RejectedError, VersionError
from release.observation import (
    IN_SERVICE,
    MISSING,
    UPDATE_ROLLBACK_FAILED,
    Config,
    Endpoint,
    ScalingTarget,
)
from release.owed import due
from release.state import (
    RELEASE,
    ROLLBACK,
    USUAL_TURNOVER_SECONDS,
    Before,
    EndpointState,
    GoodVersion,
    Release,
)

SHORTEST_HASH = 6


@dataclass(frozen=True)
class Snapshot:
    """What AWS says before a release; ``scaling`` None where `live` has no scalable target."""

    endpoint: Endpoint
    live: Config | None
    target: Config | None
    scaling: ScalingTarget | None


def release_id(model: str, now: float, token: str) -> str:
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{model}-{moment}-{token}"


def begin_release(
    state: EndpointState,
    manifest: ReleaseManifest,
    snapshot: Snapshot,
    new_id: str,
    who: str,
    *,
    retry: bool,
) -> Release:
    """The release of what is staged.

    Raises:
        EndpointError: the endpoint or its target configuration is not fit to begin.
        NothingToReleaseError: the target serves already.
        RejectedError: the target was rolled back before and ``retry`` is not set.
    """
    live = _fit_endpoint(manifest, snapshot)
    target = manifest.target
    if live.content_hash == target.content_hash:
        raise NothingToReleaseError(
            f"nothing new to release: {manifest.endpoint_name} already serves version "
            f"{target.version} ({target.content_hash[:12]}…); stage another version with "
            "`slipway up`"
        )
    if target.content_hash in state.rejected and not retry:
        raise RejectedError(
            f"version {target.version} ({target.content_hash[:12]}…) was rolled back before; stage "
            "another version with `slipway up`, or release it again with --retry"
        )
    if snapshot.target is None:
        raise EndpointError(
            f"endpoint configuration {target.endpoint_config_name} of version {target.version} "
            "does not exist; stage it again with `slipway up`"
        )
    destination = good_of(target, 0.0)
    refuse_other_content(snapshot.target, destination)
    return _release(RELEASE, state, manifest, snapshot, new_id, who, destination)


def missing_text(name: str) -> str:
    return (
        f"endpoint {name} does not exist; `slipway up` makes it (with --recreate-endpoint, where "
        "it has release history and was deleted)"
    )


def _fit_endpoint(manifest: ReleaseManifest, snapshot: Snapshot) -> Config:
    name, endpoint = manifest.endpoint_name, snapshot.endpoint
    if endpoint.status == MISSING:
        raise EndpointError(missing_text(name))
    if endpoint.status != IN_SERVICE:
        reason = f" ({endpoint.failure_reason})" if endpoint.failure_reason else ""
        raise EndpointError(
            f"endpoint {name} is {endpoint.status}{reason}; a release starts from InService: "
            "wait until it settles and run this again"
        )
    if snapshot.live is None:
        raise EndpointError(
            f"endpoint {name} serves configuration {endpoint.config_name}, which was deleted; "
            "`slipway rollback` moves it to a good version's"
        )
    names = sorted(v.name for v in endpoint.variants)
    if names != [LIVE_VARIANT]:
        raise EndpointError(
            f"endpoint {name} has the variants {', '.join(names)}; a release starts from one, "
            f"named {LIVE_VARIANT}: `slipway rollback` puts the last good version back"
        )
    return snapshot.live


def begin_rollback(
    state: EndpointState,
    manifest: ReleaseManifest,
    snapshot: Snapshot,
    destination: GoodVersion,
    new_id: str,
    who: str,
) -> Release:
    """Back to a good version, all at once; begins from any endpoint that can be updated."""
    name, endpoint = manifest.endpoint_name, snapshot.endpoint
    if endpoint.status == MISSING:
        raise EndpointError(missing_text(name))
    if endpoint.status not in (IN_SERVICE, UPDATE_ROLLBACK_FAILED):
        raise EndpointError(
            f"endpoint {name} is {endpoint.status}; it can be rolled back when it is InService: "
            "wait until it settles and run this again"
        )
    if snapshot.target is None:
        raise VersionError(
            f"endpoint configuration {destination.endpoint_config_name} of version "
            f"{destination.version} does not exist any more; stage that version with `slipway up`"
        )
    refuse_other_content(snapshot.target, destination)
    return _release(ROLLBACK, state, manifest, snapshot, new_id, who, destination)


def choose_good(state: EndpointState, live_hash: str | None, to: str | None) -> GoodVersion:
    """The good version to go back to: ``to`` if named, else the newest that does not serve.

    ``to`` is a version, or the beginning of a content hash where a version was released twice.

    Raises:
        VersionError: there is none, or ``to`` serves or is not among them; names those that are.
    """
    others = [g for g in state.good if g.content_hash != live_hash]
    known = ", ".join(g.version for g in others) or "none"
    if to is None and others:
        return others[0]
    for good in others:
        if to is not None and is_named(good, to):
            return good
    serving = (g for g in state.good if g.content_hash == live_hash)
    if to is not None and any(is_named(g, to) for g in serving):
        raise VersionError(
            f"{state.endpoint_name} serves version {to} already; it can go back to another good "
            f"version that is kept ({known})"
        )
    if to is None:
        raise VersionError(
            f"{state.endpoint_name} has no good version before this one to go back to; stage "
            "another with `slipway up` and release it"
        )
    raise VersionError(
        f"{state.endpoint_name}: version {to} is not among the good versions that are kept "
        f"({known}); stage it with `slipway up` and release it"
    )


def is_named(good: GoodVersion, to: str) -> bool:
    """Whether ``to`` is its version, or the beginning of its content hash."""
    by_hash = len(to) >= SHORTEST_HASH and good.content_hash.startswith(to)
    return good.version == to or by_hash


def good_of(target: Target, since: float) -> GoodVersion:
    return GoodVersion(
        target.version,
        target.content_hash,
        target.endpoint_config_name,
        target.model_name,
        target.package_sha256,
        target.registry_uri,
        since,
        target.metrics,
    )


def good_of_live(state: EndpointState, model: str, config: Config, since: float) -> GoodVersion:
    """What the live configuration's tags and our own memory say of the version that serves."""
    content_hash = config.tags.get(TAG_HASH, "")
    for good in state.good:
        if content_hash and good.content_hash == content_hash:
            return good
    version = config.tags.get(TAG_VERSION, "")
    return GoodVersion(
        version=version,
        content_hash=content_hash,
        endpoint_config_name=config.name,
        model_name=str(config.production()[0].get("ModelName", "")) if config.production() else "",
        package_sha256="",
        registry_uri=f"models:/{model}/{version}" if version else "",
        since=since,
    )


def _release(
    purpose: str,
    state: EndpointState,
    manifest: ReleaseManifest,
    snapshot: Snapshot,
    new_id: str,
    who: str,
    destination: GoodVersion,
) -> Release:
    endpoint = snapshot.endpoint
    live = endpoint.variant(LIVE_VARIANT)
    target = snapshot.target
    config = snapshot.live or _stand_in(state, manifest, snapshot, new_id)
    debt = state.owed_scaling
    owed = None if debt is None else due(debt, snapshot.scaling)
    before = Before(
        config=config,
        good=good_of_live(state, manifest.model, config, endpoint.now),
        weight=live.current_weight if live is not None and live.current_weight > 0 else 1.0,
        count=live.desired_count if live is not None else 1,
        scaling=snapshot.scaling if owed is None else owed,
    )
    stage, wanted_count = Stage.PREPARE, 0
    if purpose == ROLLBACK:
        # A release that was left to someone else leaves a variant beside live.
        wanted_count = alone_count(endpoint)
        is_shared = live is not None and live.desired_count < wanted_count
        stage = Stage.REFILL if is_shared else Stage.RESTORE
    release = Release(
        id=new_id,
        purpose=purpose,
        manifest=manifest,
        destination=destination,
        candidate_variant=target.production()[0] if target is not None else {},
        before=before,
        started_at=endpoint.now,
        started_by=who,
        stage=stage.value,
        stage_since=endpoint.now,
        step_since=endpoint.now,
        wanted_count=wanted_count,
        base=config.name,
        is_scaling_owed=debt is not None and debt.is_removed and owed is not None,
        usual_turnover_seconds=state.turnover_seconds or USUAL_TURNOVER_SECONDS,
    )
    text = f"{before.good.version or 'unknown'} → {destination.version}"
    return release.noted(endpoint.now, "started", text, by=who, purpose=purpose)


def _stand_in(
    state: EndpointState, manifest: ReleaseManifest, snapshot: Snapshot, new_id: str
) -> Config:
    """For a configuration that was deleted though it serves: no update is taken without one.

    SageMaker looks for its name (facts 2); it goes again once another configuration serves.
    """
    endpoint = snapshot.endpoint
    live, target = endpoint.variant(LIVE_VARIANT), snapshot.target
    variant = dict(target.production()[0]) if target is not None else {}
    variant["InitialInstanceCount"] = 1 if live is None else max(1, live.desired_count)
    known = good_of_config(state, endpoint.config_name)
    tags = manifest.tags | {TAG_RELEASE: new_id}
    if known is not None:
        variant["ModelName"] = known.model_name
        tags |= {TAG_HASH: known.content_hash, TAG_VERSION: known.version}
    return Config(endpoint.config_name, {"ProductionVariants": [variant]}, tags)


def good_of_config(state: EndpointState, name: str) -> GoodVersion | None:
    """The remembered version that was served by this configuration."""
    return next((g for g in state.good if g.endpoint_config_name == name), None)


def serving_hash(state: EndpointState, endpoint: Endpoint, live: Config | None) -> str | None:
    """The content that serves, also where its configuration was deleted."""
    if live is not None:
        return live.content_hash
    known = good_of_config(state, endpoint.config_name)
    return None if known is None else known.content_hash


def is_orphan(config: Config) -> bool:
    """Whether the configuration is one that a release made for its own time."""
    return TAG_RELEASE in config.tags
