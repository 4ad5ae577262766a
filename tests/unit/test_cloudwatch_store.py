"""The store keeps what CloudWatch keeps, as long, and writes down only what changed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcloud.cloudwatch import statistics
from localcloud.cloudwatch.store import MetricKey, MetricStore
from localcloud.cloudwatch.streams import HOUR

KEY = MetricKey("r", "N", "m", ())
DAY = 24 * HOUR
START = 1_790_000_000 // HOUR * HOUR


def put(store: MetricStore, at: float, value: float = 1.0, **more: Any) -> None:
    store.put(more.pop("key", KEY), at, "None", {value: 1.0}, **more)


def record(store: MetricStore, at: float, value: float) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    store.record("N", "m", {}, value, "None", moment, "r")


def total(store: MetricStore, start: float, end: float, period: int = 60) -> float:
    found = store.periods(KEY, int(start), int(end), period)
    return sum(statistics.compute("Sum", s) or 0.0 for s in found.values())


def test_minutes_live_for_fifteen_days_and_seconds_for_three_hours() -> None:
    store = MetricStore()
    put(store, START, fine=True)
    store.prune(START + 2 * HOUR)
    assert total(store, START, START + 60, period=1) == 1.0, "seconds are there"
    store.prune(START + 4 * HOUR + 1)
    at = next(iter(store.periods(KEY, START, START + 60, 1)))
    assert at == START, "the minute still answers"
    assert store.snapshot()[0][3] == {}, "the seconds are gone"
    store.prune(START + 15 * DAY)
    assert total(store, START, START + 60) == 1.0, "minutes are there"
    store.prune(START + 15 * DAY + 2 * HOUR)
    assert store.snapshot() == [], "nothing is left of a metric without points"
    assert store.latest("r") == {}


def test_a_month_of_data_takes_no_more_room_than_fifteen_days() -> None:
    store = MetricStore()
    sizes: list[int] = []
    for day in range(31):
        for hour in range(24):
            at = START + day * DAY + hour * HOUR
            for number in range(20):
                record(store, at, float(number))
            store.prune(at)
        sizes.append(len(pickle.dumps(store.snapshot())))
    assert sizes[30] <= sizes[16] * 1.01, "it grows for as long as data is kept, and no longer"
    assert total(store, START + 29 * DAY, START + 30 * DAY) == 24 * 190


def test_old_minutes_with_many_values_are_made_small() -> None:
    store = MetricStore()
    for number in range(5000):
        record(store, START, 1000.0 + number)
    exact = store.periods(KEY, START, START + 60, 60)[START]
    before = len(pickle.dumps(store.snapshot()))
    store.prune(START + 5 * HOUR)
    small = store.periods(KEY, START, START + 60, 60)[START]
    assert len(pickle.dumps(store.snapshot())) < before / 5
    assert (small.count, small.total) == (exact.count, exact.total)
    for name in ("Minimum", "Maximum"):
        assert statistics.compute(name, small) == statistics.compute(name, exact), name


def test_a_late_point_joins_an_hour_that_was_made_small() -> None:
    store = MetricStore()
    put(store, START)
    store.prune(START + 5 * HOUR)
    put(store, START, 41.0)
    assert total(store, START, START + 60) == 42.0


def test_recording_goes_on_after_the_bucket_was_pruned() -> None:
    store = MetricStore()
    record(store, START, 1.0)
    store.prune(START + 16 * DAY)
    record(store, START, 2.0)
    record(store, START + 16 * DAY, 3.0)
    assert total(store, START, START + 17 * DAY) == 5.0


def test_only_hours_that_changed_are_written_anew() -> None:
    store = MetricStore()
    for hour in range(3):
        put(store, START + hour * HOUR)
    first = store.snapshot()[0][2]
    record(store, START + 2 * HOUR, 5.0)
    second = store.snapshot()[0][2]
    assert second[START] is first[START], "an hour without a change is not packed again"
    assert second[START + 2 * HOUR] != first[START + 2 * HOUR]


def test_changes_tell_whether_there_is_something_to_keep() -> None:
    store = MetricStore()
    seen = [store.changes]
    record(store, START, 1.0)
    seen.append(store.changes)
    put(store, START)
    seen.append(store.changes)
    assert len(set(seen)) == 3
    store.snapshot()
    total(store, START, START + 60)
    assert store.changes == seen[-1], "reading changes nothing"


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * HOUR), st.floats(-1e6, 1e6, allow_nan=False), st.booleans()),
        max_size=40,
    )
)
def test_what_is_restored_is_what_was_kept(points: list[tuple[int, float, bool]]) -> None:
    store, other = MetricStore(), MetricStore()
    for at, value, fine in points:
        put(store, START + at, value, fine=fine)
    other.restore(pickle.loads(pickle.dumps(store.snapshot())))
    for period in (1, 60, 300):
        span = (KEY, START, START + 4 * HOUR, period)
        assert other.periods(*span) == store.periods(*span), period
    assert other.latest("r") == store.latest("r")
    put(other, START, 1.0)
    put(store, START, 1.0)
    assert other.periods(*span) == store.periods(*span), "a restored store goes on"


def test_a_new_minute_of_another_unit_or_region_is_kept_apart() -> None:
    store = MetricStore()
    put(store, START)
    put(store, START, 10.0, key=MetricKey("other", "N", "m", ()))
    store.put(KEY, START, "Seconds", {5.0: 1.0})
    assert total(store, START, START + 60) == 6.0
    assert store.units(KEY) == ["None", "Seconds"]
    assert list(store.latest("r")) == [KEY]
