"""Events of our own services on moto's default event bus: put there from a thread, in order."""

from __future__ import annotations

import json
import logging
import queue
import threading
from typing import Any, Protocol

from localcloud.clock import Clock
from localcloud.wire import WireAnswer, WireRequest

log = logging.getLogger(__name__)
_CLOSE_SECONDS = 2.0


class Application(Protocol):
    """What :class:`localcloud.moto_app.MotoApp` does."""

    def call(self, request: WireRequest) -> WireAnswer: ...


class BusSink:
    """:class:`localcloud.service.EventSink`: ``put_event`` never blocks and never fails."""

    def __init__(self, application: Application, clock: Clock) -> None:
        self._application = application
        self._clock = clock
        self._queue: queue.SimpleQueue[WireRequest | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="event-bus", daemon=True)
        self._thread.start()

    def put_event(
        self,
        region: str,
        source: str,
        detail_type: str,
        resources: list[str],
        detail: dict[str, Any],
    ) -> None:
        entry = {
            "Time": int(self._clock.timestamp()),
            "Source": source,
            "DetailType": detail_type,
            "Resources": resources,
            "Detail": json.dumps(detail),
        }
        self._queue.put(_request(region, entry))

    def close(self) -> None:
        """What was put is delivered, within two seconds."""
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (request := self._queue.get()) is not None:
            try:
                answer = self._application.call(request)
            except Exception:
                log.exception("an event is lost")
                continue
            if answer.status != 200 or json.loads(answer.body).get("FailedEntryCount"):
                log.warning("an event is lost: %s", answer.body.decode("utf-8", "replace"))


def _request(region: str, entry: dict[str, Any]) -> WireRequest:
    scope = f"slipway/20130101/{region}/events/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers = (
        ("Host", "127.0.0.1"),
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "AWSEvents.PutEvents"),
        ("Authorization", signed),
    )
    return WireRequest("POST", "/", headers, json.dumps({"Entries": [entry]}).encode())
