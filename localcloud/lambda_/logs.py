"""What functions print, in CloudWatch Logs: gathered, and written in the background."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import defaultdict
from datetime import datetime
from typing import Any

from localcloud.clock import Clock
from localcloud.in_moto import InMoto
from localcloud.service import ServiceError

log = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.2
_MAX_SHARE_OF_TIME = 0.1
_MAX_EVENTS = 5000
_Target = tuple[str, str, str]


def stream_name(now: datetime, version: str) -> str:
    return f"{now:%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"


class LogWriter:
    """One thread; a log group and its streams are made when first written to."""

    def __init__(self, aws: InMoto, clock: Clock) -> None:
        self._aws, self._clock = aws, clock
        self._pending: dict[_Target, list[dict[str, Any]]] = defaultdict(list)
        self._condition = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="function-logs", daemon=True)
        self._thread.start()

    def write(self, region: str, group: str, stream: str, text: str) -> None:
        stamp = int(self._clock.timestamp() * 1000)
        events: list[dict[str, Any]] = [
            {"timestamp": stamp, "message": line} for line in text.splitlines() if line
        ]
        if events:
            with self._condition:
                self._pending[(region, group, stream)] += events
                self._condition.notify()

    def close(self) -> None:
        """Write what is left."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._pending or self._is_closed)
                pending, self._pending = self._pending, defaultdict(list)
                if self._is_closed and not pending:
                    return
            began = time.monotonic()
            for target, events in pending.items():
                self._put(target, events[-_MAX_EVENTS:])
            pause = max(_PAUSE_SECONDS, (time.monotonic() - began) / _MAX_SHARE_OF_TIME)
            with self._condition:
                self._condition.wait_for(lambda: self._is_closed, pause)

    def _put(self, target: _Target, events: list[dict[str, Any]]) -> None:
        region, group, stream = target
        names = {"logGroupName": group, "logStreamName": stream}
        put = {**names, "logEvents": events}
        try:
            self._aws.json("logs", region, "PutLogEvents", put)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                log.warning("%s: its log cannot be written: %s", group, error)
                return
            self._make("CreateLogGroup", region, {"logGroupName": group})
            self._make("CreateLogStream", region, names)
            self._make("PutLogEvents", region, put)

    def _make(self, operation: str, region: str, params: dict[str, Any]) -> None:
        try:
            self._aws.json("logs", region, operation, params)
        except ServiceError as error:
            if error.code != "ResourceAlreadyExistsException":
                log.warning("%s: %s", operation, error)
