"""Events on their way to the bus: in order, as PutEvents, and never in the way of who puts them."""

from __future__ import annotations

import json
import threading

from localcloud.clock import Clock
from localcloud.events_sink import BusSink
from localcloud.wire import WireAnswer, WireRequest


class Bus:
    """Takes requests once it may."""

    def __init__(self, status: int = 200, body: bytes = b'{"FailedEntryCount": 0}') -> None:
        self.requests: list[WireRequest] = []
        self.may = threading.Event()
        self.answer = WireAnswer(status, [], body)

    def call(self, request: WireRequest) -> WireAnswer:
        assert self.may.wait(5)
        self.requests.append(request)
        if len(self.requests) == 1:
            raise OSError("the first one fails")
        return self.answer


def test_events_arrive_in_order_and_a_failure_loses_one_only() -> None:
    bus = Bus()
    sink = BusSink(bus, Clock(1.0))
    for number in range(3):
        sink.put_event("eu-west-1", "aws.sagemaker", "Kind", ["arn"], {"n": number})
    assert bus.requests == []
    bus.may.set()
    sink.close()
    entries = [json.loads(request.body)["Entries"][0] for request in bus.requests]
    assert [json.loads(entry["Detail"]) for entry in entries] == [{"n": 0}, {"n": 1}, {"n": 2}]
    first = bus.requests[0]
    assert first.header("x-amz-target") == "AWSEvents.PutEvents"
    assert first.region == "eu-west-1"
    assert first.signing_service == "events"
    assert {k: entries[0][k] for k in ("Source", "DetailType", "Resources")} == {
        "Source": "aws.sagemaker",
        "DetailType": "Kind",
        "Resources": ["arn"],
    }


def test_closing_does_not_wait_for_ever() -> None:
    bus = Bus()
    bus.may.set()
    sink = BusSink(bus, Clock(1.0))
    sink.close()
    assert bus.requests == []
