"""Sums over minutes that are extended, not recomputed: a look costs only what is new.

A tally is a function of the minutes alone. The last ones are kept with the tuple of minutes that
they have seen; where the new tuple begins with it they take in the rest, and where a minute was
revised, or the state comes from another process, they are made again. So the cache never shows in
an answer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

from release.gates.verdicts import CountedMinute

KEPT = 64


class Tally(Protocol):
    def extend(self, minute: CountedMinute) -> None: ...


T = TypeVar("T", bound=Tally)


class _Cache(threading.local):
    """One for each thread: a tally is changed in place."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Hashable, tuple[tuple[CountedMinute, ...], Any]] = OrderedDict()


_CACHE = _Cache()


def tallied(key: Hashable, make: Callable[[], T], minutes: tuple[CountedMinute, ...]) -> T:
    """What ``make`` becomes after all ``minutes``; ``key`` tells all that ``make`` depends on."""
    whole = (key, minutes[0].start if minutes else None)
    found = _CACHE.kept.pop(whole, None)
    if found is not None and minutes[: len(found[0])] == found[0]:
        tally = found[1]
        unseen = minutes[len(found[0]) :]
    else:
        tally, unseen = make(), minutes
    for minute in unseen:
        tally.extend(minute)
    _CACHE.kept[whole] = (minutes, tally)
    while len(_CACHE.kept) > KEPT:
        _CACHE.kept.popitem(last=False)
    return tally
