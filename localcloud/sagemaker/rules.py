"""What SageMaker refuses beyond its service model, with its words (fact sheet 2, 3, 11). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from localcloud.sagemaker.records import (
    FAILED,
    IN_PROGRESS,
    IN_SERVICE,
    UPDATE_ROLLBACK_FAILED,
    Endpoint,
    initial_weight,
)
from localcloud.service import ServiceError

Params = dict[str, Any]
STRATEGIES = frozenset({"RANDOM", "LEAST_OUTSTANDING_REQUESTS"})
METRIC_FREQUENCIES = (10, 30, 60, 120, 180, 240, 300)
MAX_TAGS = 50
_MODEL_DATA_URL = re.compile(r"(https|s3)://[^/]+/.+\.tar\.gz")
_KINDS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}


def refuse(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def not_offered(what: str) -> ServiceError:
    """Never ignored in silence: what we do not do, we say."""
    return refuse(f"The local cloud does not offer {what} yet.")


def arn(kind: str, region: str, account: str, name: str) -> str:
    """SageMaker's ARNs are in lower case, whatever the name is."""
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def could_not_find(kind: str, resource_arn: str) -> ServiceError:
    return refuse(f'Could not find {_KINDS.get(kind, kind)} "{resource_arn}".')


def already_exists(kind: str, resource_arn: str) -> ServiceError:
    return refuse(f'Cannot create already existing {_KINDS[kind]} "{resource_arn}".')


def tags_of(params: Params, present: dict[str, str] | None = None) -> dict[str, str]:
    """The tags of a request, on top of those that are ``present``."""
    listed: list[Params] = params.get("Tags") or []
    given = {tag["Key"]: tag["Value"] for tag in listed}
    if len(given) != len(listed):
        raise refuse("Duplicate tag keys found. Tag keys must be unique.")
    if any(key.lower().startswith("aws:") for key in given):
        raise refuse("Tag keys that begin with aws: are reserved for AWS.")
    merged = {**(present or {}), **given}
    if len(merged) > MAX_TAGS:
        raise refuse(f"A resource can have at most {MAX_TAGS} tags; {len(merged)} came.")
    return merged


def check_model(params: Params) -> None:
    containers = list(params.get("Containers") or [])
    if ("PrimaryContainer" in params) == bool(containers):
        raise refuse("You must specify exactly one of PrimaryContainer or Containers.")
    if not params.get("ExecutionRoleArn"):
        raise refuse("ExecutionRoleArn is required.")
    if containers:
        raise not_offered("models of several containers")
    container: Params = params["PrimaryContainer"]
    if container.get("ModelPackageName"):
        raise not_offered("models from model packages")
    if not container.get("Image"):
        raise refuse("PrimaryContainer needs an Image.")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise not_offered("multi-model containers")
    if container.get("ModelDataSource") or container.get("AdditionalModelDataSources"):
        raise not_offered("uncompressed model data")
    url = container.get("ModelDataUrl")
    if url is not None and not _MODEL_DATA_URL.fullmatch(url):
        raise refuse(f'ModelDataUrl "{url}" must be the S3 path of a .tar.gz file.')


def check_config(params: Params) -> None:
    """Cross-field rules of CreateEndpointConfig."""
    variants: list[Params] = params["ProductionVariants"]
    shadows: list[Params] = params.get("ShadowProductionVariants") or []
    if shadows and (len(variants), len(shadows)) != (1, 1):
        raise refuse(
            "An endpoint configuration with shadow variants needs exactly one production variant "
            f"and one shadow variant; {len(variants)} and {len(shadows)} came."
        )
    check_unique([v["VariantName"] for v in [*variants, *shadows]])
    for variant in [*variants, *shadows]:
        _check_variant(variant)
    for name, what in (
        ("AsyncInferenceConfig", "asynchronous inference"),
        ("ExplainerConfig", "explainers"),
        ("CrossRegionTrafficConfig", "traffic across regions"),
    ):
        if params.get(name):
            raise not_offered(what)
    if shadows:
        _check_shadow(variants[0], shadows[0])
    _check_capture(params.get("DataCaptureConfig"))
    frequency = (params.get("MetricsConfig") or {}).get("MetricPublishFrequencyInSeconds", 60)
    if frequency not in METRIC_FREQUENCIES:
        allowed = ", ".join(str(f) for f in METRIC_FREQUENCIES)
        raise refuse(f"MetricPublishFrequencyInSeconds is {frequency}; it is one of {allowed}.")


