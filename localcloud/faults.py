"""Faults on order: what AWS does rarely and nobody can wait for, once or a few times, here.

A fault is JSON: its ``kind`` and the fields of that kind. It is kept in memory until it has struck
``times`` times, until it is cleared, or until the daemon ends.

==================  ===============================================================================
kind                what happens
==================  ===============================================================================
capacity            instances of ``instance_type`` do not start (``after`` that many that do)
slow_start          an instance of ``endpoint`` starts ``seconds`` (on the cloud's clock) later
quota               the account's quota of ``instance_type`` is ``limit``, until it is cleared
silent_rollback     the next deployment of ``endpoint`` is rolled back without a FailureReason
timeout             the next deployment of ``endpoint`` passes MaximumExecutionTimeoutInSeconds
rollback_fails      a rolling update of ``endpoint`` that rolls back cannot restore the old fleet
duplicate_events    EventBridge gets events of SageMaker twice (of ``endpoint``, else of all)
api_error           ``operation`` of ``service`` answers ``code`` with HTTP ``status``
==================  ===============================================================================
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from contracts.errors import SlipwayError
from localcloud.service import ServiceError

Params = dict[str, Any]


class FaultError(SlipwayError):
    """A fault that cannot be: unknown kind or field, or a value that is not allowed."""


@dataclass(frozen=True)
class Capacity:
    instance_type: str
    endpoint: str | None = None
    after: int = 0
    times: int = 1


@dataclass(frozen=True)
class SlowStart:
    endpoint: str
    seconds: int
    times: int = 1


@dataclass(frozen=True)
class Quota:
    instance_type: str
    limit: int


@dataclass(frozen=True)
class SilentRollback:
    endpoint: str
    times: int = 1


@dataclass(frozen=True)
class Timeout:
    endpoint: str
    times: int = 1


@dataclass(frozen=True)
class RollbackFails:
    endpoint: str
    times: int = 1


@dataclass(frozen=True)
class DuplicateEvents:
    endpoint: str | None = None
    times: int = 1


@dataclass(frozen=True)
class ApiError:
    service: str
    operation: str
    code: str
    status: int = 400
    message: str = "This fault was ordered from the local cloud."
    times: int = 1


Fault = (
    Capacity
    | SlowStart
    | Quota
    | SilentRollback
    | Timeout
    | RollbackFails
    | DuplicateEvents
    | ApiError
)
F = TypeVar("F", bound=Fault)

KINDS: dict[str, type[Fault]] = {
    "capacity": Capacity,
    "slow_start": SlowStart,
    "quota": Quota,
    "silent_rollback": SilentRollback,
    "timeout": Timeout,
    "rollback_fails": RollbackFails,
    "duplicate_events": DuplicateEvents,
    "api_error": ApiError,
}
_LEAST = {"times": 1, "seconds": 1, "after": 0, "limit": 0, "status": 400}
_MOST = {"status": 599}


def parse(order: Any) -> Fault:
    """The fault that JSON describes; raises :class:`FaultError` with all that is wrong with it."""
    if not isinstance(order, dict) or "kind" not in order:
        raise FaultError(f'a fault is a JSON object with a "kind": one of {", ".join(KINDS)}')
    fields: Params = {str(name): value for name, value in order.items() if name != "kind"}
    kind = KINDS.get(str(order["kind"]))
    if kind is None:
        raise FaultError(f"kind is {order['kind']!r}; it must be one of {', '.join(KINDS)}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    problems = [
        f"{name} is not a field of {order['kind']}; its fields are {', '.join(known)}"
        for name in fields
        if name not in known
    ]
    for name, field in known.items():
        if name in fields:
            problems += _problems(name, fields[name], "int" in str(field.type))
        elif field.default is dataclasses.MISSING:
            problems.append(f"{name} is missing")
    if problems:
        raise FaultError("; ".join(problems))
    return kind(**fields)


def _problems(name: str, value: Any, is_number: bool) -> list[str]:
    if not is_number:
        fits = isinstance(value, str) and value != ""
        return [] if fits else [f"{name} is {value!r}; it must be a text"]
    least, most = _LEAST[name], _MOST.get(name)
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if fits and (most is None or value <= most):
        return []
    span = f"of at least {least}" if most is None else f"from {least} to {most}"
    return [f"{name} is {value!r}; it must be a whole number {span}"]


@dataclass
class _Waiting:
    fault: Fault
    passed: int = 0
    struck: int = 0


class Faults:
    """Those that are still to strike; used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._numbers = itertools.count(1)

    def add(self, fault: Fault) -> Params:
        with self._lock:
            number = str(next(self._numbers))
            self._waiting[number] = _Waiting(fault)
            return _listed(number, self._waiting[number])

    def listed(self) -> list[Params]:
        with self._lock:
            return [_listed(number, waiting) for number, waiting in self._waiting.items()]

    def clear(self, number: str | None = None) -> int:
        """All, or the one with this id; returns how many there were."""
        with self._lock:
            gone = [n for n in self._waiting if number is None or n == number]
            for one in gone:
                del self._waiting[one]
            return len(gone)

    def strike(self, kind: type[F], fits: Callable[[F], bool]) -> F | None:
        """The oldest fault of this kind that fits, used up once; None where there is none."""
        with self._lock:
            for number, waiting in self._waiting.items():
                fault = waiting.fault
                if not isinstance(fault, kind) or not fits(fault):
                    continue
                if isinstance(fault, Capacity) and waiting.passed < fault.after:
                    waiting.passed += 1
                    return None
                waiting.struck += 1
                if waiting.struck >= getattr(fault, "times", waiting.struck + 1):
                    del self._waiting[number]
                return fault
        return None

    def strikes_endpoint(
        self, kind: type[SilentRollback | Timeout | RollbackFails], endpoint: str
    ) -> bool:
        return self.strike(kind, lambda fault: fault.endpoint == endpoint) is not None

    def has_capacity(self, instance_type: str, endpoint: str) -> bool:
        """Whether one more instance may start."""

        def fits(fault: Capacity) -> bool:
            return fault.instance_type == instance_type and fault.endpoint in (None, endpoint)

        return self.strike(Capacity, fits) is None

    def start_delay_seconds(self, endpoint: str) -> float:
        """How much later one more instance of the endpoint starts, on the cloud's clock."""
        found = self.strike(SlowStart, lambda fault: fault.endpoint == endpoint)
        return 0.0 if found is None else float(found.seconds)

    def quota(self, instance_type: str) -> int | None:
        found = self.strike(Quota, lambda fault: fault.instance_type == instance_type)
        return None if found is None else found.limit

    def duplicates(self, endpoint: str) -> bool:
        return (
            self.strike(DuplicateEvents, lambda fault: fault.endpoint in (None, endpoint))
            is not None
        )

    def raise_api_error(self, service: str, operation: str) -> None:
        """Raises :class:`ServiceError` where one was ordered for this call."""
        found = self.strike(
            ApiError, lambda fault: (fault.service, fault.operation) == (service, operation)
        )
        if found is not None:
            raise ServiceError(found.code, found.message, found.status)


def _listed(number: str, waiting: _Waiting) -> Params:
    fault = waiting.fault
    kind = next(name for name, found in KINDS.items() if isinstance(fault, found))
    given = {name: value for name, value in dataclasses.asdict(fault).items() if value is not None}
    return {"id": number, "kind": kind, **given, "struck": waiting.struck}
