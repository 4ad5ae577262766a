"""What single resources send and read back; botocore itself checks the requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from localcloud.provider.configuration import Settings
from localcloud.provider.errors import ProviderError
from localcloud.provider.resources.appautoscaling import Policy, Target
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.resources.iam import Role
from localcloud.provider.resources.kms import Key
from localcloud.provider.resources.s3_settings import BucketLifecycle
from localcloud.provider.resources.sagemaker import Model
from localcloud.provider.resources.sagemaker_endpoint import Endpoint
from localcloud.provider.schema import resource_type
from localcloud.provider.server import Sessions
from localcloud.provider.session import Clients, Session


def call_of(
    resource: Resource, inputs: dict[str, Any], state: dict[str, Any], resource_id: str
) -> tuple[Call, Stubber]:
    session = Session(Settings("eu-west-1"), Clients("http://127.0.0.1:1"))
    found = resource_type(resource.token)
    assert found is not None
    call = Call(found, session, inputs, state, resource_id)
    return call, Stubber(call.client())


def rule(**more: Any) -> dict[str, Any]:
    return {
        "id": "old",
        "status": "Enabled",
        "filter": {"and": {"prefix": "a/", "tags": {"k": "v"}}},
        "noncurrentVersionExpiration": {"noncurrentDays": 3, **more},
    }


def api_rule() -> dict[str, Any]:
    return {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}]}},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
    }


def test_the_tags_of_a_lifecycle_filter_are_sent_and_read() -> None:
    """Without them, the rule would expire every object under its prefix."""
    size = "all_storage_classes_128K"
    inputs = {"bucket": "b", "rules": [rule()], "transitionDefaultMinimumObjectSize": size}
    call, stub = call_of(BucketLifecycle(), inputs, {}, "b")
    request = {
        "Bucket": "b",
        "LifecycleConfiguration": {"Rules": [api_rule()]},
        "TransitionDefaultMinimumObjectSize": size,
    }
    stub.add_response("put_bucket_lifecycle_configuration", {}, request)
    stub.add_response("get_bucket_lifecycle_configuration", {"Rules": [api_rule()]})
    with stub:
        BucketLifecycle().put(call)
        assert BucketLifecycle().read(call) == inputs


def test_what_the_cloud_forgets_of_a_lifecycle_rule_stays_known() -> None:
    known = [rule(newerNoncurrentVersions=2)]
    call, stub = call_of(BucketLifecycle(), {}, {"rules": known}, "b")
    stub.add_response("get_bucket_lifecycle_configuration", {"Rules": [api_rule()]})
    with stub:
        found = BucketLifecycle().read(call)
    assert found is not None
    assert found["rules"] == known


def test_a_roles_description_survives_a_change_of_its_session_duration() -> None:
    inputs = {"description": "what for", "maxSessionDuration": 7200}
    call, stub = call_of(Role(), inputs, {}, "r")
    request = {"RoleName": "r", "Description": "what for", "MaxSessionDuration": 7200}
    stub.add_response("update_role", {}, request)
    with stub:
        Role().update(call, {"maxSessionDuration"})
    stub.assert_no_pending_responses()


def test_a_model_is_never_updated_whatever_the_plan_says() -> None:
    call, stub = call_of(Model(), {"inferenceExecutionConfig": {"mode": "Direct"}}, {}, "m")
    with stub:
        Model().update(call, {"inferenceExecutionConfig"})


@pytest.mark.parametrize(("enabled", "expected"), [(True, 180), (False, None)])
def test_a_rotation_period_the_cloud_does_not_tell_is_the_known_one(
    enabled: bool, expected: int | None
) -> None:
    call, stub = call_of(Key(), {}, {"rotationPeriodInDays": 180}, "k")
    metadata = {
        "KeyId": "k",
        "Arn": "arn:aws:kms:eu-west-1:123456789012:key/k",
        "CreationDate": datetime(2026, 1, 1, tzinfo=UTC),
        "Enabled": True,
        "KeyState": "Enabled",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "Origin": "AWS_KMS",
    }
    stub.add_response("describe_key", {"KeyMetadata": metadata})
    stub.add_response("get_key_policy", {"Policy": "{}"})
    stub.add_response("list_resource_tags", {"Tags": []})
    stub.add_response("get_key_rotation_status", {"KeyRotationEnabled": enabled})
    with stub:
        found = Key().read(call)
    assert found is not None
    assert found.get("rotationPeriodInDays") == expected


@pytest.mark.parametrize("resource", [Target(), Policy()], ids=["target", "policy"])
@pytest.mark.parametrize(
    ("code", "message", "gone"),
    [
        ("ObjectNotFoundException", "any", True),
        ("ValidationException", "1 validation error detected", False),
    ],
)
def test_what_scales_no_more_counts_as_gone(
    resource: Resource, code: str, message: str, gone: bool
) -> None:
    error = ClientError({"Error": {"Code": code, "Message": message}}, "Delete")
    assert resource.is_gone(error) is gone


def endpoint_answer(status: str) -> dict[str, Any]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "EndpointName": "e",
        "EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e",
        "EndpointStatus": status,
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }


def test_a_cancelled_connection_waits_for_no_endpoint() -> None:
    call, stub = call_of(Endpoint(), {"name": "e", "endpointConfigName": "c"}, {}, "")
    arn = endpoint_answer("")["EndpointArn"]
    stub.add_response("create_endpoint", {"EndpointArn": arn})
    stub.add_response("describe_endpoint", endpoint_answer("Creating"))
    call.session.ended.set()
    with stub, pytest.raises(ProviderError, match=r"create: cancelled \(last state: 'Creating'\)"):
        Endpoint().create(call)
    assert call.id == ""


def test_a_cancelled_connection_waits_for_no_deletion() -> None:
    call, stub = call_of(Endpoint(), {}, {"name": "e"}, "e")
    stub.add_response("delete_endpoint", {})
    stub.add_response("describe_endpoint", endpoint_answer("Deleting"))
    call.session.ended.set()
    with stub, pytest.raises(ProviderError, match="delete: cancelled"):
        Endpoint().delete(call)


def test_the_end_of_one_connection_is_not_that_of_another() -> None:
    one, two, again = (Session(Settings("eu-west-1"), Clients("http://127.0.0.1:1")) for _ in "123")
    sessions = Sessions()
    sessions.put("one", one)
    sessions.put("two", two)
    sessions.end("one")
    assert one.ended.is_set()
    assert not two.ended.is_set()
    sessions.put("one", again)
    assert sessions.get("one") is again
    assert not again.ended.is_set()
