"""Every strategy, killed between any two actions: another driver ends it on one good configuration.

A kill is a moment before or after a save, or before or after an action; the state and the cloud are
all that the next driver finds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.release_manifest import BlueGreen, LimitGate, ReleaseManifest, Rolling, Strategy
from release.actions import SetCapacity
from release.driver.lock import this_process
from release.driver.loop import turns
from release.driver.owed import settle
from release.driver.turn import DriverOptions
from release.errors import EndpointError, NothingToReleaseError, RejectedError
from release.evidence.document import ReleaseResult
from release.state import EndpointState, Owner
from tests.unit.fake_cloud import ENDPOINT, Behaviour, FakeCloud, FakeHistory, config_of
from tests.unit.release_strategies import (
    BROKEN,
    FAST,
    STAGED,
    STRATEGIES,
    assert_ended_well,
    cloud_of,
    release,
    staged,
)

OTHER_TYPE = "ml.m7i.xlarge"
CASES = (
    "good",
    "broken",
    "no metrics",
    "never pings",
    "update fails silently",
    "alarm while shifting",
    "alarm after the swap",
    "retyped",
    "retyped and broken",
    "retyped, alarm after the swap",
    "scale-in waits for its chance",
    "surge",
    "target deleted",
    "scaling is not put back",
    "retyped, scaling is not put back",
)
# Live's instances after the surge, and what half of the traffic needs then.
SURGED, HALF = 12, 6


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Killer:
    """Kills the process at some of the moments at which state or cloud change.

    ``unlike``: the moments at which the next driver finds the world at another place than at the
    one before, not only later.
    """

    def __init__(self, moments: list[int], world: Callable[[], Any] = object) -> None:
        self._moments = set(moments)
        self._world = world
        self._last: Any = None
        self.count = 0
        self.unlike: list[int] = []

    def __call__(self, _what: Any) -> None:
        self.count += 1
        world = self._world()
        if world != self._last:
            self.unlike.append(self.count)
        self._last = world
        if self.count in self._moments:
            raise Killed


def in_terminal(cloud: FakeCloud, history: FakeHistory, made: ReleaseManifest) -> ReleaseResult:
    return release(cloud, made, history)


def in_lambda(cloud: FakeCloud, history: FakeHistory, made: ReleaseManifest) -> ReleaseResult:
    """Slices of one execution: the same owner each time."""
    owner = Owner("role/driver", "step functions execution e1", 0, "e1", frozenset())
    for _ in range(2000):
        until = time.monotonic() + 60
        turned = turns(made, cloud, history, owner, until, options=DriverOptions(pace=FAST))
        if turned.result is not None:
            return turned.result
    raise AssertionError("the release does not end")


DRIVERS: dict[str, Callable[..., ReleaseResult]] = {"terminal": in_terminal, "lambda": in_lambda}


def surge(cloud: FakeCloud) -> None:
    """Scaling triples live while the candidate has half of the traffic."""
    candidate = cloud.fleets.get("candidate")
    if candidate is not None and cloud.status == "InService" and candidate.weight == 1.0:
        cloud.set_live(SURGED)


def delete_target(cloud: FakeCloud) -> None:
    """Somebody deletes the target's configuration while the endpoint is updated to it."""
    if cloud.pending is not None and cloud.pending[0] == "wine-test-c2":
        cloud.configs.pop("wine-test-c2", None)


def prepared(case: str, strategy: Strategy) -> tuple[FakeCloud, ReleaseManifest]:
    cloud = cloud_of(tick=45.0)
    made = staged(strategy)
    never = {"wine-test-m2": Behaviour(pings=False)}
    match case:
        case "broken" | "retyped and broken":
            cloud.behaviours = BROKEN
            made = staged(strategy, gates=(*made.release.gates, LimitGate("errors", 0.05)))
        case "no metrics":
            cloud.has_metrics = False
        case "never pings":
            cloud.behaviours = never
        case "update fails silently":
            cloud.failing_updates, cloud.silent_failures = {"wine-test-c2"}, True
        case "alarm while shifting":
            cloud.ringing = lambda n, c: n.endswith("-landed") and c.deployment is not None
        case "alarm after the swap" | "retyped, alarm after the swap":
            cloud.ringing = lambda n, c: n.endswith("-landed") and c.serving == "wine-test-c2"
        case "scale-in waits for its chance":
            cloud.eager_scale_in = True
        case "surge":
            cloud.before_look = surge
        case "target deleted":
            cloud.before_look = delete_target
        case "scaling is not put back" | "retyped, scaling is not put back":
            cloud.is_scaling_stuck = True
        case _:
            pass
    if case.startswith("retyped"):
        config = config_of("2")
        variant = config.production()[0] | {"InstanceType": OTHER_TYPE}
        body = config.body | {"ProductionVariants": [variant]}
        cloud.configs[config.name] = replace(config, body=body)
    return cloud, made


def world_of(cloud: FakeCloud, history: FakeHistory) -> tuple[Any, ...]:
    """Where a release and its endpoint stand."""
    state = history.shared.get("state")
    running = None if state is None else state.current
    place = () if running is None else (running.stage, running.issued, running.pending)
    story = 0 if running is None else len(running.log)
    part = None if cloud.deployment is None else cloud.deployment.part_at(cloud.now)
    return (*place, story, cloud.status, cloud.serving, len(cloud.executed), part)


