"""What a driver reads of AWS to begin a release or a rollback."""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import ReleaseManifest
from release.aws import survey as survey_aws
from release.aws.cloud import AwsCloud, Cloud
from release.controller import start, versions
from release.freeze import Freeze, refuse_frozen
from release.hooks.questions import TERMINAL
from release.observation import MISSING
from release.planning.plan import predicted_seconds, refuse_errors, turnover_of
from release.planning.survey import Survey
from release.state import EndpointState, Release


def new_release(
    manifest: ReleaseManifest,
    cloud: Cloud,
    state: EndpointState,
    token: str,
    who: str,
    freeze: Freeze | None,
    *,
    retry: bool,
) -> Release:
    """The release of what is staged, nothing of it done yet.

    Raises:
        ReleaseError: it must not begin.
    """
    seen = snapshot(manifest, cloud, manifest.target.endpoint_config_name)
    refuse_frozen(freeze, manifest.model, seen.endpoint.now)
    new_id = start.release_id(manifest.model, seen.endpoint.now, token)
    release = start.begin_release(state, manifest, seen, new_id, who, retry=retry)
    survey = _survey(manifest, cloud, state, seen)
    refuse_errors(manifest, state, seen, survey)
    seconds = predicted_seconds(manifest, state, seen, survey.traffic)
    _, expected, longest = seconds
    told = f"at most {longest / 60:.0f} min"
    if expected is not None:
        told = f"about {expected / 60:.0f} min"
    return release.noted(
        seen.endpoint.now,
        "planned",
        told,
        seconds=list(seconds),
        turnover_seconds=turnover_of(state),
    )


def _survey(
    manifest: ReleaseManifest, cloud: Cloud, state: EndpointState, seen: start.Snapshot
) -> Survey:
    """As the plan asks AWS; who drives is asked by whoever starts it elsewhere."""
    if not isinstance(cloud, AwsCloud):
        return Survey()
    longest = predicted_seconds(manifest, state, seen, None)[2]
    return replace(survey_aws.survey(cloud, manifest, seen, longest), driver=TERMINAL)


def new_rollback(
    manifest: ReleaseManifest,
    cloud: Cloud,
    state: EndpointState,
    token: str,
    who: str,
    to: str | None,
) -> Release:
    """Back to the good version ``to``, or the one before; a freeze does not keep it."""
    endpoint = cloud.endpoint(manifest.endpoint_name)
    live = None if endpoint.status == MISSING else cloud.config(endpoint.config_name)
    chosen = versions.choose_good(state, versions.serving_hash(state, endpoint, live), to)
    seen = snapshot(manifest, cloud, chosen.endpoint_config_name)
    new_id = start.release_id(manifest.model, endpoint.now, token)
    return start.begin_rollback(state, manifest, seen, chosen, new_id, who)


def snapshot(manifest: ReleaseManifest, cloud: Cloud, target: str) -> start.Snapshot:
    name = manifest.endpoint_name
    endpoint = cloud.endpoint(name)
    if endpoint.status == MISSING:
        return start.Snapshot(endpoint, None, None, None)
    live, wanted = cloud.config(endpoint.config_name), cloud.config(target)
    return start.Snapshot(endpoint, live, wanted, cloud.scaling(name))
