"""The provider's process and its protocol, without an engine and without a cloud."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.provider.values import UNKNOWN_TEXT

BUCKET = "aws:s3/bucket:Bucket"
URN = f"urn:pulumi:dev::test::{BUCKET}::thing"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    command = [sys.executable, "-m", "localcloud.provider", "--endpoint-url", NOWHERE]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    yield int(child.stdout.readline())
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()


class Connection:
    """One engine's connection: its own socket, so its own peer."""

    def __init__(self, port: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.provider: Any = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def configure(self, **values: Any) -> Any:
        return self.provider.Configure(provider_pb2.ConfigureRequest(args=struct(values)))

    def check(self, news: dict[str, Any], urn: str = URN) -> Any:
        request = provider_pb2.CheckRequest(urn=urn, news=struct(news), randomSeed=b"seed")
        return self.provider.Check(request)


@pytest.fixture
def connect(port: int) -> Iterator[Any]:
    made: list[Connection] = []

    def new() -> Connection:
        made.append(Connection(port))
        return made[-1]

    yield new
    for connection in made:
        connection.channel.close()


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    found = struct_pb2.Struct()
    found.update(values)
    return found


def test_it_introduces_itself(connect: Any) -> None:
    provider = connect().provider
    assert provider.GetPluginInfo(empty_pb2.Empty()).version == "7.51.1"
    shaken = provider.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="x"))
    assert not shaken.accept_secrets
    assert shaken.supports_autonaming_configuration
    assert provider.GetSchema(provider_pb2.GetSchemaRequest()).schema.startswith("{")
    for unimplemented in (provider.Parameterize, provider.Construct, provider.Call):
        request = {
            provider.Parameterize: provider_pb2.ParameterizeRequest,
            provider.Construct: provider_pb2.ConstructRequest,
            provider.Call: provider_pb2.CallRequest,
        }[unimplemented]()
        with pytest.raises(grpc.RpcError) as error:
            unimplemented(request)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[union-attr]


def test_every_connection_has_its_own_configuration_and_end(connect: Any) -> None:
    one, two, three = connect(), connect(), connect()
    one.configure(region="eu-west-1")
    two.configure(region="us-west-2")
    assert one.check({}).inputs["region"] == "eu-west-1"
    assert two.check({}).inputs["region"] == "us-west-2"
    with pytest.raises(grpc.RpcError, match="was not configured"):
        three.check({})
    one.provider.Cancel(empty_pb2.Empty())
    assert two.check({}).inputs["region"] == "us-west-2"
    # What was still under way on the ended connection may finish.
    assert one.check({}).inputs["region"] == "eu-west-1"


def test_a_configuration_with_an_unknown_key_is_refused(connect: Any) -> None:
    connection = connect()
    request = provider_pb2.CheckRequest(urn=URN, news=struct({"regoin": "x"}))
    answer = connection.provider.CheckConfig(request)
    assert [f.property for f in answer.failures] == ["regoin"]
    with pytest.raises(grpc.RpcError, match="regoin"):
        connection.configure(regoin="x")
    with pytest.raises(grpc.RpcError, match="account ID not allowed"):
        connection.configure(allowedAccountIds='["999999999999"]')


def test_a_preview_needs_no_cloud_and_knows_what_it_does_not_know(connect: Any) -> None:
    connection = connect()
    connection.configure(region="eu-west-1")
    checked = connection.check({"tags": {"a": UNKNOWN_TEXT}})
    assert not checked.failures
    assert checked.inputs["tagsAll"] == UNKNOWN_TEXT
    created = connection.provider.Create(
        provider_pb2.CreateRequest(urn=URN, properties=checked.inputs, preview=True)
    )
    assert created.properties["arn"] == UNKNOWN_TEXT
    assert created.properties["bucket"].startswith("thing-")
    assert "__defaults" not in created.properties


def test_a_diff_names_paths_and_replacements(connect: Any) -> None:
    connection = connect()
    connection.configure(region="eu-west-1")
    found = connection.provider.Diff(
        provider_pb2.DiffRequest(
            urn=URN,
            olds=struct({"bucket": "a", "arn": "x", "tags": {"k": "1"}}),
            news=struct({"bucket": "b", "tags": {"k": "2"}, "__defaults": []}),
            ignoreChanges=["tags"],
        )
    )
    assert found.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(found.replaces) == ["bucket"]
    assert list(found.stables) == ["arn"]
    assert found.deleteBeforeReplace
    kinds = {path: change.kind for path, change in found.detailedDiff.items()}
    assert kinds == {"bucket": provider_pb2.PropertyDiff.UPDATE_REPLACE}


def test_an_error_says_what_was_done_to_what(connect: Any) -> None:
    connection = connect()
    connection.configure(region="eu-west-1")
    with pytest.raises(grpc.RpcError) as error:
        connection.provider.Create(
            provider_pb2.CreateRequest(urn=URN, properties=struct({"bucket": "thing-1"}))
        )
    text = error.value.details()  # type: ignore[union-attr]
    assert text.startswith("creating S3 Bucket (thing-1): ")
    assert NOWHERE in text


def test_a_failed_update_tells_what_stands(connect: Any) -> None:
    connection = connect()
    connection.configure(region="eu-west-1")
    urn = "urn:pulumi:dev::test::aws:iam/role:Role::thing"
    known = {"name": "thing", "maxSessionDuration": 3600}
    with pytest.raises(grpc.RpcError) as error:
        connection.provider.Update(
            provider_pb2.UpdateRequest(
                id="thing",
                urn=urn,
                olds=struct({**known, "description": "old"}),
                news=struct({**known, "description": "new"}),
            )
        )
    metadata = dict(error.value.trailing_metadata())  # type: ignore[union-attr]
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "thing"
    assert detail.properties["description"] == "old"
    assert "updating IAM Role (thing)" in detail.reasons[0]


def test_an_unknown_type_is_named(connect: Any) -> None:
    connection = connect()
    connection.configure(region="eu-west-1")
    with pytest.raises(grpc.RpcError, match="aws:ec2/vpc:Vpc is not emulated"):
        connection.check({}, "urn:pulumi:dev::test::aws:ec2/vpc:Vpc::net")


def test_a_signal_ends_it() -> None:
    command = [sys.executable, "-m", "localcloud.provider", "--endpoint-url", NOWHERE]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline().strip().isdigit()
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    child.stdin.close()
    child.stdout.close()
