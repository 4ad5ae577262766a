"""Sums over minutes: extended or recomputed, they are the same."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.release_manifest import (
    ErrorGate,
    LatencyGate,
    LimitGate,
    PredictionGate,
    Step,
    Tolerance,
)
from release.controller.counting import MINUTE, REVISED_SECONDS
from release.gates import CountedMinute, StepVerdict, judge_step, tally
from release.observation import VariantMinute
from tests.unit.gate_minutes import STEP, drawn, minute, variant

GATES = (
    ErrorGate(),
    LatencyGate(50_000),
    PredictionGate(),
    LimitGate("errors", 0.05),
    LimitGate("p95", 60_000),
)
STEPS = (Step(5, Tolerance(5, 2), 60, 7200), STEP)


@st.composite
def variants(draw: st.DrawFn) -> VariantMinute:
    requests = draw(st.integers(0, 400))
    known = draw(st.booleans())
    return VariantMinute(
        requests,
        draw(st.integers(0, requests + 3)),
        draw(st.none() | st.floats(1000, 90_000)),
        draw(st.integers(0, requests)) if known else None,
        tuple(draw(st.lists(st.integers(0, 50), min_size=4, max_size=4))) if known else None,
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[CountedMinute, ...]:
    count = draw(st.integers(0, 12))
    change = draw(st.integers(0, count))
    return tuple(
        minute(
            at,
            draw(variants()),
            draw(variants()),
            step=int(at >= change),
            share=0.05 if at < change else 0.5,
        )
        for at in range(count)
    )


def judged(minutes: tuple[CountedMinute, ...], index: int) -> StepVerdict:
    return judge_step(index, STEPS[index], GATES, minutes, {}, 4000.0)


def afresh(minutes: tuple[CountedMinute, ...], index: int) -> StepVerdict:
    tally._CACHE.kept.clear()  # pyright: ignore[reportPrivateUsage]
    return judged(minutes, index)


@settings(deadline=None, max_examples=60)
@given(minutes=histories(), looks=st.lists(st.integers(0, 12), max_size=8))
def test_looking_often_changes_no_verdict(
    minutes: tuple[CountedMinute, ...], looks: list[int]
) -> None:
    wanted = afresh(minutes, 1)
    tally._CACHE.kept.clear()  # pyright: ignore[reportPrivateUsage]
    for seen in sorted(looks):
        part = minutes[:seen]
        judged(part, part[-1].step if part else 0)
    assert judged(minutes, 1) == wanted


@settings(deadline=None, max_examples=40)
@given(minutes=histories(), at=st.integers(0, 11), changed=variants())
def test_a_revised_minute_is_judged_as_if_it_had_always_been_so(
    minutes: tuple[CountedMinute, ...], at: int, changed: VariantMinute
) -> None:
    judged(minutes, 1)
    if at >= len(minutes):
        return
    revised = (*minutes[:at], replace(minutes[at], live=changed), *minutes[at + 1 :])
    assert judged(revised, 1) == afresh(revised, 1)


def test_a_state_read_back_is_judged_alike() -> None:
    minutes = drawn(random.Random(1), 8)
    first = judged(minutes, 0)
    copies = tuple(replace(m) for m in minutes)
    assert judged(copies, 0) == first


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The minutes that some tally took in."""
    taken: list[float] = []
    plain = tally.SkewTally.extend

    def extend(self: tally.SkewTally, seen: CountedMinute) -> None:
        taken.append(seen.start)
        plain(self, seen)

    monkeypatch.setattr(tally.SkewTally, "extend", extend)
    return taken


def test_a_look_takes_in_only_what_is_new(counted: list[float]) -> None:
    minutes = drawn(random.Random(2), 30)
    tally._CACHE.kept.clear()  # pyright: ignore[reportPrivateUsage]
    for seen in range(1, 31):
        judged(minutes[:seen], 0)
        judged(minutes[:seen], 0)
    assert counted == [m.start for m in minutes]


def test_a_new_step_keeps_what_was_seen(counted: list[float]) -> None:
    minutes = drawn(random.Random(3), 20)
    tally._CACHE.kept.clear()  # pyright: ignore[reportPrivateUsage]
    judged(minutes, 0)
    judged(minutes, 1)
    judged((*minutes, minute(20, variant(50), variant(50), step=1)), 1)
    assert len(counted) == 21


def test_releases_in_several_threads_do_not_meet() -> None:
    histories = [drawn(random.Random(seed), 25) for seed in range(4)]
    wanted = [afresh(h, 0) for h in histories]
    found: dict[int, StepVerdict] = {}

    def drive(at: int) -> None:
        for seen in range(26):
            found[at] = judged(histories[at][:seen], 0)

    threads = [threading.Thread(target=drive, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(4)] == wanted


def test_only_so_many_tallies_are_kept() -> None:
    for at in range(tally.KEPT + 10):
        judged((minute(1000 + at, variant(5), variant(5)),), 0)
    assert len(tally._CACHE.kept) == tally.KEPT  # pyright: ignore[reportPrivateUsage]


def test_only_minutes_that_may_be_revised_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = drawn(random.Random(4), 300)
    judged(minutes, 0)
    compared: list[float] = []
    plain = CountedMinute.__eq__

    def equal(self: CountedMinute, other: object) -> bool:
        compared.append(self.start)
        return plain(self, other)

    monkeypatch.setattr(CountedMinute, "__eq__", equal)

    judged(tuple(replace(m) for m in minutes), 0)

    assert 0 < len(compared) <= tally.REVISABLE
    assert tally.REVISABLE * MINUTE > REVISED_SECONDS
