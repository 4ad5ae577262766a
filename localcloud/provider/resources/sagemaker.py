"""aws.sagemaker.Model and EndpointConfiguration: made and deleted, never changed but for tags."""

# The interface of a resource decides the arguments.

from __future__ import annotations

from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import code_of, message_of
from localcloud.provider.naming import name_prefix, physical_name, unique_id
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties

VALIDATION = "ValidationException"


class Tagged(Resource):
    """What SageMaker tags by ARN."""

    arn_kind = ""

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        sagemaker, arn = call.client(), self.arn(call)
        if removed:
            sagemaker.delete_tags(ResourceArn=arn, TagKeys=removed)
        if added:
            sagemaker.add_tags(ResourceArn=arn, Tags=tags.to_list(added))

    def arn(self, call: Call) -> str:
        known = call.state.get("arn")
        return str(known or call.arn("sagemaker", f"{self.arn_kind}/{call.id.lower()}"))


class Model(Tagged):
    """Any ValidationException of a reading means that it is gone, as in the real provider."""

    token = "aws:sagemaker/model:Model"
    arn_kind = "model"

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        request = {**call.request(), **_tags(call), "ModelName": name}
        sagemaker = call.client()
        retry(lambda: sagemaker.create_model(**request), lambda error: code_of(error) == VALIDATION)
        call.id = name

    def read(self, call: Call) -> Properties | None:
        answer = call.client().describe_model(ModelName=call.id)
        found = call.properties(answer)
        for name in ("primaryContainer", "containers"):
            containers = found.get(name) or []
            for container in [containers] if isinstance(containers, dict) else containers:
                container.setdefault("mode", "SingleModel")
        found.setdefault("enableNetworkIsolation", False)
        return {**found, "arn": answer["ModelArn"], "tagsAll": list_tags(call, answer["ModelArn"])}

    def update(self, call: Call, changed: set[str]) -> None:
        """Sends nothing: a changed inferenceExecutionConfig shows again at the next plan."""

    def delete(self, call: Call) -> None:
        call.client().delete_model(ModelName=call.id)

    def is_gone(self, error: Exception) -> bool:
        return code_of(error) == VALIDATION

    def keeps_delete_error(self, error: Exception) -> bool:
        return "could not find model" not in message_of(error).lower()


class EndpointConfiguration(Tagged):
    """Replaced for every change but one of its tags."""

    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    arn_kind = "endpoint-config"
    variants = ("productionVariants", "shadowProductionVariants")

    def create(self, call: Call) -> None:
        name = physical_name(call.inputs)
        request: dict[str, Any] = call.request() | _tags(call) | {"EndpointConfigName": name}
        for member in ("ProductionVariants", "ShadowProductionVariants"):
            for variant in request.get(member, []):
                variant.setdefault("VariantName", f"terraform-{unique_id()}")
        # The real provider sends the flag always, so that leaving it out switches capture off.
        if "DataCaptureConfig" in request:
            request["DataCaptureConfig"].setdefault("EnableCapture", False)
        call.client().create_endpoint_config(**request)
        call.id = name

    def read(self, call: Call) -> Properties | None:
        answer = call.client().describe_endpoint_config(EndpointConfigName=call.id)
        found = call.properties(answer)
        for variant in [v for name in self.variants for v in found.get(name, [])]:
            if not variant.get("modelName"):
                variant.pop("initialVariantWeight", None)
                variant.pop("enableSsmAccess", None)
        arn = answer["EndpointConfigArn"]
        return {
            **found,
            "arn": arn,
            "namePrefix": name_prefix(call.id),
            "tagsAll": list_tags(call, arn),
        }

    def delete(self, call: Call) -> None:
        call.client().delete_endpoint_config(EndpointConfigName=call.id)

    def is_gone(self, error: Exception) -> bool:
        missing = "could not find endpoint configuration"
        return code_of(error) == VALIDATION and missing in message_of(error).lower()


def list_tags(call: Call, arn: str) -> dict[str, str]:
    """All tags of a SageMaker resource."""
    pages = call.client().get_paginator("list_tags").paginate(ResourceArn=arn)
    return tags.from_list(tag for page in pages for tag in page["Tags"])


def _tags(call: Call) -> dict[str, Any]:
    return {"Tags": tags.to_list(call.tags)} if call.tags else {}
