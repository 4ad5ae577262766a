from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.clock import Clock, ClockError

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Ticks:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_simulated_time_runs_speed_times_as_fast_as_the_wall() -> None:
    ticks = Ticks()
    clock = Clock(60, START, ticks)

    ticks.seconds += 2

    assert clock.now() == datetime(2026, 11, 24, 12, 2, tzinfo=UTC)
    assert clock.wall_seconds(600) == 10


@given(
    speed=st.floats(0.1, 10_000),
    steps=st.lists(st.floats(0, 1e6), max_size=20),
)
def test_time_never_goes_back(speed: float, steps: list[float]) -> None:
    ticks = Ticks()
    clock = Clock(speed, START, ticks)
    seen = clock.timestamp()
    for step in steps:
        ticks.seconds += step
        assert clock.timestamp() >= seen
        seen = clock.timestamp()


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_speed_that_is_no_speed_is_refused_with_what_is_allowed(speed: float) -> None:
    with pytest.raises(ClockError, match=r"speed is .*; it must lie between 0\.1 and 10000"):
        Clock(speed)
