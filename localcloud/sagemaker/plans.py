"""Fleets as a configuration wants them, without an instance yet."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.sagemaker.capacity import FleetMap
from localcloud.sagemaker.fleet import VariantFleet, VariantSpec
from localcloud.sagemaker.instance import StartError
from localcloud.sagemaker.records import Endpoint, Params, Stored, VariantState, variant_params
from localcloud.sagemaker.rules import arn, could_not_find
from localcloud.sagemaker.state import State, key_of
from localcloud.service import ACCOUNT_ID


def planned(
    state: State, endpoint: Endpoint, config: Params, variants: dict[str, VariantState]
) -> FleetMap:
    """``desired`` is what the variants' records ask for."""
    fleets: FleetMap = {}
    for variant in variants.values():
        params = variant_params(config, variant.name)
        find_model = _model_finder(state, endpoint.region, params["ModelName"])
        spec = VariantSpec(endpoint.region, endpoint.name, params, find_model)
        fleets[variant.name] = VariantFleet(spec=spec, desired=variant.desired_count)
    return fleets


def _model_finder(state: State, region: str, name: str) -> Callable[[], Stored]:
    """A model may be deleted while an endpoint serves it; then no instance of it starts."""

    def find() -> Stored:
        with state.lock:
            found = state.models.get(key_of(region, name))
        if found is None:
            missing = could_not_find("model", arn("model", region, ACCOUNT_ID, name))
            raise StartError(missing.message)
        return found

    return find
