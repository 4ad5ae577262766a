"""Where the versions of the registry serve: what the endpoints of a stack answer with."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.release_manifest import ReleaseManifest
    from scripts.release.stack import ReleaseStack


def serving(place: ReleaseStack) -> dict[str, list[str]]:
    """``models:/NAME/VERSION`` → endpoints; one that is being released: ``wine-prod (canary)``.

    Raises:
        SlipwayError: the stack, its history or AWS cannot be asked.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for manifest in place.manifests():
        for uri, where in _of_endpoint(place, manifest):
            found[uri].append(where)
    return dict(found)


def _of_endpoint(place: ReleaseStack, manifest: ReleaseManifest) -> list[tuple[str, str]]:
    from release.controller.versions import good_of, good_of_config, good_of_live

    name, target = manifest.endpoint_name, manifest.target
    endpoint, state = place.cloud.endpoint(name), place.state(name)
    if not endpoint.config_name:
        return []
    running = state.current
    if running is not None:
        strategy = running.manifest.release.phases[running.phase].kind
        live, coming = running.before.good, running.destination
        if endpoint.config_name == coming.endpoint_config_name:
            return [(coming.registry_uri, name)]
        is_there = len(endpoint.variants) + len(endpoint.shadows) > 1
        told = [(coming.registry_uri, f"{name} ({strategy})")] if is_there else []
        return [(live.registry_uri, name), *told]
    config = place.cloud.config(endpoint.config_name)
    if config is None:  # deleted, and serves on
        known = good_of_config(state, endpoint.config_name)
    elif config.content_hash == target.content_hash:
        known = good_of(target, 0.0)
    else:
        known = good_of_live(state, manifest.model, config, 0.0)
    return [(known.registry_uri, name)] if known is not None else []
