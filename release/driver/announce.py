"""What a release tells the world: events for chat (SNS) and for pipelines (EventBridge).

Events follow from the release's own log, so that any driver tells the same ones. They go out in
order and at least once; who gets one twice knows it by ``dedup_id``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from contracts.release_manifest import Controller
from release.driver.progress import Told
from release.state import PROMOTED, ROLLBACK, Entry, Release

SCHEMA_VERSION = 1
SOURCE = "slipway"
DETAIL_TYPE = "Slipway Release State Change"
MAX_SUBJECT = 100
# EventBridge takes 256 KB an entry; a reason may quote long answers of AWS.
MAX_TEXT = 2000

STARTED = "started"
STEP = "step"
HELD = "held"
ENDED = "ended"
COMPARED = "compared"
# The kinds of entries in a release's log that the world is told of.
TOLD = (STARTED, STEP, HELD, ENDED)
WORDS = {
    STARTED: "started",
    STEP: "step decided",
    PROMOTED: "promoted",
    "rolled_back": "rolled back",
    "inconclusive": "inconclusive",
    HELD: "held for a decision",
    COMPARED: "compared",
}


@dataclass(frozen=True)
class Announcement:
    """One event. ``index`` counts the events of this release from 0.

    ``event``: started, step, promoted, rolled_back, inconclusive, held or compared.
    """

    index: int
    event: str
    at: float
    release_id: str
    purpose: str
    stack: str
    model: str
    endpoint: str
    strategy: str
    from_version: str
    to_version: str
    registry_uri: str
    by: str
    reason: str
    step: dict[str, Any] | None
    text: str

    @property
    def dedup_id(self) -> str:
        return f"{self.release_id}/{self.index}"

    def to_dict(self) -> dict[str, Any]:
        """The body of the SNS message and the ``detail`` on the event bus; ``text`` for people."""
        return {
            "schema_version": SCHEMA_VERSION,
            "source": SOURCE,
            "event": self.event,
            "dedup_id": self.dedup_id,
            "release_id": self.release_id,
            "index": self.index,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat().replace("+00:00", "Z"),
            "purpose": self.purpose,
            "stack": self.stack,
            "model": self.model,
            "endpoint": self.endpoint,
            "strategy": self.strategy,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "registry_uri": self.registry_uri,
            "by": self.by,
            "reason": self.reason,
            "step": self.step,
            "evidence": f"releases/{self.release_id}.json",
            "text": self.text,
        }


def announcements(release: Release) -> tuple[Announcement, ...]:
    """All events of a release so far; those told once never change."""
    told = [entry for entry in release.log if entry.kind in TOLD]
    return tuple(_announcement(release, index, entry) for index, entry in enumerate(told))


def _announcement(release: Release, index: int, entry: Entry) -> Announcement:
    manifest = release.manifest
    event = entry.kind if entry.kind != ENDED else entry.text
    reason = str(entry.data.get("reason", "")) if entry.kind == ENDED else ""
    if entry.kind == HELD:
        reason = entry.text
    step = _step(entry) if entry.kind == STEP else None
    plain = Announcement(
        index=index,
        event=event,
        at=entry.at,
        release_id=release.id,
        purpose=release.purpose,
        stack=manifest.stack,
        model=manifest.model,
        endpoint=manifest.endpoint_name,
        strategy=manifest.release.strategy.kind,
        from_version=release.before.good.version or "unknown",
        to_version=release.destination.version,
        registry_uri=release.destination.registry_uri,
        by=release.started_by,
        reason=_cut(reason),
        step=step,
        text="",
    )
    return replace(plain, text=_text(plain))


def _step(entry: Entry) -> dict[str, Any]:
    data = entry.data
    return {
        "weight": data.get("weight"),
        "verdict": data.get("verdict"),
        "text": _cut(entry.text),
    }


def subject(announcement: Announcement) -> str:
    """At most 100 printable ASCII characters, as SNS wants it, the news first."""
    told = announcement
    what = WORDS.get(told.event, told.event)
    if told.purpose == ROLLBACK and told.event == "rolled_back":
        what = "rolled back as asked"
    if told.step is not None:
        what = f"{_percent(told.step)}{told.step['verdict']}"
    text = f"{told.model} {told.from_version} to {told.to_version}: {what} ({told.stack})"
    clean = "".join(c if " " <= c <= "~" else "?" for c in text)
    return clean if len(clean) <= MAX_SUBJECT else clean[: MAX_SUBJECT - 3] + "..."


def _text(told: Announcement) -> str:
    """One or two sentences for a chat."""
    versions = f"{told.model} on {told.endpoint}, {told.from_version} → {told.to_version}"
    match told.event:
        case "started":
            what = "rollback" if told.purpose == ROLLBACK else f"release by {told.strategy}"
            return f"{versions}: {what} started by {told.by}."
        case "step" if told.step is not None:
            step = told.step
            why = step["text"].rstrip(". ")
            return f"{versions}: {_percent(step)}ended with {step['verdict']}: {why}."
        case "held":
            return (
                f"{versions}: held, a person decides.{_sentence(told.reason)} "
                "`slipway promote-now` or `slipway abort` ends it."
            )
        case "compared":
            return f"{versions}: compared, nothing was moved.{_sentence(told.reason)}"
        case event:
            text = f"{versions}: {WORDS.get(event, event)}.{_sentence(told.reason)}"
            return f"{text} `slipway show {told.release_id}` has the evidence."


def _sentence(text: str) -> str:
    clean = text.rstrip(". ")
    return f" {clean}." if clean else ""


def _percent(step: dict[str, Any]) -> str:
    weight = step["weight"]
    return f"{weight:g} % " if isinstance(weight, int | float) else "a step "


def sns_message(topic_arn: str, told: Announcement) -> dict[str, Any]:
    """The input of SNS Publish; filter policies can use event, stack and model."""
    attributes = {
        "event": told.event,
        "stack": told.stack,
        "model": told.model,
        "dedup_id": told.dedup_id,
    }
    return {
        "TopicArn": topic_arn,
        "Subject": subject(told),
        "Message": json.dumps(told.to_dict(), ensure_ascii=False, indent=1),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in attributes.items()
            if value
        },
    }


def bus_entry(event_bus: str, told: Announcement) -> dict[str, Any]:
    """One entry of EventBridge PutEvents."""
    return {
        "Time": datetime.fromtimestamp(told.at, UTC),
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(told.to_dict(), ensure_ascii=False),
        "EventBusName": event_bus,
        "Resources": [],
    }


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


# --- sending


class Clients(Protocol):
    def __getitem__(self, service: str) -> Any: ...


class Announcer:
    """Tells what is new of a release; what fails is tried again at the next call, in order.

    ``clients`` is an ``AwsCloud`` or any other map from a service's name to its boto3 client.
    """

    def __init__(self, controller: Controller, clients: Clients) -> None:
        self._topic_arn = controller.topic_arn
        self._event_bus = controller.event_bus
        self._clients = clients
        # Told on the topic but not yet on the bus: a dedup id.
        self._half_told = ""

    def __call__(self, release: Release, told: int = 0) -> Told:
        """Tell the events from number ``told`` on; never raises."""
        for announcement in announcements(release)[told:]:
            try:
                self._tell(announcement)
            except Exception as error:  # noqa: BLE001 telling never stops a release
                reason = str(error)[:300] or type(error).__name__
                return Told(told, f"{announcement.event} could not be announced: {reason}")
            told += 1
        return Told(told)

    def _tell(self, announcement: Announcement) -> None:
        if self._topic_arn is not None and self._half_told != announcement.dedup_id:
            message = sns_message(self._topic_arn, announcement)
            self._clients["sns"].publish(**message)
            self._half_told = announcement.dedup_id
        if self._event_bus is not None:
            entry = bus_entry(self._event_bus, announcement)
            answer = self._clients["events"].put_events(Entries=[entry])
            # A refused entry is no error of the call.
            failed = [e for e in answer.get("Entries", []) if e.get("ErrorCode")]
            if answer.get("FailedEntryCount") or failed:
                codes = ", ".join(f"{e['ErrorCode']}: {e.get('ErrorMessage', '')}" for e in failed)
                raise _RefusedEntryError(f"the event bus refused it: {codes or 'no reason given'}")


class _RefusedEntryError(Exception):
    """EventBridge took the call and refused the entry."""
