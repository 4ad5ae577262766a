"""Beginning: what must be true before anything moves, and the release or rollback that follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.release_manifest import (
    LIVE_VARIANT,
    TAG_HASH,
    TAG_VERSION,
    ReleaseManifest,
)
from release.controller.capacity import alone_count
from release.controller.identity import refuse_other_content
from release.controller.stages import TAG_RELEASE, Stage
from release.controller.versions import good_of, good_of_config, good_of_live
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
            f"{target.version} ({target.content_hash[:12]}…); `slipway up` stages another version"
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


def _release(
    purpose: str,
    state: EndpointState,
    manifest: ReleaseManifest,
    snapshot: Snapshot,
    new_id: str,
    who: str,
    destination: GoodVersion,
) -> Release:
    endpoint, target = snapshot.endpoint, snapshot.target
    live = endpoint.variant(LIVE_VARIANT)
    config = snapshot.live or _stand_in(state, manifest, snapshot, new_id)
    scaling, is_owed = _scaling(state, snapshot)
    before = Before(
        config=config,
        good=good_of_live(state, manifest.model, config, endpoint.now),
        weight=live.current_weight if live is not None and live.current_weight > 0 else 1.0,
        count=live.desired_count if live is not None else 1,
        scaling=scaling,
    )
    stage, wanted_count = _first_stage(purpose, endpoint)
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
        is_scaling_owed=is_owed,
        usual_turnover_seconds=state.turnover_seconds or USUAL_TURNOVER_SECONDS,
    )
    what = f"{before.good.version or 'unknown'} → {destination.version}"
    return release.noted(endpoint.now, "started", what, by=who, purpose=purpose)


def _scaling(state: EndpointState, snapshot: Snapshot) -> tuple[ScalingTarget | None, bool]:
    """What live's scaling is to be at the end, and whether a release before owes its target."""
    debt = state.owed_scaling
    owed = None if debt is None else due(debt, snapshot.scaling)
    if debt is None or owed is None:
        return snapshot.scaling, False
    return owed, debt.is_removed


def _first_stage(purpose: str, endpoint: Endpoint) -> tuple[Stage, int]:
    """The stage, and the instances of live that it wants."""
    if purpose != ROLLBACK:
        return Stage.PREPARE, 0
    # A release that was left to someone else leaves a variant beside live.
    live, wanted = endpoint.variant(LIVE_VARIANT), alone_count(endpoint)
    is_shared = live is not None and live.desired_count < wanted
    return (Stage.REFILL if is_shared else Stage.RESTORE), wanted


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
