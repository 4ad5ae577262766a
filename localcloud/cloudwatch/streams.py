"""The points of one metric in one unit, in hours that are written down once and pruned whole."""

from __future__ import annotations

import pickle
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any

from localcloud.cloudwatch.samples import Samples, StatisticSet, compacted

HOUR = 3600
# So many values wait in a plain array before they are counted.
MAX_PENDING = 4096


class Bucket:
    """One minute or second; ``pending`` is not yet part of ``samples``."""

    __slots__ = ("hour", "pending", "samples")

    def __init__(self, hour: Hour, samples: Samples) -> None:
        self.hour = hour
        self.samples = samples
        self.pending = array("d")

    def append(self, value: float) -> None:
        self.pending.append(value)
        self.hour.packed = None
        if len(self.pending) >= MAX_PENDING:
            self.read()

    def merge(self, samples: Samples) -> None:
        self.read().merge(samples)
        self.hour.packed = None

    def compact(self) -> None:
        self.samples = compacted(self.read())
        self.hour.packed = None

    def read(self) -> Samples:
        if self.pending:
            for value, count in Counter(self.pending).items():
                self.samples.add(value, count)
            self.pending = array("d")
        return self.samples


class Hour:
    """The buckets of one hour; ``packed`` is how they stand on disk, None after a change.

    A frozen hour has nothing but its packed form, a tenth of the room, until it is written to.
    """

    __slots__ = ("_buckets", "packed")

    def __init__(self, packed: bytes | None = None) -> None:
        self.packed = packed
        self._buckets: dict[int, Bucket] | None = {} if packed is None else None

    @property
    def is_frozen(self) -> bool:
        return self._buckets is None

    def buckets(self) -> dict[int, Bucket]:
        """To write to: no longer frozen."""
        if self._buckets is None:
            self._buckets = {at: Bucket(self, s) for at, s in self.samples()}
        return self._buckets

    def samples(self) -> list[tuple[int, Samples]]:
        """To read only, oldest first; a frozen hour stays so."""
        if self._buckets is not None:
            return [(at, bucket.read()) for at, bucket in sorted(self._buckets.items())]
        assert self.packed is not None
        plain: list[tuple[int, Any, Any]] = pickle.loads(self.packed)
        return [(at, Samples(v, [StatisticSet(*s) for s in sets])) for at, v, sets in plain]

    def pack(self) -> bytes:
        if self.packed is None:
            plain = [(at, samples.values, _plain(samples)) for at, samples in self.samples()]
            self.packed = pickle.dumps(plain)
        return self.packed

    def freeze(self) -> None:
        self.pack()
        self._buckets = None


class Points:
    """Buckets by the epoch second at which they start."""

    __slots__ = ("hours",)

    def __init__(self) -> None:
        self.hours: dict[int, Hour] = {}

    def bucket(self, at: int) -> Bucket:
        start = at - at % HOUR
        hour = self.hours.get(start)
        if hour is None:
            hour = self.hours[start] = Hour()
        buckets = hour.buckets()
        found = buckets.get(at)
        if found is None:
            found = buckets[at] = Bucket(hour, Samples())
        return found

    def between(self, start: int, end: int) -> Iterator[tuple[int, Samples]]:
        """Samples of the buckets that start in ``[start, end)``, oldest first."""
        for begin in sorted(h for h in self.hours if start - HOUR < h < end):
            for at, samples in self.hours[begin].samples():
                if start <= at < end:
                    yield at, samples

    def latest(self) -> int | None:
        return self.hours[max(self.hours)].samples()[-1][0] if self.hours else None

    def drop_before(self, oldest: int) -> None:
        """Forget the hours that are over by ``oldest``."""
        for start in [h for h in self.hours if h + HOUR <= oldest]:
            del self.hours[start]

    def warm_before(self, oldest: int) -> list[Hour]:
        """The hours that are over by ``oldest`` and not frozen."""
        return [h for at, h in self.hours.items() if at + HOUR <= oldest and not h.is_frozen]

    def pack(self) -> dict[int, bytes]:
        return {start: hour.pack() for start, hour in self.hours.items()}

    @staticmethod
    def unpack(packed: dict[int, bytes]) -> Points:
        points = Points()
        points.hours = {start: Hour(content) for start, content in packed.items()}
        return points


class Stream:
    """One metric in one unit: minutes, and seconds for high resolution."""

    __slots__ = ("bucket", "minutes", "seconds", "start")

    def __init__(self) -> None:
        self.minutes = Points()
        self.seconds = Points()
        self.start = -1
        self.bucket: Bucket | None = None

    @property
    def is_empty(self) -> bool:
        return not self.minutes.hours and not self.seconds.hours

    def latest(self) -> int:
        return max(self.minutes.latest() or 0, self.seconds.latest() or 0)

    def forget_bucket(self) -> None:
        """The bucket last written to may be gone: look it up again."""
        self.start, self.bucket = -1, None


def _plain(samples: Samples) -> list[tuple[float, float, float, float]]:
    return [(s.count, s.total, s.minimum, s.maximum) for s in samples.sets]
