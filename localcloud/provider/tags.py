"""Tags of the provider's configuration, of a resource, and what of the cloud's tags is whose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from localcloud.provider.values import UNKNOWN, Properties, Value, has_unknown

SYSTEM_PREFIX = "aws:"


@dataclass(frozen=True)
class TagSettings:
    """``defaults`` go onto everything; ignored keys belong to somebody else."""

    defaults: dict[str, str] = field(default_factory=dict[str, str])
    ignored_keys: frozenset[str] = frozenset()
    ignored_prefixes: tuple[str, ...] = ()

    def ignores(self, key: str) -> bool:
        return key in self.ignored_keys or key.startswith(self.ignored_prefixes)


def merged(settings: TagSettings, tags: Value) -> Value:
    """``tagsAll``: defaults under the resource's own; unknown when one of them is."""
    if tags is UNKNOWN or has_unknown(tags) or has_unknown(settings.defaults):
        return UNKNOWN
    together = {**settings.defaults, **(tags or {})}
    return {key: value for key, value in together.items() if not settings.ignores(key)}


def read_back(
    settings: TagSettings, cloud: Mapping[str, str], own: Properties
) -> tuple[dict[str, str], dict[str, str]]:
    """``tags`` and ``tagsAll`` as the cloud has them.

    A default tag is the resource's own only where the resource names it, too.
    """
    everything = {
        key: value
        for key, value in cloud.items()
        if not key.startswith(SYSTEM_PREFIX) and not settings.ignores(key)
    }
    tags = {
        key: value
        for key, value in everything.items()
        if settings.defaults.get(key) != value or key in own
    }
    return tags, everything


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What to set and which keys to take away."""
    added = {key: value for key, value in new.items() if old.get(key) != value}
    return added, [key for key in old if key not in new]


def to_list(
    tags: Mapping[str, str], key: str = "Key", value: str = "Value"
) -> list[dict[str, str]]:
    """Tags as most services take them."""
    return [{key: name, value: str(text)} for name, text in sorted(tags.items())]


def from_list(
    tags: Iterable[Mapping[str, str]], key: str = "Key", value: str = "Value"
) -> dict[str, str]:
    return {tag[key]: tag.get(value, "") for tag in tags}
