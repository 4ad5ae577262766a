"""The script of a deployment: what happens to its two fleets, step by step. Pure.

Blue is the fleet that served before, green the new one. Every count is by variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.sagemaker.policies import AllAtOnce, Canary, Linear, Policy, Rolling, Size

Counts = Mapping[str, int]
WAIT, TERMINATION_WAIT = "WaitIntervalInSeconds", "TerminationWaitInSeconds"


@dataclass(frozen=True)
class Provision:
    """So many more green instances start; traffic stays as it is."""

    counts: Counts


@dataclass(frozen=True)
class Shift:
    """``green`` of ``total`` instances take traffic, and as large a share of it is theirs.

    ``blue`` is how many of the old instances still take the rest.
    """

    green: Counts
    total: Counts
    blue: Counts

    @property
    def is_full(self) -> bool:
        return dict(self.green) == dict(self.total)

    def share(self, variant: str) -> float:
        return self.green[variant] / self.total[variant]


@dataclass(frozen=True)
class Bake:
    """Traffic stays as it is while alarms are watched; ``wait`` is the field that asks for it."""

    seconds: int
    wait: str
    capacity: Counts
    is_full: bool


@dataclass(frozen=True)
class Retire:
    """So many blue instances end; no traffic leads to them."""

    counts: Counts


@dataclass(frozen=True)
class Restore:
    """In a rollback: so many more blue instances start."""

    counts: Counts


@dataclass(frozen=True)
class Drop:
    """In a rollback: so many green instances end, after traffic left them."""

    counts: Counts


Step = Provision | Shift | Bake | Retire
BackStep = Restore | Shift | Drop


def script(policy: Policy, blue: Counts, green: Counts) -> tuple[Step, ...]:
    """What a deployment does when nothing goes wrong (fact sheet 3.3)."""
    match policy:
        case AllAtOnce(termination_wait=last):
            return _blue_green((), 0, last, blue, green)
        case Canary(size=size, wait=wait, termination_wait=last):
            first = {name: size.of_fleet(count) for name, count in green.items()}
            # The old fleet stays whole beside a canary; it only gets the rest of the traffic.
            return _blue_green(((first, blue),), wait, last, blue, green)
        case Linear(step=size, wait=wait, termination_wait=last):
            steps = [(taken, _left(blue, taken, green)) for taken in _ladder(size, green)[:-1]]
            return _blue_green(tuple(steps), wait, last, blue, green)
        case Rolling():
            return _rolling(policy, blue, green)


def total_wait(steps: tuple[Step, ...]) -> int:
    """Seconds that the script bakes; what MaximumExecutionTimeout must exceed."""
    return sum(step.seconds for step in steps if isinstance(step, Bake))


def way_back(
    policy: Policy, blue_left: Counts, blue: Counts, green_up: Counts, green: Counts
) -> tuple[BackStep, ...]:
    """From ``blue_left`` old and ``green_up`` new instances to the old fleet alone.

    A fleet that was never touched takes everything at once. What a rolling update has taken away
    comes back in batches of RollbackMaximumBatchSize, without a bake (whether AWS bakes while it
    rolls back is not known).
    """
    missing = {name: count - blue_left.get(name, 0) for name, count in blue.items()}
    if not any(missing.values()):
        return (Shift(dict.fromkeys(green, 0), green, blue), Drop(green_up))
    size = policy.rollback if isinstance(policy, Rolling) else None
    ladder = [blue] if size is None else _ladder(size, blue)
    steps: list[BackStep] = []
    there, up = dict(blue_left), dict(green_up)
    for goal in ladder:
        target = {name: max(there.get(name, 0), goal[name]) for name in blue}
        if target == there:
            continue
        left = _left(green, target, blue)
        after = {name: min(up[name], left[name]) for name in up}
        steps.append(Restore(_minus(target, there)))
        steps.append(Shift(after, green, target))
        steps.append(Drop(_minus(up, after)))
        there, up = target, after
    return tuple(steps)


def _blue_green(
    partial: tuple[tuple[Counts, Counts], ...],
    wait: int,
    last: int,
    blue: Counts,
    green: Counts,
) -> tuple[Step, ...]:
    """``partial``: the shifts before the last one, as (green, blue) that take traffic.

    Whether AWS also bakes WaitInterval after the last step is not known; here the final bake is
    TerminationWait alone.
    """
    steps: list[Step] = [Provision(green)]
    for taken, left in partial:
        steps += [Shift(taken, green, left), Bake(wait, WAIT, taken, False)]
    steps.append(Shift(green, green, dict.fromkeys(blue, 0)))
    steps += [Bake(last, TERMINATION_WAIT, green, True), Retire(blue)]
    return tuple(steps)


def _rolling(policy: Rolling, blue: Counts, green: Counts) -> tuple[Step, ...]:
    steps: list[Step] = []
    up: Counts = dict.fromkeys(green, 0)
    left = blue
    for goal in _ladder(policy.batch, green):
        after = _left(blue, goal, green)
        is_full = goal == dict(green)
        steps += [
            Provision(_minus(goal, up)),
            Shift(goal, green, after),
            Bake(policy.wait, WAIT, goal, is_full),
            Retire(_minus(left, after)),
        ]
        up, left = goal, after
    return tuple(steps)


def _ladder(size: Size, total: Counts) -> list[dict[str, int]]:
    """Cumulated counts, by steps of ``size`` in each variant, until all have their total."""
    steps = {name: size.of_fleet(count) for name, count in total.items()}
    rungs: list[dict[str, int]] = []
    reached = dict.fromkeys(total, 0)
    while reached != dict(total):
        reached = {name: min(total[name], reached[name] + steps[name]) for name in total}
        rungs.append(reached)
    return rungs


def _left(old: Counts, taken: Counts, total: Counts) -> dict[str, int]:
    """How many of ``old`` stay when ``taken`` of ``total`` have come; at least one until the end.

    A variant that is not among the new ones stays until the end.
    """
    if dict(taken) == dict(total):
        return dict.fromkeys(old, 0)
    return {
        name: count
        if name not in total
        else 0
        if taken[name] == total[name]
        else max(1, count - count * taken[name] // total[name])
        for name, count in old.items()
    }


def _minus(more: Counts, less: Counts) -> dict[str, int]:
    return {name: count - less.get(name, 0) for name, count in more.items()}
