"""One execution: where it stands, and all that happened to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MAX_EVENTS = 25_000
RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"
ABORTED, TIMED_OUT = "ABORTED", "TIMED_OUT"
Event = dict[str, Any]


class HistoryFullError(Exception):
    """The execution has failed because its history is full."""


@dataclass
class Execution:
    """Everything is plain data, so that it can stand on disk between any two events.

    ``phase`` is "enter" (the state has not begun), "wait" (until ``due``), "task" (it runs) or
    "retry" (it runs again at ``due``). ``turn`` tells a task's answer that came too late.
    """

    arn: str
    machine_arn: str
    machine_name: str
    name: str
    definition: dict[str, Any]
    role: str
    input: str
    started: float
    data: Any
    state: str
    status: str = RUNNING
    stopped: float | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    phase: str = "enter"
    due: float | None = None
    entered: float = 0.0
    turn: int = 0
    attempts: dict[int, int] = field(default_factory=dict[int, int])
    events: list[Event] = field(default_factory=list[Event])

    @property
    def is_running(self) -> bool:
        return self.status == RUNNING

    @property
    def deadline(self) -> float | None:
        limit = self.definition.get("TimeoutSeconds")
        return None if limit is None else self.started + float(limit)

    @property
    def retries(self) -> int:
        return sum(self.attempts.values())

    def context(self) -> dict[str, Any]:
        """The context object (``$$``)."""
        return {
            "Execution": {
                "Id": self.arn,
                "Input": json.loads(self.input),
                "Name": self.name,
                "RoleArn": self.role,
                "StartTime": iso(self.started),
                "RedriveCount": 0,
            },
            "State": {
                "EnteredTime": iso(self.entered),
                "Name": self.state,
                "RetryCount": self.retries,
            },
            "StateMachine": {"Id": self.machine_arn, "Name": self.machine_name},
        }

    def add(self, kind: str, now: float, detail: str = "", **values: Any) -> None:
        """Write an event; the last one that fits must end the execution well, or it fails.

        Raises:
            HistoryFullError: it has failed now.
        """
        if len(self.events) >= MAX_EVENTS - 1 and kind != "ExecutionSucceeded":
            self.fail_full(now)
            raise HistoryFullError
        self._append(kind, now, detail, values)

    def end(self, status: str, now: float, error: str | None, cause: str | None) -> None:
        """Fail, abort or time out."""
        kinds = {FAILED: "ExecutionFailed", ABORTED: "ExecutionAborted"}
        kind = kinds.get(status, "ExecutionTimedOut")
        detail = f"{kind[0].lower()}{kind[1:]}"
        values = {k: v for k, v in (("error", error), ("cause", cause)) if v is not None}
        self._append(kind, now, detail, values)
        self.status, self.stopped, self.error, self.cause = status, now, error, cause
        self.due = None
        self.turn += 1

    def fail_full(self, now: float) -> None:
        self.end(
            FAILED,
            now,
            "States.Runtime",
            f"The execution reached the maximum number of history events ({MAX_EVENTS}).",
        )

    def _append(self, kind: str, now: float, detail: str, values: dict[str, Any]) -> None:
        number = len(self.events) + 1
        event: Event = {
            "timestamp": datetime.fromtimestamp(now, UTC),
            "type": kind,
            "id": number,
            "previousEventId": number - 1,
        }
        if detail:
            event[f"{detail}EventDetails"] = values
        self.events.append(event)


def iso(moment: float) -> str:
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
