from __future__ import annotations

import json

from localcloud import long_poll
from localcloud.wire import WireAnswer, WireRequest

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=AKID/20261124/eu-west-1/monitoring/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0"
)


def test_the_signature_tells_service_and_region() -> None:
    request = WireRequest("POST", "/", (("Authorization", AUTHORIZATION),), b"")
    assert (request.signing_service, request.region) == ("monitoring", "eu-west-1")


def test_so_does_a_presigned_url() -> None:
    target = "/b/k?X-Amz-Credential=AKID%2F20261124%2Fap-south-1%2Fs3%2Faws4_request&X-Amz-Date=x"
    request = WireRequest("GET", target, (), b"")
    assert (request.signing_service, request.region) == ("s3", "ap-south-1")


def test_an_unsigned_request_has_no_service_and_the_default_region() -> None:
    request = WireRequest("GET", "/a%20b/c?x=1", (), b"")
    assert (request.signing_service, request.region) == (None, "us-east-1")
    assert (request.raw_path, request.path, request.query) == ("/a%20b/c", "/a b/c", {"x": ["1"]})


def receive(seconds: object) -> WireRequest:
    body = json.dumps({"QueueUrl": "q", "WaitTimeSeconds": seconds}).encode()
    return WireRequest("POST", "/", (("X-Amz-Target", "AmazonSQS.ReceiveMessage"),), body)


def test_a_long_poll_asks_again_until_a_message_is_there() -> None:
    answers = [b"{}", b"{}", b'{"Messages": [{"ReceiptHandle": "x"}]}']
    asked: list[WireRequest] = []

    def call(request: WireRequest) -> WireAnswer:
        asked.append(request)
        return WireAnswer(200, body=answers[len(asked) - 1])

    poll = long_poll.find(receive(5))

    assert poll is not None
    assert poll.run(call).body == answers[2]
    assert [json.loads(r.body)["WaitTimeSeconds"] for r in asked] == [0, 0, 0]


def test_a_request_that_does_not_wait_is_no_long_poll() -> None:
    assert long_poll.find(receive(0)) is None
    assert long_poll.find(receive(21)) is None, "moto refuses it in SQS's words"
    assert long_poll.find(WireRequest("GET", "/b/k", (), b"")) is None
