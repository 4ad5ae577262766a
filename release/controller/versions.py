"""Which version a configuration is, and which good one to go back to."""

from __future__ import annotations

from contracts.release_manifest import TAG_HASH, TAG_VERSION, Target
from release.errors import VersionError
from release.observation import Config, Endpoint
from release.state import EndpointState, GoodVersion

SHORTEST_HASH = 6


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


def good_of_config(state: EndpointState, name: str) -> GoodVersion | None:
    """The remembered version that was served by this configuration."""
    return next((g for g in state.good if g.endpoint_config_name == name), None)


def serving_hash(state: EndpointState, endpoint: Endpoint, live: Config | None) -> str | None:
    """The content that serves, also where its configuration was deleted."""
    if live is not None:
        return live.content_hash
    known = good_of_config(state, endpoint.config_name)
    return None if known is None else known.content_hash