def _check_shadow(production: Params, shadow: Params) -> None:
    """It samples its weight / the production variant's weight (fact sheet 2).

    What AWS makes of a share above 1 is not known, so there is none here.
    """
    weights = initial_weight(production), initial_weight(shadow)
    if weights[1] > weights[0]:
        raise refuse(
            f'The weight of the shadow variant "{shadow["VariantName"]}" is {weights[1]:g}; it '
            f"must be at most that of the production variant, {weights[0]:g}."
        )


def check_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise refuse(f'The variant name "{name}" was non-unique within the request.')
        seen.add(name)


def _check_variant(variant: Params) -> None:
    name = variant["VariantName"]
    for field, what in (
        ("ServerlessConfig", "serverless variants"),
        ("ManagedInstanceScaling", "managed instance scaling"),
        ("InstancePools", "instance pools"),
        ("AcceleratorType", "Elastic Inference, which AWS has ended,"),
    ):
        if variant.get(field):
            raise not_offered(what)
    if not variant.get("ModelName"):
        raise refuse(f'The production variant "{name}" needs a ModelName.')
    if not variant.get("InstanceType") or variant.get("InitialInstanceCount") is None:
        raise refuse(
            f'The production variant "{name}" needs InstanceType and InitialInstanceCount.'
        )
    strategy = (variant.get("RoutingConfig") or {}).get("RoutingStrategy", "RANDOM")
    if strategy not in STRATEGIES:
        raise not_offered(f"the routing strategy {strategy}")


def _check_capture(capture: Params | None) -> None:
    if capture is None:
        return
    if not re.fullmatch(r"s3://[^/]+(/.*)?", capture["DestinationS3Uri"]):
        raise refuse(f'DestinationS3Uri "{capture["DestinationS3Uri"]}" is not an S3 URI.')


def check_updatable(endpoint: Endpoint, repairs: bool = False) -> None:
    """Updates want an endpoint that is InService.

    UpdateEndpoint also ``repairs`` one whose rolling update and its rollback both failed.
    """
    check_not_in_progress(endpoint)
    if repairs and endpoint.status == UPDATE_ROLLBACK_FAILED:
        return
    if endpoint.status == FAILED:
        raise refuse(
            f'Cannot update endpoint "{endpoint.arn}": it is {FAILED} and can only be deleted.'
        )
    if endpoint.status != IN_SERVICE:
        raise refuse(f'Cannot update endpoint "{endpoint.arn}" in status {endpoint.status}.')


def check_not_in_progress(endpoint: Endpoint) -> None:
    if endpoint.status in IN_PROGRESS:
        raise refuse(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def excluded_properties(params: Params) -> frozenset[str]:
    """``ExcludeRetainedVariantProperties``, which only has a meaning with retention."""
    listed: list[Params] = params.get("ExcludeRetainedVariantProperties") or []
    excluded = frozenset(p["VariantPropertyType"] for p in listed)
    if excluded and not params.get("RetainAllVariantProperties", False):
        raise refuse(
            "ExcludeRetainedVariantProperties can only be used when RetainAllVariantProperties "
            "is true."
        )
    if "DataCaptureConfig" in excluded:
        raise refuse("The variant property DataCaptureConfig is not supported.")
    return excluded


def check_weights(updates: list[Params], known: Iterable[str], config_name: str) -> None:
    """UpdateEndpointWeightsAndCapacities: weights of several variants, or one capacity (3.4)."""
    names = [u["VariantName"] for u in updates]
    check_unique(names)
    unknown = [name for name in names if name not in set(known)]
    if unknown:
        listed = ", ".join(f'"{name}"' for name in unknown)
        raise refuse(
            f"The variant name(s) {listed} is/are not present within endpoint configuration "
            f'"{config_name}".'
        )
    if sum("DesiredInstanceCount" in u for u in updates) > 1:
        raise refuse("The capacity of only one variant can be updated in a request.")
    for update in updates:
        if update.get("ServerlessUpdateConfig"):
            raise not_offered("serverless variants")
        if update.get("DesiredInstanceCount", 1) < 1:
            raise refuse(
                f'The production variant "{update["VariantName"]}" needs a DesiredInstanceCount of '
                "at least 1."
            )


def check_scaled_variants(old: list[Params], new: list[Params], scaled: Iterable[str]) -> None:
    """A variant that is a scalable target can neither leave nor change its type (facts 6)."""
    types = {v["VariantName"]: v.get("InstanceType") for v in new}
    for variant in old:
        name = variant["VariantName"]
        if name in scaled and types.get(name) != variant.get("InstanceType"):
            raise refuse(
                f'The variant "{name}" is registered as a scalable target with Application Auto '
                "Scaling. Deregister it before removing it or changing its instance type."
            )
