"""Stock clients against the cloud: boto3, the AWS command line, plain HTTP."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.conftest import Cloud

MEBIBYTE = 1 << 20
KEYS = [
    "plain",
    "a b/c+d",
    "ünï/çødé",
    "per%2Fcent%20",
    "dots/../x",
    "a//b",
    "q?x=1&y=2#z",
    "trail/",
]


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("key", KEYS)
def test_an_object_comes_back_as_it_went(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(
        Bucket=bucket, Key=key, Body=b"\x00\xffdata", Metadata={"my_key": "a", "b-c": "d"}
    )

    found = s3.get_object(Bucket=bucket, Key=key)

    assert found["Body"].read() == b"\x00\xffdata"
    assert found["Metadata"] == {"my_key": "a", "b-c": "d"}
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["ETag"]) == (6, found["ETag"])
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == [key]


def test_large_uploads_go_in_parts(s3: Any, bucket: str) -> None:
    content = os.urandom(20 * MEBIBYTE)
    s3.upload_fileobj(io.BytesIO(content), bucket, "large")

    back = io.BytesIO()
    s3.download_fileobj(bucket, "large", back)

    assert back.getvalue() == content
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')


def test_a_single_put_may_be_a_hundred_mebibytes(s3: Any, bucket: str) -> None:
    content = bytes(100 * MEBIBYTE)
    s3.put_object(Bucket=bucket, Key="huge", Body=content)
    assert s3.head_object(Bucket=bucket, Key="huge")["ContentLength"] == len(content)
    s3.delete_object(Bucket=bucket, Key="huge")


def test_a_gzipped_object_stays_gzipped(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="x", Body=b"\x1f\x8bnot really", ContentEncoding="gzip")
    found = s3.get_object(Bucket=bucket, Key="x")
    assert (found["ContentEncoding"], found["Body"].read()) == ("gzip", b"\x1f\x8bnot really")


def test_a_put_that_must_be_first_is(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="state", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="state", Body=b"2", IfNoneMatch="*")
    assert code_of(caught) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="state")["Body"].read() == b"1"


def test_a_put_that_must_follow_another_does(s3: Any, bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="state", Body=b"1")["ETag"]
    second = s3.put_object(Bucket=bucket, Key="state", Body=b"2", IfMatch=first)["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="state", Body=b"3", IfMatch=first)
    assert code_of(caught) == ("PreconditionFailed", 412)
    assert s3.head_object(Bucket=bucket, Key="state")["ETag"] == second


def test_a_put_that_must_follow_nothing_is_not_found(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="absent", Body=b"x", IfMatch='"abc"')
    assert code_of(caught) == ("NoSuchKey", 404)


def test_after_a_delete_a_versioned_key_may_be_first_again(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="state", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="state")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="state", Body=b"2", IfMatch='"abc"')
    assert code_of(caught) == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="state", Body=b"2", IfNoneMatch="*")


def test_of_many_first_puts_at_once_one_wins(cloud: Cloud, bucket: str) -> None:
    def put(number: int) -> bool:
        try:
            cloud.client("s3").put_object(
                Bucket=bucket, Key="lock", Body=str(number).encode(), IfNoneMatch="*"
            )
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(16)))
    assert sum(won) == 1


@pytest.mark.parametrize(
    ("digest", "code", "words"),
    [
        ({"ContentMD5": "A" * 22 + "=="}, "BadDigest", "Content-MD5 you specified did not match"),
        ({"ContentMD5": "nonsense"}, "InvalidDigest", "Content-MD5 you specified was invalid"),
        ({"ChecksumSHA256": "A" * 43 + "="}, "BadDigest", "SHA256 you specified did not match"),
        ({"ChecksumSHA1": "A" * 27 + "="}, "BadDigest", "SHA1 you specified did not match"),
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest", "CRC32 you specified did not match"),
        ({"ChecksumSHA256": "AAAA"}, "InvalidRequest", "x-amz-checksum-sha256 header is invalid"),
    ],
)
def test_bytes_that_are_not_what_their_digest_says_are_refused(
    s3: Any, bucket: str, digest: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"data", **digest)
    assert code_of(caught) == (code, 400)
    assert words in caught.value.response["Error"]["Message"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_bytes_that_are_what_their_digest_says_are_taken(
    s3: Any, bucket: str, algorithm: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", ChecksumAlgorithm=algorithm)
    answer = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert answer["Body"].read() == b"data"


def test_a_bucket_made_twice_is_a_conflict_outside_us_east_1(cloud: Cloud, bucket: str) -> None:
    cloud.client("s3").create_bucket(Bucket=bucket)
    elsewhere = cloud.client("s3", region="eu-west-1")
    wanted = {
        "Bucket": unique("eu"),
        "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"},
    }
    elsewhere.create_bucket(**wanted)
    with pytest.raises(ClientError) as caught:
        elsewhere.create_bucket(**wanted)
    assert code_of(caught) == ("BucketAlreadyOwnedByYou", 409)


def test_a_bucket_for_tls_only_can_be_used_on_the_loopback(s3: Any, bucket: str) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"] == [statement]


def test_presigned_urls_work_and_unsigned_requests_do_not(s3: Any, bucket: str) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "signed"})
    put = urllib.request.Request(url, data=b"by url", method="PUT")
    with urllib.request.urlopen(put) as answer:
        assert answer.status == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"by url"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.partition("?")[0])
    assert caught.value.code == 403


def test_a_published_message_is_received_by_who_waits_for_it(cloud: Cloud) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    name = unique("alarm")
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=20)
        cloud.client("sns").publish(TopicArn=topic, Message="it fires")
        (message,) = waiting.result()["Messages"]

    assert json.loads(message["Body"])["Message"] == "it fires"


def test_aws_managed_policies_are_there(cloud: Cloud) -> None:
    iam, name = cloud.client("iam"), unique("role")
    trust = {"Version": "2012-10-17", "Statement": []}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    arn = "arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [arn]


def test_what_nobody_does_is_told_plainly(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="the local cloud does not do this"):
        cloud.client("cloudformation").list_stacks()


def test_an_answer_names_its_request(cloud: Cloud, s3: Any) -> None:
    for client, call in ((s3, "list_buckets"), (cloud.client("sts"), "get_caller_identity")):
        assert getattr(client, call)()["ResponseMetadata"]["RequestId"]


def test_sixteen_clients_at_once_meet_no_error(cloud: Cloud) -> None:
    def work(number: int) -> int:
        s3, iam, ssm = (cloud.client(name) for name in ("s3", "iam", "ssm"))
        bucket = unique(f"many-{number}")
        s3.create_bucket(Bucket=bucket)
        for turn in range(6):
            s3.put_object(Bucket=bucket, Key=f"k{turn}", Body=b"x" * turn)
            iam.create_user(UserName=f"{bucket}-{turn}")
            iam.list_users()
            ssm.put_parameter(Name=f"/{bucket}/{turn}", Value="v", Type="String")
            s3.list_buckets()
        return s3.list_objects_v2(Bucket=bucket)["KeyCount"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == [6] * 16


@pytest.mark.skipif(shutil.which("aws") is None, reason="no AWS command line on PATH")
def test_the_aws_command_line_makes_a_round_trip(cloud: Cloud, tmp_path: Path) -> None:
    bucket, source, back = unique("cli"), tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(os.urandom(9 * MEBIBYTE))
    kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["aws", *arguments],
            env={**kept, **cloud.environment()},
            capture_output=True,
            text=True,
            check=False,
        )

    probe = aws("--version")
    if probe.returncode != 0:
        pytest.skip(f"the AWS command line on PATH does not run: {probe.stderr.strip()}")
    for arguments in (
        ("s3", "mb", f"s3://{bucket}"),
        ("s3", "cp", str(source), f"s3://{bucket}/a/b.bin"),
        ("s3", "cp", f"s3://{bucket}/a/b.bin", str(back)),
        ("iam", "list-roles"),
    ):
        done = aws(*arguments)
        assert done.returncode == 0, done.stderr
    assert back.read_bytes() == source.read_bytes()
