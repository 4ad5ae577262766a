"""Values on the wire, tags, shapes of the API, and the contract's tables themselves."""

from __future__ import annotations

import inspect
import json
import keyword
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from localcloud.provider import tags
from localcloud.provider.configuration import KEYS, problems, settings
from localcloud.provider.resources.registry import RESOURCES
from localcloud.provider.schema import CONTRACTS, Property, ResourceType, all_types, resource_type
from localcloud.provider.shapes import from_api, to_api
from localcloud.provider.tags import TagSettings
from localcloud.provider.validators import VALIDATORS, arn
from localcloud.provider.values import (
    ASSET,
    OUTPUT_VALUE,
    SECRET,
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_TEXT,
    Asset,
    from_struct,
    has_unknown,
    to_struct,
)

PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(2**52), 2**52)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_plain_values_survive_the_wire(value: dict[str, Any]) -> None:
    assert from_struct(to_struct(value)) == value


def wire(value: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(value)
    return struct


def test_sentinels_are_understood() -> None:
    found = from_struct(
        wire(
            {
                "unknown": UNKNOWN_TEXT,
                "secret": {SIGNATURE_KEY: SECRET, "value": {"a": 1}},
                "output": {SIGNATURE_KEY: OUTPUT_VALUE, "secret": True},
                "asset": {SIGNATURE_KEY: ASSET, "path": "/x", "hash": "h"},
            }
        )
    )
    assert found["unknown"] is UNKNOWN
    assert found["secret"] == {"a": 1}
    assert found["output"] is UNKNOWN
    assert found["asset"] == Asset(ASSET, {"path": "/y", "hash": "h"})
    assert has_unknown(found)
    again = from_struct(to_struct({"a": found["asset"], "u": [UNKNOWN]}))
    assert again == {"a": found["asset"], "u": [UNKNOWN]}
    with pytest.raises(ValueError, match="unknown signature"):
        from_struct(wire({"odd": {SIGNATURE_KEY: "x"}}))


def test_tags_merge_and_read_back() -> None:
    known = TagSettings({"stack": "dev", "team": "a"}, frozenset({"ignored"}), ("auto:",))
    assert tags.merged(known, {"team": "b", "auto:x": "1"}) == {"stack": "dev", "team": "b"}
    assert tags.merged(known, UNKNOWN) is UNKNOWN
    cloud = {"stack": "dev", "team": "b", "aws:made": "x", "ignored": "y", "auto:z": "1"}
    own, everything = tags.read_back(known, cloud, {"team": "b"})
    assert own == {"team": "b"}
    assert everything == {"stack": "dev", "team": "b"}
    assert tags.changes({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == ({"c": "3"}, ["b"])


def contract(token: str) -> ResourceType:
    found = resource_type(token)
    assert found is not None
    return found


def test_properties_become_the_apis_members_and_come_back() -> None:
    fields = contract("aws:sagemaker/endpointConfiguration:EndpointConfiguration").inputs
    inputs = {
        "name": "c",
        "kmsKeyArn": "arn",
        "tags": {"a": "b"},
        "productionVariants": [
            {
                "variantName": "live",
                "volumeSizeInGb": 5,
                "initialVariantWeight": 0,
                "routingConfigs": [{"routingStrategy": "RANDOM"}],
            }
        ],
    }
    request = to_api(fields, inputs)
    assert request == {
        "EndpointConfigName": "c",
        "KmsKeyId": "arn",
        "ProductionVariants": [
            {
                "VariantName": "live",
                "VolumeSizeInGB": 5,
                "InitialVariantWeight": 0,
                "RoutingConfig": {"RoutingStrategy": "RANDOM"},
            }
        ],
    }
    back = from_api(fields, {**request, "EndpointConfigArn": "x"})
    assert back == {k: v for k, v in inputs.items() if k != "tags"}


# Which API request each type's table is translated into.
OPERATIONS = {
    "aws:sagemaker/model:Model": ("sagemaker", "CreateModel"),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": (
        "sagemaker",
        "CreateEndpointConfig",
    ),
    "aws:sagemaker/endpoint:Endpoint": ("sagemaker", "UpdateEndpoint"),
    "aws:appautoscaling/target:Target": ("application-autoscaling", "RegisterScalableTarget"),
    "aws:appautoscaling/policy:Policy": ("application-autoscaling", "PutScalingPolicy"),
}


@pytest.mark.parametrize("token", sorted(OPERATIONS))
def test_every_property_has_its_member_in_the_api(token: str) -> None:
    from localcloud.provider.api_model import service_model

    service, operation = OPERATIONS[token]
    shape: Any = service_model(service).operation_model(operation).input_shape

    def compare(fields: dict[str, Property], shape: Any, where: str) -> None:
        for name, prop in fields.items():
            if name in ("region", "tags", "tagsAll", "namePrefix"):
                continue
            assert prop.api in shape.members, f"{where}.{name}"
            member: Any = shape.members[prop.api]
            if prop.container in ("list", "set") and not prop.rules.get("single"):
                member = member.member
            if prop.element == "object" and prop.container != "map":
                compare(prop.fields, member, f"{where}.{name}")

    compare(contract(token).inputs, shape, token)


def sdk_class(token: str) -> Any:
    """The SDK's class of a type: aws:s3/bucket:Bucket is pulumi_aws.s3.Bucket."""
    import pulumi_aws

    _, module, name = token.split(":")
    return getattr(getattr(pulumi_aws, sdk_module(module.split("/")[0])), name)


def sdk_module(name: str) -> str:
    """The SDK's name of a module: ``lambda`` is a word of Python's own."""
    return f"{name}_" if keyword.iskeyword(name) else name


def wire_names(args: Any) -> set[str]:
    """The names on the wire of an SDK's argument class."""
    names: set[str] = set()
    for name in inspect.signature(args.__init__).parameters:
        if name in ("self", "__self__"):
            continue
        prop = getattr(args, name)
        names.add(getattr(prop.fget, "_pulumi_name", None) or _camel(name))
    return names


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda m: m[1].upper(), name)


@pytest.mark.parametrize("token", sorted(all_types()))
def test_the_tables_hold_exactly_the_sdks_inputs(token: str) -> None:
    resource = contract(token)
    module: Any = inspect.getmodule(sdk_class(token))
    name = token.rsplit(":", 1)[-1]
    # Where a nested type has the name already, the SDK calls the resource's own InitArgs.
    args = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")
    ours = (set(resource.inputs) | resource.unsupported) - {"tagsAll"}
    assert ours == wire_names(args)


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.json")), ids=lambda path: path.stem)
def test_nested_types_hold_exactly_the_sdks_fields(path: Path) -> None:
    import pulumi_aws

    module: Any = getattr(pulumi_aws, sdk_module(path.stem))
    for table in json.loads(path.read_text()).values():
        for name, fields in table.get("types", {}).items():
            assert set(fields) == wire_names(getattr(module, f"{name}Args")), name


@pytest.mark.parametrize("token", sorted(all_types()))
def test_outputs_exist_in_the_sdk(token: str) -> None:
    resource_class = sdk_class(token)
    for name in resource_type(token).outputs:  # type: ignore[union-attr]
        snake = re.sub(r"(?<!^)([A-Z])", lambda m: "_" + m[1].lower(), name)
        assert hasattr(resource_class, snake) or hasattr(resource_class, snake.replace("_", ""))


def every_property(fields: dict[str, Property]) -> list[Property]:
    found = list(fields.values())
    for prop in fields.values():
        found += every_property(prop.fields)
    return found


@pytest.mark.parametrize("token", sorted(all_types()))
def test_the_tables_name_only_rules_that_exist(token: str) -> None:
    from localcloud.provider.api_model import enum_values

    for prop in every_property(contract(token).inputs):
        for rule in ("check", "each"):
            assert prop.rules.get(rule) in {None, *VALIDATORS}
        if "apiEnum" in prop.rules:
            assert enum_values(prop.rules["apiEnum"])
        if "pattern" in prop.rules:
            re.compile(prop.rules["pattern"])


def test_every_contract_has_a_handler_and_every_handler_a_contract() -> None:
    assert set(RESOURCES) == set(all_types())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", None),
        ("arn:aws:iam::123456789012:role/x", None),
        ("arn:aws:s3:::bucket", None),
        ("arn:aws:iam::aws:policy/X", None),
        ("role", "invalid prefix"),
        ("arn:aws:iam::1234:role/x", "invalid account"),
        ("arn:aws:sns:mars:123456789012:x", "invalid region"),
        ("arn:aws:sns:eu-west-1:123456789012:", "missing resource"),
        ("arn:gcp:sns:eu-west-1:123456789012:x", "invalid partition"),
    ],
)
def test_arns_are_checked_as_the_real_provider_does(text: str, reason: str | None) -> None:
    found = arn(text)
    assert found is None if reason is None else reason in str(found)


def test_the_configuration_takes_the_real_providers_keys_and_no_other() -> None:
    import pulumi_aws

    args = inspect.signature(pulumi_aws.ProviderArgs.__init__).parameters
    assert {_camel(name) for name in args if name != "__self__"} == KEYS
    assert [f.property for f in problems({"regoin": "x", "region": "mars"})] == [
        "regoin",
        "region",
    ]
    found = settings(
        {
            "region": "eu-west-1",
            "defaultTags": '{"tags": {"a": "b"}}',
            "ignoreTags": {"keys": ["k"], "keyPrefixes": ["p:"]},
            "skipCredentialsValidation": "true",
        },
        "us-east-1",
    )
    assert found.region == "eu-west-1"
    assert found.tags == TagSettings({"a": "b"}, frozenset({"k"}), ("p:",))
    assert settings({}, "us-east-1").region == "us-east-1"
