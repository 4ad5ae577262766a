"""One look of a driver at the world: the endpoint, and what the stage wants to know beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from release.aws.cloud import Cloud
from release.controller.deleted import needed_configs
from release.controller.needs import Needs, needs
from release.controller.scaling import depends_on_scaling
from release.controller.stages import known_configs
from release.driver.progress import Collaborators
from release.errors import AwsError
from release.observation import Captured, Endpoint, MetricQuery, Observation, Request, Series
from release.state import Release

T = TypeVar("T")
Trouble = Callable[[str], None]
UNKNOWN = "by whom is not known (CloudTrail may tell it some minutes later)"


def look(
    release: Release,
    cloud: Cloud,
    beside: Collaborators,
    request: Request | None,
    trouble: Trouble,
) -> Observation:
    """What ``advance`` is told.

    What cannot be read beside the endpoint is missing in this look: a gate without metrics holds,
    and the longest bake ends it safely.

    Raises:
        AwsError: the endpoint itself cannot be seen.
    """
    name = release.manifest.endpoint_name
    endpoint = cloud.endpoint(name)
    endpoint = replace(endpoint, remarks=_remarks(release, endpoint, cloud))
    wanted = needs(release, endpoint)
    series: Series = {}
    for query in wanted.metrics:
        series |= _or(lambda q=query: cloud.series(name, q), _no_series(query), trouble)
    captured = _captures(release, wanted, beside, trouble)
    series = _with_predictions(series, captured)
    hooks = {}
    if wanted.hooks:
        hooks = _or(lambda: beside.ask_hooks(release, wanted.hooks, endpoint.now), {}, trouble)
    alarms: dict[str, str] = {}
    if wanted.alarms:
        alarms = _or(lambda: cloud.alarms(wanted.alarms), alarms, trouble)
    missing = _missing(release, endpoint, cloud, trouble)
    seen = Observation(
        endpoint, series, alarms, hooks, captured.pairs, captured.bins, request, missing
    )
    if not depends_on_scaling(release):
        return seen
    # What cannot be read is taken to be as it was.
    scaling = _or(lambda: cloud.scaling(name), release.before.scaling, trouble)
    return replace(seen, scaling=scaling, is_scaling_read=True)


def _missing(
    release: Release, endpoint: Endpoint, cloud: Cloud, trouble: Trouble
) -> frozenset[str]:
    """What was deleted of the configurations that are needed; what cannot be asked for stands."""
    needed = needed_configs(release, endpoint)
    return frozenset(n for n in needed if not _or(lambda n=n: cloud.has_config(n), True, trouble))


def with_author(observation: Observation, release: Release, cloud: Cloud) -> Observation:
    """The same, and in its remarks who changed the endpoint, as far as CloudTrail tells."""
    endpoint = observation.endpoint
    name = release.manifest.endpoint_name
    who = _or(lambda: cloud.changed_by(name, endpoint.now), "", lambda _text: None)
    text = f"by {who}" if who else UNKNOWN
    remarks = "; ".join(r for r in (endpoint.remarks, text) if r)
    return replace(observation, endpoint=replace(endpoint, remarks=remarks))


def _or(ask: Callable[[], T], nothing: T, trouble: Trouble) -> T:
    try:
        return ask()
    except AwsError as error:
        trouble(str(error))
        return nothing


def _no_series(query: MetricQuery) -> Series:
    return {query.alias or query.variants[0]: {}}


def _captures(release: Release, wanted: Needs, beside: Collaborators, trouble: Trouble) -> Captured:
    query = wanted.captures
    found = None
    if query is not None:
        found = _or(lambda: beside.read_captures(release, query), None, trouble)
    if found is None:
        return Captured({})
    for note in found.notes:
        trouble(note)
    return found


def _with_predictions(series: Series, captured: Captured) -> Series:
    """The minutes with the predictions that were captured in them."""
    for name, minutes in captured.predictions.items():
        known = series.get(name, {})
        for start, counts in minutes.items():
            if start in known:
                known[start] = replace(known[start], predictions=counts)
    return series


def _remarks(release: Release, endpoint: Endpoint, cloud: Cloud) -> str:
    """What the tags tell of configurations that are none of this release's."""
    known = known_configs(release)
    told: list[str] = []
    for name in dict.fromkeys((endpoint.config_name, endpoint.pending_config)):
        if not name or name in known:
            continue
        config = _or(lambda n=name: cloud.config(n), None, lambda _text: None)
        if config is None:
            told.append(f"{name} does not exist")
            continue
        tags = ", ".join(f"{k}={v}" for k, v in sorted(config.tags.items())[:6])
        models = ", ".join(sorted({str(v.get("ModelName", "")) for v in config.production()}))
        told.append(f"{name} serves {models or 'nothing'}, tags: {tags or 'none'}")
    return "; ".join(told)
