"""Endpoints: what creates, updates, scales and deletes them; the work itself is the deployer's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from localcloud.sagemaker import describe, quota, rules
from localcloud.sagemaker.catalog import Catalog, in_region
from localcloud.sagemaker.deployer import Deployer
from localcloud.sagemaker.deployments import (
    check_alarms,
    check_deployment,
    check_rollout,
    deployment_of,
)
from localcloud.sagemaker.policies import NONE, Policy, Rolling, guardrails_of
from localcloud.sagemaker.records import (
    CREATING,
    DELETING,
    SHADOW,
    UPDATING,
    Endpoint,
    Pending,
    fresh_variants,
    stamp,
    updated_variants,
    variant_params,
)
from localcloud.sagemaker.rollout import Tools
from localcloud.sagemaker.state import key_of
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]


class Endpoints:
    """Its methods run under the state's lock."""

    def __init__(self, tools: Tools, catalog: Catalog, deployer: Deployer) -> None:
        self._state, self._standing = tools.state, tools.standing
        self._neighbours, self._news = tools.neighbours, tools.news
        self._catalog = catalog
        self._deployer = deployer

    def create(self, params: Params, context: RequestContext) -> Params:
        name, deployment = params["EndpointName"], params.get("DeploymentConfig")
        check_deployment(deployment)
        tags = rules.tags_of(params)
        arn = rules.arn("endpoint", context.region, context.account_id, name)
        key = key_of(context.region, name)
        if key in self._state.endpoints:
            raise rules.already_exists("endpoint", arn)
        config = self._catalog.config(params["EndpointConfigName"], context)
        now = stamp(context.now)
        endpoint = Endpoint(
            name=name,
            arn=arn,
            region=context.region,
            created=now,
            modified=now,
            config_name=config.name,
            config=config.params,
            status=CREATING,
            variants={},
            tags=tags,
            last_deployment=deployment,
        )
        self._state.endpoints[key] = endpoint
        pending = Pending(
            config.name,
            config.params,
            now,
            fresh_variants(config.params),
            shadows=fresh_variants(config.params, SHADOW),
        )
        try:
            self._deploy(endpoint, pending, context)
        except ServiceError:
            del self._state.endpoints[key]
            raise
        return {"EndpointArn": arn}

    def describe(self, params: Params, context: RequestContext) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        self._standing.refresh_counts(endpoint)
        return describe.endpoint(endpoint)

    def update(
        self, params: Params, context: RequestContext, scaled: Collection[str] = ()
    ) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        deployment = deployment_of(params, endpoint)
        excluded = rules.excluded_properties(params)
        rules.check_updatable(endpoint, repairs=True)
        # AWS loses sight of an endpoint whose configuration was deleted, until it is made again.
        self._catalog.config(endpoint.config_name, context)
        config = self._catalog.config(params["EndpointConfigName"], context)
        rules.check_scaled_variants(
            endpoint.config["ProductionVariants"],
            config.params["ProductionVariants"],
            scaled,
        )
        retain = bool(params.get("RetainAllVariantProperties", False))
        pending = Pending(
            config.name,
            config.params,
            stamp(context.now),
            updated_variants(endpoint.variants, config.params, retain, excluded),
            deployment,
            updated_variants(endpoint.shadows, config.params, retain, excluded, SHADOW),
        )
        rails = guardrails_of(deployment, config.params)
        check_rollout(endpoint, config.params, pending.variants, rails)
        if rails.alarms:
            check_alarms(rails.alarms, self._neighbours.alarms(context.region, rails.alarms))
        self._deploy(endpoint, pending, context, rails.policy)
        return {"EndpointArn": endpoint.arn}

    def _deploy(
        self,
        endpoint: Endpoint,
        pending: Pending,
        context: RequestContext,
        policy: Policy = NONE.policy,
    ) -> None:
        """Raises ``ServiceError`` where old and new instances together pass the account's quota."""
        coming = [*pending.variants.values(), *pending.shadows.values()]
        counts = {variant.name: variant.desired_count for variant in coming}
        if isinstance(policy, Rolling):
            counts = {name: policy.batch.of_fleet(count) for name, count in counts.items()}
        self._check_quota(pending.config, counts, context)
        for variant in coming:
            model_name = variant_params(pending.config, variant.name)["ModelName"]
            model = self._state.models.get(key_of(context.region, model_name))
            if model is not None:
                image = model.params["PrimaryContainer"]["Image"]
                variant.image, variant.resolved = image, pending.started
        if endpoint.status != CREATING:
            endpoint.status = UPDATING
        endpoint.pending = pending
        endpoint.modified = pending.started
        self._deployer.begin(endpoint)
        self._news.state(endpoint)

    def _check_quota(self, config: Params, added: dict[str, int], context: RequestContext) -> None:
        neighbours, region = self._neighbours, context.region

        def limit(instance_type: str) -> int | None:
            ordered = neighbours.faults.quota(instance_type)
            if ordered is not None or neighbours.quota is None:
                return ordered
            return neighbours.quota(region, instance_type)

        endpoints = in_region(self._state.endpoints, context)
        quota.check(quota.by_type(config, added), quota.in_use(endpoints), limit)

    def update_weights(self, params: Params, context: RequestContext) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        rules.check_updatable(endpoint)
        updates: list[Params] = params["DesiredWeightsAndCapacities"]
        rules.check_weights(updates, endpoint.variants, endpoint.config_name)
        self._check_quota(endpoint.config, quota.growth(updates, endpoint), context)
        for update in updates:
            variant = endpoint.variants[update["VariantName"]]
            variant.desired_weight = float(update.get("DesiredWeight", variant.desired_weight))
            variant.desired_count = int(update.get("DesiredInstanceCount", variant.desired_count))
        endpoint.status = UPDATING
        endpoint.modified = stamp(context.now)
        self._deployer.begin(endpoint)
        self._news.state(endpoint)
        return {"EndpointArn": endpoint.arn}

    def delete(self, params: Params, context: RequestContext) -> Params:
        endpoint = self._catalog.endpoint(params["EndpointName"], context)
        rules.check_not_in_progress(endpoint)
        endpoint.status = DELETING
        endpoint.modified = stamp(context.now)
        self._deployer.begin(endpoint)
        self._news.state(endpoint)
        return {}

    def list(self, params: Params, context: RequestContext) -> Params:
        found = in_region(self._state.endpoints, context)
        entries = [describe.endpoint_entry(endpoint) for endpoint in found]
        return describe.page(entries, params, "Endpoints", "EndpointName")
