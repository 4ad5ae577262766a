"""Live is scaled out while the new version has a share: its own fleet grows.

In a bake this is a stage of its own, after which minutes are counted anew; a shadow and a held
canary get their instances where they stand.
"""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import CANDIDATE_VARIANT, Canary, Shadow
from release.actions import SetCapacity
from release.controller.capacity import candidate_count, live_count
from release.controller.counting import DATE_RESOLUTION_SECONDS
from release.controller.phases import candidate_variant, phase_of, weight_shown
from release.controller.retreat import MAX_ATTEMPTS, retreat
from release.controller.stages import Move, Stage, go, is_unseen
from release.observation import IN_SERVICE, Endpoint
from release.state import INCONCLUSIVE, Release


def needed(release: Release, endpoint: Endpoint) -> int:
    """The instances that the new version's share takes beside live as it is now."""
    return candidate_count(weight_shown(release), live_count(endpoint, release))


def is_too_small(release: Release, endpoint: Endpoint) -> bool:
    """Whether the new version has fewer instances in service than its share needs."""
    variant = endpoint.variant(candidate_variant(phase_of(release)))
    return variant is not None and variant.current_count < needed(release, endpoint)


def kept_up(release: Release, endpoint: Endpoint) -> Release:
    """From a bake back to its capacity. Where the bake is over, what comes next sizes anew."""
    candidate = endpoint.variant(CANDIDATE_VARIANT)
    is_baking = release.stage == Stage.BAKE and endpoint.status == IN_SERVICE
    count = needed(release, endpoint)
    if not is_baking or candidate is None or candidate.desired_count >= count:
        return release
    grown = _noted(replace(release, wanted_count=count, clean_since=None), endpoint)
    return go(grown, Stage.CAPACITY, endpoint.now)


def grown_in_place(release: Release, endpoint: Endpoint) -> Move:
    """Ask for the instances of a shadow that mirrors, or of a canary that is held.

    A canary that does not get them goes back. Whether AWS scales a shadow is not documented: where
    it does not, nobody misses its answers, and what it answers is not counted.
    """
    phase = phase_of(release)
    is_here = (isinstance(phase, Shadow) and release.stage == Stage.MIRROR) or (
        isinstance(phase, Canary) and release.stage == Stage.HELD
    )
    if not is_here or endpoint.status != IN_SERVICE or endpoint.config_name != release.base:
        return release, ()
    name, count = candidate_variant(phase), needed(release, endpoint)
    variant = endpoint.variant(name)
    if variant is None or variant.desired_count >= count:
        return release, ()
    if count > release.wanted_count:
        release = _noted(replace(release, wanted_count=count, attempts=0), endpoint)
    elif is_unseen(release, endpoint):
        return release, ()
    if release.attempts < MAX_ATTEMPTS:
        return replace(release, attempts=release.attempts + 1), (SetCapacity(name, count),)
    if isinstance(phase, Shadow):
        return release, ()
    reason = f"{name} did not reach {count} instances (it has {variant.current_count})"
    return retreat(release, INCONCLUSIVE, reason, endpoint.now), ()


def counting_anew(release: Release, endpoint: Endpoint) -> Release:
    """When the minutes of a shadow count: from now on, or not while it is too small for its share.

    Instances that came are cold.
    """
    if is_too_small(release, endpoint):
        return replace(release, clean_since=None)
    if release.clean_since is not None:
        return release
    clean = endpoint.now + DATE_RESOLUTION_SECONDS
    grown = clean if release.attempts else release.grown_at
    return replace(release, clean_since=clean, grown_at=grown, attempts=0)


def _noted(release: Release, endpoint: Endpoint) -> Release:
    live, weight = live_count(endpoint, release), weight_shown(release)
    what = "the shadow" if isinstance(phase_of(release), Shadow) else "the candidate"
    text = (
        f"live was scaled to {live} instances: at {weight:g} % {what} needs {release.wanted_count}"
    )
    return release.noted(endpoint.now, "capacity", text)
