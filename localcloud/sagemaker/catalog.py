"""Models, endpoint configurations and tags: what is only written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from localcloud.sagemaker import describe, rules
from localcloud.sagemaker.records import Endpoint, Stored, stamp
from localcloud.sagemaker.state import Key, State, key_of
from localcloud.service import RequestContext

Params = dict[str, Any]
T = TypeVar("T")


class Catalog:
    """Its methods run under the state's lock."""

    def __init__(self, state: State) -> None:
        self._state = state

    # models

    def create_model(self, params: Params, context: RequestContext) -> Params:
        rules.check_model(params)
        stored = _new("model", params["ModelName"], params, context)
        self._put(self._state.models, stored, "model", context)
        return {"ModelArn": stored.arn}

    def describe_model(self, params: Params, context: RequestContext) -> Params:
        return describe.model(self.model(params["ModelName"], context))

    def delete_model(self, params: Params, context: RequestContext) -> Params:
        stored = self.model(params["ModelName"], context)
        del self._state.models[key_of(context.region, stored.name)]
        return {}

    def list_models(self, params: Params, context: RequestContext) -> Params:
        found = in_region(self._state.models, context)
        entries = [describe.stored_entry(stored, "Model") for stored in found]
        return describe.page(entries, params, "Models", "ModelName")

    # endpoint configurations

    def create_config(self, params: Params, context: RequestContext) -> Params:
        rules.check_config(params)
        for variant in [
            *params["ProductionVariants"],
            *(params.get("ShadowProductionVariants") or ()),
        ]:
            self.model(variant["ModelName"], context)
        stored = _new("endpoint-config", params["EndpointConfigName"], params, context)
        self._put(self._state.configs, stored, "endpoint-config", context)
        return {"EndpointConfigArn": stored.arn}

    def describe_config(self, params: Params, context: RequestContext) -> Params:
        return describe.config(self.config(params["EndpointConfigName"], context))

    def delete_config(self, params: Params, context: RequestContext) -> Params:
        """AWS deletes it even while an endpoint serves by it (fact sheet 2)."""
        stored = self.config(params["EndpointConfigName"], context)
        del self._state.configs[key_of(context.region, stored.name)]
        return {}

    def list_configs(self, params: Params, context: RequestContext) -> Params:
        found = in_region(self._state.configs, context)
        entries = [describe.stored_entry(stored, "EndpointConfig") for stored in found]
        return describe.page(entries, params, "EndpointConfigs", "EndpointConfigName")

    # tags

    def add_tags(self, params: Params, context: RequestContext) -> Params:
        found = self._tagged(params, context)
        found.tags = rules.tags_of(params, found.tags)
        return {"Tags": [{"Key": k, "Value": v} for k, v in sorted(found.tags.items())]}

    def delete_tags(self, params: Params, context: RequestContext) -> Params:
        found = self._tagged(params, context)
        gone = set(params["TagKeys"])
        found.tags = {key: value for key, value in found.tags.items() if key not in gone}
        return {}

    def list_tags(self, params: Params, context: RequestContext) -> Params:
        return describe.tag_page(self._tagged(params, context).tags, params)

    # look-ups

    def model(self, name: str, context: RequestContext) -> Stored:
        return find(self._state.models, "model", name, context)

    def config(self, name: str, context: RequestContext) -> Stored:
        return find(self._state.configs, "endpoint-config", name, context)

    def endpoint(self, name: str, context: RequestContext) -> Endpoint:
        return find(self._state.endpoints, "endpoint", name, context)

    def _tagged(self, params: Params, context: RequestContext) -> Stored | Endpoint:
        """What the request's ARN names, in the region that was asked.

        Raises:
            ServiceError: nothing here has this ARN.
        """
        arn: str = params["ResourceArn"]
        for table in (self._state.models, self._state.configs, self._state.endpoints):
            for item in in_region(table, context):
                if item.arn == arn.lower():
                    return item
        raise rules.could_not_find(arn.split(":", 5)[-1].partition("/")[0], arn)

    def _put(
        self, table: dict[Key, Stored], stored: Stored, kind: str, context: RequestContext
    ) -> None:
        key = key_of(context.region, stored.name)
        if key in table:
            raise rules.already_exists(kind, stored.arn)
        table[key] = stored


def find(table: Mapping[Key, T], kind: str, name: str, context: RequestContext) -> T:
    """Raises ``ServiceError`` with AWS's words when there is no such thing."""
    found = table.get(key_of(context.region, name))
    if found is None:
        missing = rules.arn(kind, context.region, context.account_id, name)
        raise rules.could_not_find(kind, missing)
    return found


def in_region(table: Mapping[Key, T], context: RequestContext) -> list[T]:
    return [item for (region, _), item in table.items() if region == context.region]


def _new(kind: str, name: str, params: Params, context: RequestContext) -> Stored:
    return Stored(
        name=name,
        arn=rules.arn(kind, context.region, context.account_id, name),
        created=stamp(context.now),
        params={k: v for k, v in params.items() if k != "Tags"},
        tags=rules.tags_of(params),
    )
