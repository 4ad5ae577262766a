"""What a release does to autoscaling: scale-in is suspended, and a target never stands in the way.

SageMaker refuses to remove a variant that is a scalable target, or to change its instance type
(facts 6): the target goes first, and comes back as it was. What it was is read at the release's
beginning, and again before the target goes and before it comes back, for bounds are operational:
what `up` makes of them meanwhile counts (architecture, rule 3).
"""

from __future__ import annotations

from dataclasses import replace

from contracts.release_manifest import CANDIDATE_VARIANT, LIVE_VARIANT, SHADOW_VARIANT
from release.actions import Action, RemoveScaling, RestoreScaling, SetScaling
from release.controller.stages import Stage
from release.observation import Endpoint, Observation, ScalingTarget
from release.owed import SCALE_IN
from release.state import Release


def suspend(release: Release) -> tuple[Action, ...]:
    target = release.before.scaling
    return () if target is None else (SetScaling(target.suspended | {SCALE_IN: True}),)


def depends_on_scaling(release: Release) -> bool:
    """Whether the stage removes live's target or puts it back: what it is now is read before."""
    if release.before.scaling is None or release.issued:
        return False
    match Stage(release.stage):
        case Stage.SWAP | Stage.SHIFT | Stage.BACK | Stage.RESTORE:
            return _is_retyped(release)
        case Stage.POST_BAKE:
            return release.is_scaling_removed
        case Stage.CLEANUP:
            return release.is_scaling_removed or release.is_scaling_owed
        case _:
            return False


def remembered(release: Release, observation: Observation) -> Release:
    """What the target is to be at the end, as far as is seen now; its suspension was our own."""
    kept, seen = release.before.scaling, observation.scaling
    if kept is None or not observation.is_scaling_read:
        return release
    if release.is_scaling_removed or release.is_scaling_owed:
        # Someone has registered it since, with the bounds of now; the rest is still missing.
        kept = kept if seen is None else _as_before(seen.completed(kept), kept)
    else:
        kept = None if seen is None else _as_before(seen, kept)
    return replace(release, before=replace(release.before, scaling=kept))


def _as_before(target: ScalingTarget, before: ScalingTarget) -> ScalingTarget:
    return replace(target, suspended=before.suspended)


def make_way(
    release: Release, endpoint: Endpoint, config: str
) -> tuple[Release, tuple[Action, ...]]:
    """Before an update to ``config``: targets go whose variants leave or change their type."""
    leaving = [v.name for v in (*endpoint.variants, *endpoint.shadows)]
    actions: list[Action] = [
        RemoveScaling(name) for name in leaving if name in (CANDIDATE_VARIANT, SHADOW_VARIANT)
    ]
    if release.before.scaling is not None and _changes_type(release, endpoint, config):
        actions.append(RemoveScaling(LIVE_VARIANT))
        release = replace(release, is_scaling_removed=True)
    return release, tuple(actions)


def bring_back(release: Release) -> tuple[Release, tuple[Action, ...]]:
    """After such an update: the target is there again, its scale-in still suspended.

    It is missing until that was done, and not only decided: AWS may not answer at first.
    """
    target = release.before.scaling
    if target is None or release.issued:
        return replace(release, is_scaling_removed=False), ()
    return release, (
        RestoreScaling(replace(target, suspended=target.suspended | {SCALE_IN: True})),
    )


def at_the_end(release: Release) -> tuple[Action, ...]:
    """As it was before the release, whatever happened."""
    target = release.before.scaling
    if target is None:
        return ()
    if release.is_scaling_removed or release.is_scaling_owed:
        return (RestoreScaling(target),)
    return (SetScaling(target.suspended),)


def _is_retyped(release: Release) -> bool:
    old, new = _types(release)
    return bool(old and new) and old != new


def _changes_type(release: Release, endpoint: Endpoint, config: str) -> bool:
    if not _is_retyped(release):
        return False
    target = release.destination.endpoint_config_name
    return (endpoint.config_name == target) != (config == target)


def _types(release: Release) -> tuple[str, str]:
    production = release.before.config.production()
    before = str(production[0].get("InstanceType", "")) if production else ""
    return before, str(release.candidate_variant.get("InstanceType", ""))
