"""Every data point of every metric, by minute (and by second for high resolution).

Kept as long as CloudWatch keeps them, in simulated time: seconds for three hours, minutes for
fifteen days (AWS goes on with coarser points, which nothing here asks for). Minutes older than
three hours that have many different values keep count, sum, minimum and maximum, and each other
value to 1 %.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.cloudwatch.samples import Samples, StatisticSet
from localcloud.cloudwatch.streams import HOUR, Hour, Points, Stream

MINUTE = 60
SECONDS_KEPT = 3 * HOUR
MINUTES_KEPT = 15 * 24 * HOUR

__all__ = ["MetricKey", "MetricStore", "StatisticSet"]


@dataclass(frozen=True)
class MetricKey:
    """Dimensions are (name, value) pairs in the order of their names."""

    region: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]


_HotKey = tuple[str, str, str, frozenset[tuple[str, str]], str]


class MetricStore:
    """Guarded by one lock; :meth:`record` is on the way of every invocation and kept short."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[MetricKey, dict[str, Stream]] = {}
        self._hot: dict[_HotKey, Stream] = {}
        self._changes = 0
        self._pruned = 0

    @property
    def changes(self) -> int:
        """Grows with every change; equal numbers mean equal content."""
        return self._changes

    def record(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        unit: str,
        at: datetime,
        region: str,
        fine: bool = False,
    ) -> None:
        """Add one value to the minute of ``at``; ``fine`` keeps the second as well."""
        second = int(at.timestamp())
        start = second - second % MINUTE
        hot = (region, namespace, metric, frozenset(dimensions.items()), unit)
        with self._lock:
            self._changes += 1
            stream = self._hot.get(hot)
            if stream is None:
                key = MetricKey(region, namespace, metric, tuple(sorted(dimensions.items())))
                stream = self._hot[hot] = self._stream(key, unit)
            if stream.bucket is None or stream.start != start:
                stream.bucket = stream.minutes.bucket(start)
                stream.start = start
            stream.bucket.append(value)
            if fine:
                stream.seconds.bucket(second).append(value)

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
        samples = Samples(dict(values))
        if summary is not None:
            samples.add_set(summary)
        second = int(at)
        with self._lock:
            self._changes += 1
            stream = self._stream(key, unit)
            stream.minutes.bucket(second - second % MINUTE).merge(samples)
            if fine:
                stream.seconds.bucket(second).merge(samples)

    def _stream(self, key: MetricKey, unit: str) -> Stream:
        return self._streams.setdefault(key, {}).setdefault(unit, Stream())

    def latest(self, region: str) -> dict[MetricKey, int]:
        """The region's metrics with the start of their newest minute or second."""
        with self._lock:
            return {
                key: max(stream.latest() for stream in units.values())
                for key, units in self._streams.items()
                if key.region == region
            }

    def units(self, key: MetricKey) -> list[str]:
        with self._lock:
            return list(self._streams.get(key, {}))

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
                fine = period < MINUTE and stream.seconds.hours
                points = stream.seconds if fine else stream.minutes
                for at, samples in points.between(start, end):
                    begin = start + (at - start) // period * period
                    found.setdefault(begin, Samples()).merge(samples)
        return dict(sorted(found.items()))

    def prune(self, now: float) -> None:
        """Forget what is too old at ``now``; cheap enough for every minute, done every hour.

        As in :meth:`snapshot`, the lock is held for a moment at a time.
        """
        if int(now) // HOUR == self._pruned:
            return
        self._pruned = int(now) // HOUR
        with self._lock:
            streams = [stream for units in self._streams.values() for stream in units.values()]
        for stream in streams:
            with self._lock:
                stream.minutes.drop_before(int(now) - MINUTES_KEPT)
                stream.seconds.drop_before(int(now) - SECONDS_KEPT)
                stream.forget_bucket()
                warm = stream.minutes.warm_before(int(now) - SECONDS_KEPT)
            for hour in warm:
                self._freeze(stream, hour)
        with self._lock:
            self._drop_empty()
            self._changes += 1

    def _freeze(self, stream: Stream, hour: Hour) -> None:
        with self._lock:
            buckets = list(hour.buckets().values())
        for bucket in buckets:
            with self._lock:
                bucket.compact()
        with self._lock:
            stream.forget_bucket()
            hour.freeze()

    def _drop_empty(self) -> None:
        for key, units in list(self._streams.items()):
            for unit in [u for u, stream in units.items() if stream.is_empty]:
                del units[unit]
            if not units:
                del self._streams[key]
        self._hot.clear()

    def snapshot(self) -> list[Any]:
        """Plain data for :meth:`restore`; only hours that changed are written down anew.

        The lock is held for one metric at a time, so that no invocation waits for all of them.
        """
        with self._lock:
            streams = [
                (key, unit, stream)
                for key, units in self._streams.items()
                for unit, stream in units.items()
            ]
        found: list[Any] = []
        for key, unit, stream in streams:
            plain_key = (key.region, key.namespace, key.metric, key.dimensions)
            with self._lock:
                found.append((plain_key, unit, stream.minutes.pack(), stream.seconds.pack()))
        return found

    def restore(self, state: list[Any]) -> None:
        """Take over a :meth:`snapshot`; one that cannot be read changes nothing."""
        streams: dict[MetricKey, dict[str, Stream]] = {}
        for key, unit, minutes, seconds in state:
            stream = streams.setdefault(MetricKey(*key), {}).setdefault(unit, Stream())
            stream.minutes = Points.unpack(minutes)
            stream.seconds = Points.unpack(seconds)
        with self._lock:
            self._clear()
            self._streams = streams

    def reset(self) -> None:
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._streams.clear()
        self._hot.clear()
        self._changes += 1
        self._pruned = 0
