"""Counters and states of all workers in one piece of shared memory; each writes only its own slot.

A restarted worker goes on counting where its predecessor in the slot stopped: counters never fall.
"""

from __future__ import annotations

import mmap
import time
from bisect import bisect_left
from collections.abc import Iterable

LOADING, READY, GONE = 0.0, 1.0, 2.0
ROUTES = ("invocations", "predict", "v2", "ping", "other")
PREDICTIONS = frozenset(ROUTES[:3])
CLASSES = ("2xx", "4xx", "5xx")
SECONDS_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
REQUESTS_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
ROWS_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0)
_STATE, _BEAT, _PID, _READY_AT = 0, 1, 2, 3
_REQUESTS = 4
_SECONDS = _REQUESTS + len(ROUTES) * len(CLASSES)
_ROWS = _SECONDS + len(SECONDS_BUCKETS) + 2
_MERGED = _ROWS + len(ROWS_BUCKETS) + 2
_IGNORED = _MERGED + len(REQUESTS_BUCKETS) + 2
SLOT = _IGNORED + 1
_WORD = 8
_PLACES = {route: _REQUESTS + i * len(CLASSES) for i, route in enumerate(ROUTES)}
# A loop that has not turned for so long answers nobody.
STUCK_SECONDS = 30.0
_WAS_READY, _IS_FAILING, _STARTED, _PAST_CPU = 0, 1, 2, 3
_TOLD = 4
TOLD = 7
_HOUSE = _TOLD + TOLD


class Slot:
    """One worker's place."""

    def __init__(self, words: memoryview[float]) -> None:
        self._words = words

    @property
    def state(self) -> float:
        return self._words[_STATE]

    @state.setter
    def state(self, value: float) -> None:
        self._words[_STATE] = value

    @property
    def pid(self) -> int:
        return int(self._words[_PID])

    @pid.setter
    def pid(self, value: int) -> None:
        self._words[_PID] = float(value)

    @property
    def beat(self) -> float:
        """When its event loop last turned, in monotonic seconds."""
        return self._words[_BEAT]

    @beat.setter
    def beat(self, value: float) -> None:
        self._words[_BEAT] = value

    @property
    def ready_at(self) -> float:
        """When it had loaded the model, in monotonic seconds; 0 until then."""
        return self._words[_READY_AT]

    @ready_at.setter
    def ready_at(self, value: float) -> None:
        self._words[_READY_AT] = value

    @property
    def answered(self) -> float:
        """Requests for predictions that this place has answered, by all its workers."""
        words = self._words
        places = (_PLACES[route] for route in PREDICTIONS)
        return sum(words[place + i] for place in places for i in range(len(CLASSES)))

    def count(self, route: str, status: int, seconds: float, requests: int = 1) -> None:
        """Requests that were answered alike, each in so many seconds.

        The seconds count for predictions alone: probes and scrapes would make a model look fast.
        """
        words = self._words
        words[_PLACES[route] + max(0, min(2, status // 100 - 3))] += requests
        if route not in PREDICTIONS:
            return
        words[_SECONDS + bisect_left(SECONDS_BUCKETS, seconds)] += requests
        words[_SECONDS + len(SECONDS_BUCKETS) + 1] += seconds * requests

    def count_call(self, rows: int, requests: int) -> None:
        """One call of the model: its rows, and how many requests they came from."""
        words = self._words
        words[_ROWS + bisect_left(ROWS_BUCKETS, rows)] += 1
        words[_ROWS + len(ROWS_BUCKETS) + 1] += rows
        words[_MERGED + bisect_left(REQUESTS_BUCKETS, requests)] += 1
        words[_MERGED + len(REQUESTS_BUCKETS) + 1] += requests

    def count_ignored(self, columns: int) -> None:
        """Columns that came and that the model does not know."""
        self._words[_IGNORED] += columns


class Board:
    """The slots of all workers; made before they are forked."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, (_HOUSE + workers * SLOT) * _WORD)
        words = memoryview(self._memory).cast("d")
        self._house, places = words[:_HOUSE], words[_HOUSE:]
        self._words = [places[i * SLOT : (i + 1) * SLOT] for i in range(workers)]
        self.slots = [Slot(words) for words in self._words]
        self._house[_STARTED] = time.time()

    def is_healthy(self, now: float) -> bool:
        """What ``/ping`` says: all have loaded once, one serves, none is stuck or given up.

        ``now`` is in monotonic seconds, which all processes of a machine share.
        """
        states = [slot.state for slot in self.slots]
        if all(state == READY for state in states):
            self._house[_WAS_READY] = 1.0
        is_stuck = any(s.state == READY and now - s.beat > STUCK_SECONDS for s in self.slots)
        was_ready, is_failing = self._house[_WAS_READY], self._house[_IS_FAILING]
        return bool(was_ready) and not is_failing and not is_stuck and READY in states

    def give_up(self) -> None:
        """Workers cannot be kept alive: the instance is to be replaced."""
        self._house[_IS_FAILING] = 1.0

    @property
    def started(self) -> float:
        """When the server was started, in seconds since 1970."""
        return self._house[_STARTED]

    @property
    def past_cpu_seconds(self) -> float:
        """CPU of the workers that have died."""
        return self._house[_PAST_CPU]

    def note_dead(self, slot: Slot, cpu_seconds: float) -> None:
        """A worker is gone, after so much CPU."""
        slot.state, slot.pid = GONE, 0
        self._house[_PAST_CPU] += cpu_seconds

    @property
    def told(self) -> memoryview[float]:
        """``TOLD`` totals as the log was last told them, whichever worker did."""
        return self._house[_TOLD : _TOLD + TOLD]

    def requests(self, route: str, kind: str) -> float:
        place = _PLACES[route] + CLASSES.index(kind)
        return sum(words[place] for words in self._words)

    def seconds(self) -> tuple[list[float], float, float]:
        """Cumulative counts by bucket (the last is all), and the sum of seconds."""
        return self._histogram(_SECONDS, len(SECONDS_BUCKETS))

    def rows(self) -> tuple[list[float], float, float]:
        """As :meth:`seconds`, of the rows of each call of the model."""
        return self._histogram(_ROWS, len(ROWS_BUCKETS))

    def merged(self) -> tuple[list[float], float, float]:
        """As :meth:`seconds`, of the requests of each call of the model."""
        return self._histogram(_MERGED, len(REQUESTS_BUCKETS))

    def ignored(self) -> float:
        """Columns that came and that the model does not know."""
        return sum(words[_IGNORED] for words in self._words)

    def _histogram(self, start: int, buckets: int) -> tuple[list[float], float, float]:
        counts = [sum(w[start + i] for w in self._words) for i in range(buckets + 1)]
        total = sum(w[start + buckets + 1] for w in self._words)
        running = list(_cumulative(counts))
        return running, running[-1], total


def _cumulative(counts: Iterable[float]) -> Iterable[float]:
    total = 0.0
    for count in counts:
        total += count
        yield total
