"""Every data point of every metric, by minute (and by second for high resolution).

Kept by simulated age, counted from a metric's newest point: seconds for three hours, minutes for
fifteen days; values are exact all that time. AWS goes on with coarser points after that.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.cloudwatch.statistics import Samples, StatisticSet

MINUTE = 60
SECONDS_KEPT = 3 * 3600
MINUTES_KEPT = 15 * 24 * 3600
# So many values wait in a plain array before they are counted.
MAX_PENDING = 4096

__all__ = ["MetricKey", "MetricStore", "StatisticSet"]


@dataclass(frozen=True)
class MetricKey:
    """Dimensions are (name, value) pairs in the order of their names."""

    region: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]


class _Bucket:
    """One minute or second of one unit; ``pending`` is not yet part of ``samples``."""

    __slots__ = ("pending", "samples")

    def __init__(self) -> None:
        self.samples = Samples()
        self.pending = array("d")

    def read(self) -> Samples:
        if self.pending:
            for value, count in Counter(self.pending).items():
                self.samples.add(value, count)
            self.pending = array("d")
        return self.samples


class _Stream:
    """One metric in one unit."""

    __slots__ = ("bucket", "minutes", "seconds", "start")

    def __init__(self) -> None:
        self.minutes: dict[int, _Bucket] = {}
        self.seconds: dict[int, _Bucket] = {}
        self.start = -1
        self.bucket = _Bucket()

    def minute(self, start: int) -> _Bucket:
        found = self.minutes.get(start)
        if found is None:
            found = self.minutes[start] = _Bucket()
            _drop_before(self.minutes, max(self.minutes) - MINUTES_KEPT)
        return found

    def second(self, start: int) -> _Bucket:
        found = self.seconds.get(start)
        if found is None:
            found = self.seconds[start] = _Bucket()
            _drop_before(self.seconds, max(self.seconds) - SECONDS_KEPT)
        return found


def _drop_before(buckets: dict[int, _Bucket], oldest: int) -> None:
    for start in [s for s in buckets if s < oldest]:
        del buckets[start]


_HotKey = tuple[str, str, str, frozenset[tuple[str, str]], str]


class MetricStore:
    """Guarded by one lock; :meth:`record` is on the way of every invocation and kept short."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[MetricKey, dict[str, _Stream]] = {}
        self._hot: dict[_HotKey, _Stream] = {}

    def record(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        unit: str,
        at: datetime,
        region: str,
    ) -> None:
        """Add one value to the minute of ``at``."""
        second = int(at.timestamp())
        start = second - second % MINUTE
        hot = (region, namespace, metric, frozenset(dimensions.items()), unit)
        with self._lock:
            stream = self._hot.get(hot)
            if stream is None:
                key = MetricKey(region, namespace, metric, tuple(sorted(dimensions.items())))
                stream = self._hot[hot] = self._stream(key, unit)
            if stream.start != start:
                stream.bucket = stream.minute(start)
                stream.start = start
            stream.bucket.pending.append(value)
            if len(stream.bucket.pending) >= MAX_PENDING:
                stream.bucket.read()

    def put(
        self,
        key: MetricKey,
        at: float,
        unit: str,
        values: Mapping[float, float],
        summary: StatisticSet | None = None,
        fine: bool = False,
    ) -> None:
        """Add values with their counts, or a summary; ``fine`` keeps the second as well."""
        samples = Samples(dict(values), [] if summary is None else [summary])
        second = int(at)
        with self._lock:
            stream = self._stream(key, unit)
            stream.minute(second - second % MINUTE).read().merge(samples)
            if fine:
                stream.second(second).read().merge(samples)

    def _stream(self, key: MetricKey, unit: str) -> _Stream:
        return self._streams.setdefault(key, {}).setdefault(unit, _Stream())

    def keys(self, region: str) -> list[MetricKey]:
        with self._lock:
            return [key for key in self._streams if key.region == region]

    def periods(
        self, key: MetricKey, start: int, end: int, period: int, unit: str | None = None
    ) -> dict[int, Samples]:
        """Samples by the start of their period, in order; the first period begins at ``start``.

        Below a minute only high-resolution points count, and minutes of a metric that has none.
        """
        found: dict[int, Samples] = {}
        with self._lock:
            for name, stream in self._streams.get(key, {}).items():
                if unit is not None and name != unit:
                    continue
                fine = period < MINUTE and stream.seconds
                buckets = stream.seconds if fine else stream.minutes
                for at in [a for a in buckets if start <= a < end]:
                    begin = start + (at - start) // period * period
                    found.setdefault(begin, Samples()).merge(buckets[at].read())
        return dict(sorted(found.items()))

    def snapshot(self) -> list[Any]:
        """Plain data for :meth:`restore`."""
        with self._lock:
            return [
                (
                    (key.region, key.namespace, key.metric, key.dimensions),
                    unit,
                    _plain(stream.minutes),
                    _plain(stream.seconds),
                )
                for key, units in self._streams.items()
                for unit, stream in units.items()
            ]

    def restore(self, state: list[Any]) -> None:
        with self._lock:
            self._clear()
            for key, unit, minutes, seconds in state:
                stream = self._stream(MetricKey(*key), unit)
                _fill(stream.minutes, minutes)
                _fill(stream.seconds, seconds)

    def reset(self) -> None:
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._streams.clear()
        self._hot.clear()


def _plain(buckets: dict[int, _Bucket]) -> dict[int, Any]:
    plain: dict[int, Any] = {}
    for start, bucket in buckets.items():
        samples = bucket.read()
        sets = [(s.count, s.total, s.minimum, s.maximum) for s in samples.sets]
        plain[start] = (dict(samples.values), sets)
    return plain


def _fill(buckets: dict[int, _Bucket], plain: dict[int, Any]) -> None:
    for start, (values, sets) in plain.items():
        bucket = buckets[start] = _Bucket()
        bucket.samples = Samples(dict(values), [StatisticSet(*s) for s in sets])
