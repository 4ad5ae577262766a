"""Faults on order: what is refused, and how often they strike."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud import faults_api
from localcloud.faults import FaultError, Faults, RollbackFails, SilentRollback, parse
from localcloud.service import ServiceError
from localcloud.wire import WireRequest

KINDS = (
    "capacity, slow_start, quota, silent_rollback, timeout, rollback_fails, duplicate_events, "
    "api_error"
)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([], f'a fault is a JSON object with a "kind": one of {KINDS}'),
        ({"kind": "earthquake"}, f"kind is 'earthquake'; it must be one of {KINDS}"),
        ({"kind": "silent_rollback"}, "endpoint is missing"),
        (
            {"kind": "silent_rollback", "endpoint": "e", "when": 1},
            "when is not a field of silent_rollback; its fields are endpoint, times",
        ),
        (
            {"kind": "capacity", "instance_type": 3},
            "instance_type is 3; it must be a text",
        ),
        (
            {"kind": "capacity", "instance_type": "ml.m5.large", "after": -1, "times": 0},
            (
                "after is -1; it must be a whole number of at least 0; "
                "times is 0; it must be a whole number of at least 1"
            ),
        ),
        (
            {"kind": "api_error", "service": "s", "operation": "o", "code": "c", "status": 200},
            "status is 200; it must be a whole number from 400 to 599",
        ),
        ({"kind": "quota", "instance_type": "x", "limit": True}, "limit is True; it must be"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(order: Any, words: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse(order)
    assert words in str(caught.value)


def test_capacity_lets_some_pass_and_strikes_a_few_times() -> None:
    faults = Faults()
    faults.add(parse({"kind": "capacity", "instance_type": "t", "after": 1, "times": 2}))
    assert faults.has_capacity("other", "e")
    assert [faults.has_capacity("t", "e") for _ in range(5)] == [True, False, False, True, True]
    assert faults.listed() == []


def test_instances_of_one_endpoint_start_later() -> None:
    faults = Faults()
    faults.add(parse({"kind": "slow_start", "endpoint": "e", "seconds": 90, "times": 2}))
    assert faults.start_delay_seconds("other") == 0.0
    assert [faults.start_delay_seconds("e") for _ in range(3)] == [90.0, 90.0, 0.0]


def test_a_fault_strikes_its_endpoint_only() -> None:
    faults = Faults()
    faults.add(parse({"kind": "silent_rollback", "endpoint": "e"}))
    assert not faults.strikes_endpoint(RollbackFails, "e")
    assert not faults.strikes_endpoint(SilentRollback, "other")
    assert faults.strikes_endpoint(SilentRollback, "e")
    assert not faults.strikes_endpoint(SilentRollback, "e")


def test_a_quota_stays_until_it_is_cleared() -> None:
    faults = Faults()
    added = faults.add(parse({"kind": "quota", "instance_type": "t", "limit": 2}))
    assert [faults.quota("t"), faults.quota("t"), faults.quota("u")] == [2, 2, None]
    assert faults.clear(added["id"]) == 1
    assert faults.quota("t") is None


def test_an_api_error_is_raised_for_its_operation() -> None:
    faults = Faults()
    order = {
        "kind": "api_error",
        "service": "sagemaker",
        "operation": "UpdateEndpoint",
        "code": "ThrottlingException",
    }
    faults.add(parse(order))
    faults.raise_api_error("sagemaker", "DescribeEndpoint")
    with pytest.raises(ServiceError) as caught:
        faults.raise_api_error("sagemaker", "UpdateEndpoint")
    assert (caught.value.code, caught.value.status) == ("ThrottlingException", 400)
    faults.raise_api_error("sagemaker", "UpdateEndpoint")


def call(faults: Faults, method: str, query: str = "", body: bytes = b"") -> tuple[int, Any]:
    request = WireRequest(method, f"/_slipway/faults{query}", (), body)
    answer = faults_api.answer(faults, request)
    return answer.status, json.loads(answer.body)


def test_faults_are_ordered_listed_and_cleared_over_http() -> None:
    faults = Faults()
    order = b'{"kind": "timeout", "endpoint": "e"}'
    wanted = {"id": "1", "kind": "timeout", "endpoint": "e", "times": 1, "struck": 0}
    assert call(faults, "POST", body=order) == (200, wanted)
    assert call(faults, "GET") == (200, {"faults": [wanted]})
    assert call(faults, "DELETE", "?id=7") == (400, {"message": "there is no fault with the id 7"})
    assert call(faults, "DELETE") == (200, {"cleared": 1})
    assert call(faults, "POST", body=b"{") == (400, {"message": "the body is not JSON"})
    assert call(faults, "PUT")[0] == 405
