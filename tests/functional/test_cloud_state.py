"""What stood before `kill -9` stands again."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import psutil

from localcloud import connect
from localcloud.home import CloudHome
from tests.functional.conftest import Cloud


def kill_and_start(cloud: Cloud) -> connect.CloudStatus:
    daemon = psutil.Process(cloud.status().pid)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(15)
    return connect.start(cloud.home)


def test_s3_comes_back_with_every_version(fresh_cloud: Cloud) -> None:
    s3 = fresh_cloud.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    big = os.urandom(100_000)
    etags = [
        s3.put_object(Bucket="versions", Key="k", Body=body)["VersionId"]
        for body in (b"one", b"two", big)
    ]
    s3.put_object(Bucket="versions", Key="gone", Body=b"x")
    s3.delete_object(Bucket="versions", Key="gone")
    s3.put_object(
        Bucket="versions", Key="tagged", Body=b"t", Tagging="a=1&b=2", Metadata={"m": "n"}
    )
    upload = s3.create_multipart_upload(Bucket="versions", Key="parts")["UploadId"]
    part = s3.upload_part(
        Bucket="versions", Key="parts", UploadId=upload, PartNumber=1, Body=b"part"
    )
    before = _everything(s3, "versions")

    found = kill_and_start(fresh_cloud)

    assert found.restored["s3"] == "ok"
    assert _everything(s3, "versions") == before
    for etag, body in zip(etags, (b"one", b"two", big), strict=True):
        assert s3.get_object(Bucket="versions", Key="k", VersionId=etag)["Body"].read() == body
    tags = s3.get_object_tagging(Bucket="versions", Key="tagged")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "2"}
    s3.complete_multipart_upload(
        Bucket="versions",
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    assert s3.get_object(Bucket="versions", Key="parts")["Body"].read() == b"part"


def test_a_journal_cut_short_loses_only_what_was_not_answered(fresh_cloud: Cloud) -> None:
    s3 = fresh_cloud.client("s3")
    s3.create_bucket(Bucket="journal")
    for number in range(20):
        s3.put_object(Bucket="journal", Key=f"ü {number}", Body=str(number).encode())
    state = CloudHome.of(fresh_cloud.home).state / "moto"
    (journal,) = state.glob("s3.*.journal")
    with journal.open("ab") as stream:
        stream.write(b"\x10\x00\x00\x00half of a rec")

    assert kill_and_start(fresh_cloud).restored["s3"] == "ok"
    s3.put_object(Bucket="journal", Key="after", Body=b"after")
    assert kill_and_start(fresh_cloud).restored["s3"] == "ok"

    assert s3.list_objects_v2(Bucket="journal")["KeyCount"] == 21
    assert s3.get_object(Bucket="journal", Key="ü 19")["Body"].read() == b"19"
    assert s3.get_object(Bucket="journal", Key="after")["Body"].read() == b"after"


def test_overwritten_and_deleted_objects_do_not_come_back(fresh_cloud: Cloud) -> None:
    s3 = fresh_cloud.client("s3")
    s3.create_bucket(Bucket="plain")
    for body in (b"old", b"new"):
        s3.put_object(Bucket="plain", Key="k", Body=body, Tagging=f"is={body.decode()}")
    s3.put_object(Bucket="plain", Key="k2", Body=b"x" * 5000)
    s3.delete_object(Bucket="plain", Key="k2")

    kill_and_start(fresh_cloud)

    assert [o["Key"] for o in s3.list_objects_v2(Bucket="plain")["Contents"]] == ["k"]
    assert s3.get_object(Bucket="plain", Key="k")["Body"].read() == b"new"
    assert s3.get_object_tagging(Bucket="plain", Key="k")["TagSet"] == [
        {"Key": "is", "Value": "new"}
    ]


def test_every_service_of_a_stack_comes_back(fresh_cloud: Cloud) -> None:
    client = fresh_cloud.client
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    client("iam").create_role(RoleName="role", AssumeRolePolicyDocument=trust)
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    client("iam").attach_role_policy(RoleName="role", PolicyArn=arn)
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName="alias/a", TargetKeyId=key)
    signer = client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    secret = client("kms").encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    topic = client("sns").create_topic(Name="topic")["TopicArn"]
    queue = client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    queue_arn = "arn:aws:sqs:us-east-1:123456789012:queue"
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    client("sns").publish(TopicArn=topic, Message="kept")
    client("logs").create_log_group(logGroupName="/g")
    client("ecr").create_repository(repositoryName="repo")
    client("ssm").put_parameter(
        Name="/p", Value="v", Type="String", Tags=[{"Key": "k", "Value": ""}]
    )
    client("events").put_rule(Name="rule", ScheduleExpression="rate(1 minute)")

    found = kill_and_start(fresh_cloud)

    assert set(found.restored.values()) == {"ok"}, found.restored
    roles = client("iam").list_attached_role_policies(RoleName="role")["AttachedPolicies"]
    assert roles[0]["PolicyArn"] == arn
    assert client("kms").decrypt(CiphertextBlob=secret)["Plaintext"] == b"secret"
    signed = client("kms").sign(
        KeyId=signer["KeyId"], Message=b"m", SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256"
    )
    assert signed["Signature"]
    (message,) = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["Message"] == "kept"
    assert client("logs").describe_log_groups()["logGroups"][0]["logGroupName"] == "/g"
    assert client("ecr").describe_repositories()["repositories"][0]["repositoryName"] == "repo"
    assert client("ssm").get_parameter(Name="/p")["Parameter"]["Value"] == "v"
    assert client("events").describe_rule(Name="rule")["ScheduleExpression"] == "rate(1 minute)"


def test_files_of_deleted_objects_are_collected(fresh_cloud: Cloud) -> None:
    s3 = fresh_cloud.client("s3")
    s3.create_bucket(Bucket="blobs")
    for _ in range(70):
        s3.put_object(Bucket="blobs", Key="k", Body=os.urandom(4096))
        s3.delete_object(Bucket="blobs", Key="k")
    blobs = CloudHome.of(fresh_cloud.home).state / "moto" / "blobs"
    assert len(list(blobs.glob("*/*"))) < 70


def _everything(s3: Any, bucket: str) -> list[tuple[str, str, bool, str]]:
    listed = s3.list_object_versions(Bucket=bucket)
    entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
    return sorted(
        (e["Key"], e["VersionId"], e["IsLatest"], e.get("ETag", "marker")) for e in entries
    )