def run_until_it_ends(
    cloud: FakeCloud, made: ReleaseManifest, moments: list[int], drivers: list[str]
) -> tuple[ReleaseResult, FakeHistory, list[int]]:
    history = FakeHistory()
    killer = Killer(moments, lambda: world_of(cloud, history))
    cloud.before_execute = cloud.after_execute = killer
    turn = 0
    while True:
        history = history.other_process()
        history.before_save = history.after_save = killer
        drive = DRIVERS[drivers[turn % len(drivers)]]
        turn += 1
        try:
            return drive(cloud, history, made), history, killer.unlike
        except Killed:
            # Whoever held it is gone; on another machine its lease would have to run out first.
            expire(history)
        except (NothingToReleaseError, RejectedError, EndpointError):
            # Killed after the end was written: the next command finds it ended.
            return told(history), history, killer.unlike


def settled(cloud: FakeCloud, history: FakeHistory) -> EndpointState:
    here = this_process("tester", "t", frozenset())
    return settle(ENDPOINT, cloud, history, history.load(), here, 60.0)


def expire(history: FakeHistory) -> None:
    state = history.shared.get("state")
    if state is not None and state.lock is not None:
        lock = replace(state.lock, expires_at=0.0)
        history.shared["state"] = replace(state, lock=lock)


def told(history: FakeHistory) -> ReleaseResult:
    found = json.loads(history.evidence[history.load().releases[-1]])
    names = ReleaseResult.__dataclass_fields__
    return ReleaseResult(**{k: v for k, v in found.items() if k in names})


def expected(case: str, name: str) -> set[str]:
    """The outcomes that a release may end with."""
    strategy = STRATEGIES[name]
    first = name.split(",", maxsplit=1)[0]
    ends_compared = first == "shadow" and name == "shadow"
    is_guarded = any(isinstance(p, BlueGreen | Rolling) for p in staged(strategy).release.phases)
    good = {"compared"} if ends_compared else {"promoted"}
    match case:
        case "good" | "retyped" | "scale-in waits for its chance" | "surge":
            return good
        case "scaling is not put back" | "retyped, scaling is not put back":
            return good
        case "no metrics":
            return {"inconclusive"}
        case "target deleted":
            return good if ends_compared else {"inconclusive"}
        case "update fails silently" if ends_compared:
            return good
        case "alarm while shifting" if not is_guarded:
            return good
        case "alarm after the swap" | "retyped, alarm after the swap" if ends_compared:
            return good
        case _:
            return {"rolled_back"}


def assert_it_ended_well(
    cloud: FakeCloud, history: FakeHistory, result: ReleaseResult, case: str, name: str, kills: int
) -> None:
    allowed = expected(case, name)
    if kills:
        # A driver that dies while it shifts may not see why SageMaker went back, or that a
        # comparison ended; it is never promoted unseen.
        allowed = allowed | {"inconclusive"}
    assert result.outcome in allowed, result.reason
    serving = "wine-test-c2" if result.outcome == "promoted" else "wine-test-c1"
    bakes_half = case == "surge" and name.endswith("canary") and "blue" not in name
    has_surged = bakes_half and cloud.fleets["live"].count == SURGED
    if cloud.is_scaling_stuck:
        assert history.other_process().load().owed_scaling is not None
        cloud.is_scaling_stuck = False
        assert settled(cloud, history.other_process()).owed_scaling is None
    is_gone = case == "target deleted" and result.outcome == "inconclusive"
    configs = {"wine-test-c1"} if is_gone else STAGED
    assert_ended_well(cloud, serving, SURGED if has_surged else 4, configs)
    if bakes_half and result.outcome == "promoted":
        assert SetCapacity("candidate", HALF) in cloud.executed
    state = history.other_process().load()
    assert (state.current, state.lock) == (None, None)
    # Killed after it ended inconclusive, the next command may begin another one.
    assert len(state.releases) >= 1
    assert state.good[0].version == ("2" if result.outcome == "promoted" else "1")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_it_ends_as_it_must_without_a_kill(name: str, case: str) -> None:
    cloud, made = prepared(case, STRATEGIES[name])
    result, history, _ = run_until_it_ends(cloud, made, [], ["terminal"])
    assert_it_ended_well(cloud, history, result, case, name, 0)


@pytest.mark.parametrize(
    ("name", "case"),
    [*((name, "good") for name in STRATEGIES), ("all at once", "retyped"), ("canary", "retyped")],
)
def test_killed_once_at_each_moment_of_a_good_release(name: str, case: str) -> None:
    cloud, made = prepared(case, STRATEGIES[name])
    _, _, moments = run_until_it_ends(cloud, made, [], ["terminal"])
    for index, moment in enumerate(moments):
        cloud, made = prepared(case, STRATEGIES[name])
        drivers = ["terminal", "lambda"] if index % 2 else ["lambda", "terminal"]
        result, history, _ = run_until_it_ends(cloud, made, [moment], drivers)
        assert_it_ended_well(cloud, history, result, case, name, 1)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    moments=st.lists(st.integers(1, 90), min_size=1, max_size=8, unique=True),
    case=st.sampled_from(CASES),
    drivers=st.lists(st.sampled_from(["terminal", "lambda"]), min_size=1, max_size=3),
)
def test_killed_anywhere_it_ends_on_exactly_one_good_configuration(
    name: str, moments: list[int], case: str, drivers: list[str]
) -> None:
    cloud, made = prepared(case, STRATEGIES[name])
    result, history, _ = run_until_it_ends(cloud, made, moments, drivers)
    assert_it_ended_well(cloud, history, result, case, name, len(moments))
