"""What a release tells the world: which events, in which words, in order, and never in its way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.release_manifest import Controller
from release.controller.start import Snapshot, begin_release
from release.driver.announce import Announcer, announcements, bus_entry, sns_message, subject
from release.driver.progress import Told
from release.observation import Endpoint, Variant
from release.state import EndpointState, Release
from tests.unit.fake_cloud import ENDPOINT, config_of, manifest

TOPIC = "arn:aws:sns:eu-west-1:123456789012:releases"
BOTH = Controller(None, TOPIC, "default")


def release(*entries: tuple[str, str, dict[str, Any]]) -> Release:
    endpoint = Endpoint(1_700_000_000.0, "InService", "c1", 0.0, (Variant("live", 1, 1, 2, 2),))
    snapshot = Snapshot(endpoint, config_of("1"), config_of("2"), None)
    told = begin_release(
        EndpointState(ENDPOINT), manifest(), snapshot, "wine-1", "arn:someone", retry=False
    )
    for i, (kind, text, data) in enumerate(entries):
        told = told.noted(told.started_at + 60 * (i + 1), kind, text, **data)
    return told


STEP = ("step", "errors 0 % against 0 %", {"weight": 10.0, "verdict": "pass", "seconds": 60.0})
ENTERED = ("entered", "candidate in service at weight 0", {"seconds": 3.0})
PROMOTED = ("ended", "promoted", {"reason": "all steps passed"})


class Service:
    def __init__(self, fail_at: tuple[int, ...] = (), refuse: bool = False) -> None:
        self.calls: list[dict[str, Any]] = []
        self._fail_at, self._refuse = fail_at, refuse
        self.attempts = 0

    def publish(self, **request: Any) -> dict[str, Any]:
        return self._take(request)

    def put_events(self, **request: Any) -> dict[str, Any]:
        self._take(request)
        if self._refuse:
            entry = {"ErrorCode": "InternalFailure", "ErrorMessage": "try later"}
            return {"FailedEntryCount": 1, "Entries": [entry]}
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    def _take(self, request: dict[str, Any]) -> dict[str, Any]:
        self.attempts += 1
        if self.attempts in self._fail_at:
            raise RuntimeError("throttled")
        self.calls.append(request)
        return {}


def heard(service: Service) -> list[str]:
    return [json.loads(call["Message"])["dedup_id"] for call in service.calls]


# --- which events


def test_the_log_tells_which_events_there_are() -> None:
    held = ("held", "no verdict at 50 %", {})

    told = announcements(release(ENTERED, STEP, ENTERED, held, PROMOTED))

    assert [(a.index, a.event) for a in told] == [
        (0, "started"),
        (1, "step"),
        (2, "held"),
        (3, "promoted"),
    ]
    assert [a.dedup_id for a in told] == ["wine-1/0", "wine-1/1", "wine-1/2", "wine-1/3"]


def test_what_was_told_stays_as_it_was_while_the_release_goes_on() -> None:
    before = announcements(release(STEP))

    assert announcements(release(STEP, STEP, PROMOTED))[:2] == before


@pytest.mark.parametrize("outcome", ["promoted", "rolled_back", "inconclusive", "compared"])
def test_the_end_is_told_by_its_outcome(outcome: str) -> None:
    told = announcements(release(("ended", outcome, {"reason": "because"})))[-1]

    assert (told.event, told.reason) == (outcome, "because")


def test_the_detail_has_these_keys() -> None:
    assert announcements(release(STEP))[1].to_dict() == {
        "schema_version": 1,
        "source": "slipway",
        "event": "step",
        "dedup_id": "wine-1/1",
        "release_id": "wine-1",
        "index": 1,
        "at": "2023-11-14T22:14:20Z",
        "purpose": "release",
        "stack": "test",
        "model": "wine",
        "endpoint": ENDPOINT,
        "strategy": "canary",
        "from_version": "1",
        "to_version": "2",
        "registry_uri": "models:/wine/2",
        "by": "arn:someone",
        "reason": "",
        "step": {"weight": 10.0, "verdict": "pass", "text": "errors 0 % against 0 %"},
        "evidence": "releases/wine-1.json",
        "text": (
            "wine on wine-test, 1 → 2: 10 % ended with pass: errors 0 % against 0 %."
        ),
    }  # fmt: skip


# --- words


def words(told: Release, index: int = -1) -> tuple[str, str]:
    chosen = announcements(told)[index]
    return subject(chosen), chosen.text


@pytest.mark.parametrize(
    ("told", "told_subject", "text"),
    [
        (
            release(),
            "wine 1 to 2: started (test)",
            "wine on wine-test, 1 → 2: release by canary started by arn:someone.",
        ),
        (
            release(("step", "e = 4e9", {"weight": 0.5, "verdict": "fail"})),
            "wine 1 to 2: 0.5 % fail (test)",
            "wine on wine-test, 1 → 2: 0.5 % ended with fail: e = 4e9.",
        ),
        (
            release(("step", "shifted", {"verdict": "pass"})),
            "wine 1 to 2: a step pass (test)",
            "wine on wine-test, 1 → 2: a step ended with pass: shifted.",
        ),
        (
            release(("held", "no verdict at 50 %", {})),
            "wine 1 to 2: held for a decision (test)",
            ("wine on wine-test, 1 → 2: held, a person decides. no verdict at 50 %. "
            "`slipway promote-now` or `slipway abort` ends it."),
        ),
        (
            release(("ended", "compared", {"reason": "all the same"})),
            "wine 1 to 2: compared (test)",
            "wine on wine-test, 1 → 2: compared, nothing was moved. all the same.",
        ),
        (
            release(("ended", "rolled_back", {"reason": "failed at 5 %"})),
            "wine 1 to 2: rolled back (test)",
            ("wine on wine-test, 1 → 2: rolled back. failed at 5 %. "
            "`slipway show wine-1` has the evidence."),
        ),
        (
            replace(release(("ended", "rolled_back", {"reason": ""})), purpose="rollback"),
            "wine 1 to 2: rolled back as asked (test)",
            "wine on wine-test, 1 → 2: rolled back. `slipway show wine-1` has the evidence.",
        ),
    ],
)  # fmt: skip
def test_the_words_say_what_happened(told: Release, told_subject: str, text: str) -> None:
    assert words(told) == (told_subject, text)


def test_a_subject_is_short_and_ascii() -> None:
    told = release()
    odd = replace(told, destination=replace(told.destination, version="ü\n" + "9" * 200))

    text = words(odd)[0]

    assert len(text) == 100
    assert text.startswith("wine 1 to ??999")
    assert text.endswith("...")
    assert text.isascii()
    assert text.isprintable()


def test_a_long_reason_is_cut() -> None:
    told = announcements(release(("ended", "inconclusive", {"reason": "x" * 99_999})))[-1]

    assert told.reason == "x" * 1999 + "…"


def test_the_message_carries_what_subscriptions_filter_by() -> None:
    message = sns_message(TOPIC, announcements(release())[0])

    assert message["TopicArn"] == TOPIC
    assert message["MessageAttributes"] == {
        "event": {"DataType": "String", "StringValue": "started"},
        "stack": {"DataType": "String", "StringValue": "test"},
        "model": {"DataType": "String", "StringValue": "wine"},
        "dedup_id": {"DataType": "String", "StringValue": "wine-1/0"},
    }
    assert json.loads(message["Message"])["event"] == "started"


def test_the_entry_of_the_event_bus_carries_the_same_document() -> None:
    told = announcements(release(PROMOTED))[1]

    entry = bus_entry("default", told)

    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "slipway",
        "Slipway Release State Change",
        "default",
    )
    assert json.loads(entry["Detail"]) == told.to_dict()
    assert entry["Time"].timestamp() == told.at


# --- sending


def test_what_is_new_goes_out_once_on_both_ways_in_order() -> None:
    sns, events = Service(), Service()
    tell = Announcer(BOTH, {"sns": sns, "events": events})

    assert tell(release(), 0) == Told(1)
    assert tell(release(STEP, PROMOTED), 1) == Told(3)

    assert heard(sns) == ["wine-1/0", "wine-1/1", "wine-1/2"]
    assert len(events.calls) == 3


def test_what_fails_waits_and_is_told_later_before_anything_newer() -> None:
    sns, events = Service(fail_at=(2,)), Service()
    tell = Announcer(BOTH, {"sns": sns, "events": events})

    first = tell(release(STEP, PROMOTED), 0)
    second = tell(release(STEP, PROMOTED), first.count)

    assert first == Told(1, "step could not be announced: throttled")
    assert second == Told(3)
    assert heard(sns) == ["wine-1/0", "wine-1/1", "wine-1/2"]


def test_an_entry_that_the_bus_refuses_is_tried_again_without_a_second_mail() -> None:
    sns, events = Service(), Service(refuse=True)
    tell = Announcer(BOTH, {"sns": sns, "events": events})

    told = tell(release(), 0)
    tell(release(), told.count)

    assert told == Told(
        0,
        "started could not be announced: the event bus refused it: InternalFailure: try later",
    )
    assert heard(sns) == ["wine-1/0"]
    assert len(events.calls) == 2


def test_another_driver_that_knows_nothing_tells_all_again_by_the_same_ids() -> None:
    sns = Service()

    for _ in range(2):
        Announcer(Controller(None, TOPIC), {"sns": sns})(release(STEP))

    assert heard(sns) == ["wine-1/0", "wine-1/1"] * 2


def test_a_stack_without_topic_and_bus_tells_nobody() -> None:
    assert Announcer(Controller(), {})(release(STEP)) == Told(2)


def test_a_client_that_cannot_be_made_stops_nothing() -> None:
    told = Announcer(BOTH, {})(release())

    assert told.count == 0
    assert told.problem == "started could not be announced: 'sns'"
