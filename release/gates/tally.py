"""Sums over minutes that are extended, not recomputed: a look costs only what is new.

A tally is a function of the minutes alone. The last ones are kept with the tuple of minutes that
they have seen; where the new tuple begins with it they take in the rest, and where a minute was
revised, or the state comes from another process, they are made again. So the cache never shows in
an answer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from contracts.release_manifest import Gate, Step
from release.gates.judges import Judge
from release.gates.skew import SkewTally
from release.gates.verdicts import CountedMinute

KEPT = 64
# Minutes at the end that may be revised or come late; none before them ever changes, so that a look
# at a bake of days compares no more than these.
REVISABLE = 64
Key = tuple[tuple[Gate, ...], float | None]


class Tally:
    """What all statistical gates of a release know after the minutes so far."""

    def __init__(self, judges: tuple[Judge | None, ...], index: int, step: Step) -> None:
        self.judges = judges
        self.skew = SkewTally(index)
        self.index, self.step = index, step
        self.minutes: tuple[CountedMinute, ...] = ()
        self._steps: set[int] = set()

    def can_aim(self, index: int, step: Step, minutes: tuple[CountedMinute, ...]) -> bool:
        """Whether this tally can go on to ``minutes`` and to a step of which it saw nothing."""
        is_step = (index, step) == (self.index, self.step) or index not in self._steps
        seen = len(self.minutes)
        tail = slice(max(0, seen - REVISABLE), seen)
        return is_step and len(minutes) >= seen and minutes[tail] == self.minutes[tail]

    def aim(self, index: int, step: Step) -> None:
        """Judge this step from now on: its own evidence to pass, the release's to fail."""
        if (index, step) == (self.index, self.step):
            return
        self.index, self.step = index, step
        self.skew = SkewTally(index)
        for judge in self.judges:
            if judge is not None:
                judge.aim(index, step)

    def take(self, minutes: tuple[CountedMinute, ...]) -> None:
        for minute in minutes[len(self.minutes) :]:
            self._steps.add(minute.step)
            self.skew.extend(minute)
            for judge in self.judges:
                if judge is not None:
                    judge.extend(minute)
        self.minutes = minutes


class _Cache(threading.local):
    """One for each thread: a tally is changed in place."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Key, Tally] = OrderedDict()


_CACHE = _Cache()


def tallied(
    gates: tuple[Gate, ...],
    index: int,
    step: Step,
    minutes: tuple[CountedMinute, ...],
    make: Callable[[Gate, int, Step], Judge | None],
) -> Tally:
    """The tally of these gates after all ``minutes``, aimed at ``step``."""
    key = (gates, minutes[0].start if minutes else None)
    tally = _CACHE.kept.pop(key, None)
    if tally is None or not tally.can_aim(index, step, minutes):
        tally = Tally(tuple(make(gate, index, step) for gate in gates), index, step)
    tally.aim(index, step)
    tally.take(minutes)
    _CACHE.kept[key] = tally
    while len(_CACHE.kept) > KEPT:
        _CACHE.kept.popitem(last=False)
    return tally


def forget() -> None:
    """Begin as a new process does."""
    _CACHE.kept.clear()
