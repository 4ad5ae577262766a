"""The cases, and how one is measured: adjacent pairs in alternating order, within its time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving_load import Load, LoadError, Round, measure
from benchmarks.serving_models import MANY, Served
from benchmarks.serving_peers import FLOOR, MLFLOW, NOOP, OURS, CannotRunError
from benchmarks.serving_servers import TYPES, Running, check

CONNECTIONS = (1, 16, 64)
FORMATS = ("json", "csv")
REQUESTS = 1000
FOREIGN_SHARE = 0.05
ASKED_FIRST = 10
MOST_SECONDS = 10
# A thousand requests of MLflow's take half a minute where a round of the others takes a second.
MOST_SECONDS_MLFLOW = 3


@dataclass(frozen=True)
class Case:
    """What is sent, over how many connections."""

    model: str
    format: str
    rows: int
    connections: int

    def __str__(self) -> str:
        plural = "s" if self.connections > 1 else ""
        what = f"{self.rows} row{'s' if self.rows > 1 else ''} of {self.format}"
        return f"{self.model}, {what}, {self.connections} connection{plural}"


@dataclass
class Measured:
    """Rounds by server; CPU for each request of two servers beside each other; who was left out."""

    rounds: dict[str, list[Round]] = field(default_factory=dict[str, list[Round]])
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = field(
        default_factory=dict[tuple[str, str], list[tuple[float, float]]]
    )
    reasons: dict[str, str] = field(default_factory=dict[str, str])


def cases(model: str, *, every: bool = False) -> Iterator[Case]:
    """Those that a goal is about, and one connection count of each other; or every one."""
    for form in FORMATS:
        is_all = every or (model, form) == ("logreg", "json")
        for connections in CONNECTIONS if is_all else (16,):
            yield Case(model, form, 1, connections)
        if every or model == "logreg":
            for connections in CONNECTIONS if every else (1,):
                yield Case(model, form, MANY, connections)


class Bench:
    """Measures cases of one model on servers that run already."""

    def __init__(
        self, served: Served, servers: dict[str, Running], scratch: Path, core: int, pairs: int
    ) -> None:
        self.served = served
        self.servers = servers
        self.scratch = scratch
        self.core = core
        self.pairs = pairs

    def measure(self, case: Case, seconds: float) -> Measured:
        """About ``seconds`` altogether: what they leave is for rounds that others disturbed."""
        found = Measured()
        takers = self._takers(case, found)
        began, plan = time.monotonic(), self._plan(takers, seconds)
        left = sum(self.pairs * (plan[a] + plan[b]) for a, b in _pairings(takers))
        for one, other in _pairings(takers):
            for at in range(self.pairs):
                both: dict[str, Round] = {}
                for name in (one, other) if at % 2 else (other, one):
                    left -= plan[name]
                    until = began + seconds - left
                    try:
                        both[name] = self._round(name, case, plan[name], until)
                    except LoadError as error:
                        if name == OURS:
                            raise
                        found.reasons[name] = str(error)
                        break
                    found.rounds.setdefault(name, []).append(both[name])
                if len(both) == 2:
                    pair = (both[one].cpu_us, both[other].cpu_us)
                    found.pairs.setdefault((one, other), []).append(pair)
        return found

    def _takers(self, case: Case, found: Measured) -> dict[str, float]:
        """Who takes what is sent and answers it rightly, and the seconds of one request."""
        takers: dict[str, float] = {}
        for name, server in self.servers.items():
            try:
                check(server, self.served, case.format, case.rows)
                began = time.monotonic()
                for _ in range(ASKED_FIRST):
                    check(server, self.served, case.format, case.rows)
                takers[name] = (time.monotonic() - began) / ASKED_FIRST
            except (CannotRunError, OSError) as error:
                if name == OURS:
                    raise CannotRunError(f"our own server: {case}: {error}") from None
                found.reasons[name] = str(error)
        return takers

    def _plan(self, takers: dict[str, float], seconds: float) -> dict[str, int]:
        """Seconds of a round of each server, fewer where the case's time does not suffice."""
        plan = {name: round_seconds(name, one) for name, one in takers.items()}
        while (
            self.pairs * sum(plan[a] + plan[b] for a, b in _pairings(takers)) > seconds
            and max(plan.values()) > 1
        ):
            longest = max(plan, key=lambda name: plan[name])
            plan[longest] -= 1
        return plan

    def _round(self, name: str, case: Case, seconds: int, until: float) -> Round:
        """The least disturbed round, at once or until the time is over."""
        server = self.servers[name]
        body = self.scratch / "body"
        body.write_bytes(self.served.body(server.peer.shape(case.format), case.rows))
        load = Load(body, TYPES[case.format], case.connections, self.core)
        best = measure(server, load, seconds, self.scratch)
        while best.foreign > FOREIGN_SHARE and time.monotonic() + seconds < until:
            again = measure(server, load, seconds, self.scratch)
            best = min(best, again, key=lambda found: found.foreign)
        return best


def round_seconds(name: str, one: float) -> int:
    """Enough for :data:`REQUESTS` where one takes ``one`` seconds, within what can be waited."""
    most = MOST_SECONDS_MLFLOW if name == MLFLOW else MOST_SECONDS
    return min(most, max(1, math.ceil(REQUESTS * one)))


def _pairings(servers: dict[str, float]) -> list[tuple[str, str]]:
    """Who is measured beside whom: everybody beside us, and the no-op beside the floor."""
    found = [(name, OURS) for name in servers if name != OURS]
    return [*found, (NOOP, FLOOR)] if NOOP in servers and FLOOR in servers else found
