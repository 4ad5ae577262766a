"""What the router is to know of one configuration of an endpoint and its fleets. Pure."""

from __future__ import annotations

from localcloud.sagemaker.capacity import FleetMap
from localcloud.sagemaker.capture import CaptureSettings
from localcloud.sagemaker.records import (
    PRODUCTION,
    SHADOW,
    Endpoint,
    Leftover,
    Params,
    Pending,
    VariantState,
    initial_weight,
)
from localcloud.sagemaker.routing import EndpointRoute, ShadowRoute, VariantRoute


def own_route(endpoint: Endpoint, fleets: FleetMap) -> EndpointRoute:
    return _route(endpoint, endpoint.config_name, endpoint.config, endpoint.variants, fleets)


def other_route(endpoint: Endpoint, other: Pending | Leftover, fleets: FleetMap) -> EndpointRoute:
    """That of a deployment under way, or of one that is stuck."""
    return _route(endpoint, other.config_name, other.config, other.variants, fleets)


def _route(
    endpoint: Endpoint,
    config_name: str,
    config: Params,
    states: dict[str, VariantState],
    fleets: FleetMap,
) -> EndpointRoute:
    return EndpointRoute(
        region=endpoint.region,
        endpoint=endpoint.name,
        config_name=config_name,
        variants=tuple(
            _variant(name, state.current_weight, fleets) for name, state in states.items()
        ),
        capture=CaptureSettings.of(config.get("DataCaptureConfig")),
        shadow=_shadow(config, fleets),
    )


def _variant(name: str, weight: float, fleets: FleetMap) -> VariantRoute:
    fleet = fleets[name]
    return VariantRoute(name, weight, fleet.spec.routing_strategy, fleet)


def _shadow(config: Params, fleets: FleetMap) -> ShadowRoute | None:
    shadows: list[Params] = config.get(SHADOW) or []
    if not shadows:
        return None
    (shadow,), (production,) = shadows, config[PRODUCTION]
    whole, part = initial_weight(production), initial_weight(shadow)
    share = part / whole if whole > 0 else 0.0
    return ShadowRoute(_variant(shadow["VariantName"], part, fleets), share)
