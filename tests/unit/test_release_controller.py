"""The release controller against a strict endpoint in memory: every end, and every kill."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.release_manifest import Canary, ReleaseManifest, Shadow, Step, Tolerance
from release.actions import (
    Action,
    CreateConfig,
    DeleteConfig,
    PutAlarm,
    SetCapacity,
    SetScaling,
    SetWeights,
    UpdateEndpoint,
)
from release.driver.lock import process_is_alive
from release.driver.run import Event, Pace, run, run_rollback
from release.errors import (
    EndpointError,
    InterruptedReleaseError,
    LockedError,
    NothingToReleaseError,
    RejectedError,
    VersionError,
)
from release.evidence.document import ReleaseResult
from release.observation import MISSING
from tests.unit.fake_cloud import (
    ENDPOINT,
    NOT_SUSPENDED,
    Behaviour,
    FakeCloud,
    FakeHistory,
    config_of,
    manifest,
)

FAST = Pace(poll_seconds=0.0, lease_seconds=60.0, give_up_seconds=5.0)
BROKEN = {"wine-test-m2": Behaviour(error_rate=0.3)}


def release(
    cloud: FakeCloud,
    history: FakeHistory | None = None,
    staged: ReleaseManifest | None = None,
    **options: Any,
) -> ReleaseResult:
    return run(
        staged or manifest(),
        cloud=cloud,
        history=history or FakeHistory(),
        pace=FAST,
        **options,
    )


def assert_nothing_is_left(cloud: FakeCloud) -> None:
    assert set(cloud.configs) == {"wine-test-c1", "wine-test-c2"}
    assert cloud.alarm_names == {}
    assert cloud.suspension in (None, NOT_SUSPENDED)
    assert set(cloud.fleets) == {"live"}
    assert cloud.status == "InService"


# --- the ends


def test_a_good_candidate_is_promoted_and_lands() -> None:
    cloud, history = FakeCloud(), FakeHistory()
    result = release(cloud, history)
    assert (result.outcome, result.exit_code) == ("promoted", 0)
    assert [(s.weight, s.verdict) for s in result.steps] == [(10, "pass"), (50, "pass")]
    assert cloud.serving == "wine-test-c2"
    assert_nothing_is_left(cloud)
    state = history.load()
    assert [g.version for g in state.good] == ["2", "1"]
    assert (state.lock, state.current, state.releases) == (None, None, (result.id,))


def test_a_broken_candidate_goes_to_weight_zero_first_and_then_back() -> None:
    cloud, history = FakeCloud(behaviours=BROKEN), FakeHistory()
    result = release(cloud, history)
    assert (result.outcome, result.exit_code) == ("rolled_back", 2)
    assert "failed at 10 %: errors" in result.reason
    assert "against 0 %, e = " in result.reason
    moves = [a for a in cloud.executed if isinstance(a, SetWeights | UpdateEndpoint)]
    assert moves[-2:] == [
        SetWeights({"candidate": 0.0}),
        UpdateEndpoint("wine-test-c1", exclude_weights=True),
    ]
    assert cloud.serving == "wine-test-c1"
    assert result.candidate_errors > 0
    assert result.seconds_from_first_error_to_zero_weight is not None
    assert_nothing_is_left(cloud)
    assert history.load().rejected == ("hash-2",)


def test_a_slow_candidate_is_rolled_back_by_its_slow_answers() -> None:
    slow = {"wine-test-m2": Behaviour(p95_us=90_000)}
    result = release(FakeCloud(behaviours=slow))
    assert result.outcome == "rolled_back"
    assert "failed at 10 %: slower than 50 ms: 100 % against 0 %" in result.reason


def test_where_cloudwatch_does_not_count_slow_answers_the_percentile_decides() -> None:
    slow = {"wine-test-m2": Behaviour(p95_us=90_000)}
    result = release(FakeCloud(behaviours=slow, counts_slow=False))
    assert result.outcome == "rolled_back"
    assert "too slow in 3 of 3 minutes (limit 50 ms or ×1.25)" in result.reason


def test_an_alarm_rolls_back() -> None:
    result = release(FakeCloud(ringing=lambda name, _cloud: name.endswith("-candidate")))
    assert result.outcome == "rolled_back"
    assert f"alarm {result.id}-errors-candidate" in result.reason


def test_an_alarm_after_the_swap_still_goes_back() -> None:
    cloud = FakeCloud(ringing=lambda n, c: n.endswith("-landed") and c.serving == "wine-test-c2")
    result = release(cloud)
    assert result.outcome == "rolled_back"
    assert re.search("errors-landed (at|after) the swap", result.reason)
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)


def test_without_metrics_the_step_holds_and_the_release_ends_inconclusive() -> None:
    cloud, history = FakeCloud(has_metrics=False), FakeHistory()
    result = release(cloud, history)
    assert (result.outcome, result.exit_code) == ("inconclusive", 3)
    assert "no verdict within the longest bake at 10 %" in result.reason
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)
    assert history.load().rejected == ()


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_candidate_that_never_pings_ends_rolled_back(is_silent: bool) -> None:
    cloud = FakeCloud(
        behaviours={"wine-test-m2": Behaviour(pings=False)}, silent_failures=is_silent
    )
    result = release(cloud)
    assert result.outcome == "rolled_back"
    wanted = "AWS gave no reason" if is_silent else "did not pass the ping check"
    assert wanted in result.reason
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)


def test_a_swap_that_fails_silently_is_not_promoted() -> None:
    cloud = FakeCloud(failing_updates={"wine-test-c2"}, silent_failures=True)
    result = release(cloud)
    assert result.outcome == "rolled_back"
    assert "the update to wine-test-c2 failed: AWS gave no reason" in result.reason
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)


# --- how it gets there


def test_capacity_comes_before_weight_and_the_share_is_exact() -> None:
    cloud = FakeCloud()
    cloud.fleets["live"].count = cloud.fleets["live"].wanted_count = 6
    cloud.fleets["live"].weight = cloud.fleets["live"].wanted_weight = 2.0
    release(cloud)
    steps = [a for a in cloud.executed if isinstance(a, SetCapacity | SetWeights)]
    assert steps == [
        SetWeights({"live": 2.0, "candidate": pytest.approx(2.0 / 9)}),
        SetCapacity("candidate", 3),
        SetWeights({"live": 2.0, "candidate": pytest.approx(2.0)}),
    ]
    assert cloud.fleets["live"].count == 6
    assert cloud.fleets["live"].weight == 1.0


def test_the_transition_holds_live_as_it_is_and_the_candidate_at_weight_zero() -> None:
    cloud = FakeCloud()
    cloud.fleets["live"].count = cloud.fleets["live"].wanted_count = 25
    release(cloud)
    made = next(a for a in cloud.executed if isinstance(a, CreateConfig))
    live, candidate = made.body["ProductionVariants"]
    assert (live["ModelName"], live["InitialInstanceCount"]) == ("wine-test-m1", 25)
    assert candidate["ModelName"] == "wine-test-m2"
    assert (candidate["InitialVariantWeight"], candidate["InitialInstanceCount"]) == (0.0, 3)
    assert made.tags["slipway:stack"] == "test"
    assert "slipway:hash" not in made.tags


def test_live_that_somebody_left_at_weight_zero_is_given_one() -> None:
    cloud = FakeCloud()
    cloud.fleets["live"].weight = cloud.fleets["live"].wanted_weight = 0.0
    assert release(cloud).outcome == "promoted"
    assert cloud.fleets["live"].weight == 1.0


def test_scale_in_is_suspended_before_the_first_step_and_resumed_at_the_end() -> None:
    cloud = FakeCloud()
    release(cloud)
    kinds = [type(a) for a in cloud.executed]
    scaling = [a for a in cloud.executed if isinstance(a, SetScaling)]
    assert scaling[0].suspended["DynamicScalingInSuspended"] is True
    assert scaling[-1].suspended == NOT_SUSPENDED
    assert kinds.index(SetScaling) < kinds.index(UpdateEndpoint)


def test_alarms_name_the_configuration_that_they_watch() -> None:
    cloud = FakeCloud()
    result = release(cloud)
    alarms = [a for a in cloud.executed if isinstance(a, PutAlarm)]
    made = next(a for a in cloud.executed if isinstance(a, CreateConfig))
    assert [(a.name, a.variant, a.config) for a in alarms] == [
        (f"{result.id}-errors-candidate", "candidate", made.name),
        (f"{result.id}-errors-landed", "live", "wine-test-c2"),
    ]


def test_live_gets_the_instances_that_carry_grown_traffic_before_the_swap() -> None:
    cloud = FakeCloud()

    def grow(seen: FakeCloud) -> None:
        share = seen.fleets.get("candidate")
        seen.rate = 150.0 if share is not None and share.weight == 1.0 else 50.0

    cloud.before_look = grow
    release(cloud)
    assert cloud.fleets["live"].count == 6


ONE_STEP = (Step(50, Tolerance(2, 2), 2700, 3600),)


@pytest.mark.parametrize(
    "strategy", [Canary(ONE_STEP), Shadow(100, Tolerance(5, 5), 120, 3600, 0.05, Canary(ONE_STEP))]
)
def test_growth_shows_within_one_step_and_beside_the_copies_of_a_shadow(
    strategy: Canary | Shadow,
) -> None:
    cloud = FakeCloud()
    shared = list[float]()

    def grow(seen: FakeCloud) -> None:
        share = seen.fleets.get("candidate")
        if share is not None and share.weight == 1.0:
            shared.append(seen.now)
            seen.rate = 50.0 if seen.now - shared[0] < 1800 else 150.0

    cloud.before_look = grow
    assert release(cloud, staged=manifest(strategy=strategy)).outcome == "promoted"
    assert cloud.fleets["live"].count == 6


def test_the_evidence_tells_who_what_and_why() -> None:
    cloud, history = FakeCloud(behaviours=BROKEN), FakeHistory()
    result = release(cloud, history)
    told = json.loads(history.evidence[result.id])
    assert told["started_by"] == "arn:aws:iam::123456789012:user/tester"
    assert (told["from_version"], told["to_version"]) == ("1", "2")
    assert (told["config_before"], told["config_after"]) == ("wine-test-c1", "wine-test-c1")
    assert {row["weight"] for row in told["timeline"]} >= {0.0, 10.0}
    assert told["verdicts"][0]["verdict"] == "fail"


def test_events_stream_the_story_to_an_observer() -> None:
    events: list[Event] = []
    release(FakeCloud(), observer=events.append)
    kinds = [e.kind for e in events if e.kind not in ("progress", "action", "minute")]
    assert kinds[:2] == ["started", "planned"]
    # Without traffic only the longest is known.
    assert re.fullmatch(r"at most \d+ min", events[1].text)
    assert kinds[2:] == ["entered", "weight", "step", "weight", "step", "landed", "ended"]
    step = next(e for e in events if e.kind == "step")
    assert step.data["candidate"]["requests"] > 0
    assert any(e.kind == "minute" for e in events)


# --- someone else


def test_an_update_by_someone_else_is_left_alone() -> None:
    cloud = FakeCloud()
    cloud.configs["theirs"] = replace(config_of("9"), name="theirs")

    def meddle(seen: FakeCloud) -> None:
        candidate = seen.fleets.get("candidate")
        if candidate is not None and candidate.weight > 0 and seen.status == "InService":
            seen.execute(ENDPOINT, UpdateEndpoint("theirs", exclude_weights=False))

    cloud.before_look = meddle
    result = release(cloud)
    assert result.outcome == "inconclusive"
    assert "changed by someone else" in result.reason
    assert "updating to theirs" in result.reason
    assert "nothing more was changed" in result.reason
    theirs = cloud.executed.index(UpdateEndpoint("theirs", exclude_weights=False))
    touching = (UpdateEndpoint, SetWeights, SetCapacity)
    assert not [a for a in cloud.executed[theirs + 1 :] if isinstance(a, touching)]
    assert cloud.alarm_names == {}
    assert cloud.suspension == NOT_SUSPENDED


@pytest.mark.parametrize(
    ("trail", "who"),
    [
        (
            ["arn:aws:iam::1:user/bob (UpdateEndpoint at 12:00:00 UTC)"],
            "by arn:aws:iam::1:user/bob (Upd",
        ),
        ([""], "by whom is not known (CloudTrail may tell it some minutes later)"),
        ([], "by whom is not known (CloudTrail may tell it some minutes later)"),
    ],
)
def test_weights_changed_by_someone_else_end_the_release(trail: list[str], who: str) -> None:
    cloud = FakeCloud(trail=trail)

    def meddle(seen: FakeCloud) -> None:
        candidate = seen.fleets.get("candidate")
        if candidate is not None and candidate.weight == 1.0:
            candidate.weight = candidate.wanted_weight = 3.0

    cloud.before_look = meddle
    result = release(cloud)
    assert result.outcome == "inconclusive"
    assert "expected weights live 1, candidate 1, found" in result.reason
    assert f"candidate 3; {who}" in result.reason


def test_an_endpoint_deleted_under_the_release_ends_it() -> None:
    cloud = FakeCloud()

    def delete(seen: FakeCloud) -> None:
        if "candidate" in seen.fleets:
            seen.status = MISSING

    cloud.before_look = delete
    result = release(cloud)
    assert result.outcome == "inconclusive"
    assert "found status Missing with configuration none" in result.reason


# --- what cannot begin


def test_an_endpoint_that_failed_is_not_said_to_be_changed_by_someone_else() -> None:
    cloud = FakeCloud()

    def fail(seen: FakeCloud) -> None:
        if seen.pending is not None:
            seen.pending, seen.status, seen.failure_reason = None, "Failed", "the role is gone"

    cloud.before_look = fail
    result = release(cloud)
    assert result.outcome == "inconclusive"
    assert result.reason.startswith("the endpoint failed (the role is gone): expected an update")
    assert "by whom" not in result.reason


def test_an_endpoint_that_does_not_exist() -> None:
    with pytest.raises(EndpointError, match=r"wine-test does not exist; `slipway up` makes it"):
        release(FakeCloud(status=MISSING))


def test_an_endpoint_that_is_busy() -> None:
    cloud = FakeCloud(status="Updating")
    cloud.busy_until = 1e12
    with pytest.raises(EndpointError, match=r"is Updating; a release starts from InService"):
        release(cloud)
    assert cloud.executed == []


def test_nothing_new_to_release() -> None:
    cloud = FakeCloud(serving="wine-test-c2")
    with pytest.raises(NothingToReleaseError, match=r"already serves version 2 \(hash-2…\)"):
        release(cloud)
    assert cloud.executed == []


def test_a_target_configuration_that_is_gone() -> None:
    cloud = FakeCloud()
    del cloud.configs["wine-test-c2"]
    with pytest.raises(EndpointError, match=r"configuration wine-test-c2 .* does not exist"):
        release(cloud)


@pytest.mark.parametrize("change", ["model", "hash"])
def test_a_target_configuration_of_other_content_is_refused(change: str) -> None:
    cloud, other = FakeCloud(), config_of("3")
    mine = cloud.configs["wine-test-c2"]
    cloud.configs["wine-test-c2"] = (
        replace(mine, body=other.body) if change == "model" else replace(mine, tags=other.tags)
    )
    wanted = r"wine-test-c2 serves wine-test-m\d \(content hash-\d\), and version 2 is wine-test-m2"
    with pytest.raises(EndpointError, match=wanted):
        release(cloud)
    assert cloud.executed == []


def test_a_rejected_version_needs_retry() -> None:
    cloud, history = FakeCloud(behaviours=BROKEN), FakeHistory()
    release(cloud, history)
    cloud.behaviours = {}
    with pytest.raises(RejectedError, match=r"was rolled back before; .* with --retry"):
        release(cloud, history)
    assert release(cloud, history, retry=True).outcome == "promoted"
    assert history.load().rejected == ()


def test_more_than_one_variant_is_told() -> None:
    cloud = FakeCloud()
    cloud.fleets["other"] = replace(cloud.fleets["live"])
    with pytest.raises(EndpointError, match=r"has the variants live, other; a release starts"):
        release(cloud)


# --- interruptions


def test_an_interrupted_release_waits_and_is_continued_with_its_own_manifest() -> None:
    cloud, history, stop = FakeCloud(), FakeHistory(), threading.Event()

    def interrupt(event: Event) -> None:
        if event.kind == "weight":
            stop.set()

    with pytest.raises(InterruptedReleaseError, match="run the same command again") as caught:
        release(cloud, history, observer=interrupt, stop=stop)
    assert caught.value.exit_code == 130
    state = history.load()
    assert state.lock is None
    assert state.current is not None
    cloud.configs["wine-test-c3"] = config_of("3")
    result = release(cloud, history, manifest("3"))
    assert (result.id, result.to_version) == (state.current.id, "2")
    assert cloud.serving == "wine-test-c2"


def test_a_second_release_is_refused_while_one_runs() -> None:
    cloud, history = FakeCloud(), FakeHistory()
    refused: list[str] = []

    def second(event: Event) -> None:
        if event.kind == "weight":
            with pytest.raises(LockedError) as caught:
                release(FakeCloud(), history.other_process())
            refused.append(str(caught.value))

    assert release(cloud, history, observer=second).outcome == "promoted"
    assert len(refused) == 2
    assert "is running, by arn:aws:iam::123456789012:user/tester on" in refused[0]
    assert "wait for its end or stop that process" in refused[0]


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Killer:
    """Kills the process at some of the moments at which state or cloud change."""

    def __init__(self, moments: list[int]) -> None:
        self._moments = set(moments)
        self._count = 0

    def __call__(self, _what: Any) -> None:
        self._count += 1
        if self._count in self._moments:
            raise Killed


def run_until_it_ends(cloud: FakeCloud, history: FakeHistory, moments: list[int]) -> ReleaseResult:
    killer = Killer(moments)
    cloud.before_execute = cloud.after_execute = killer
    while True:
        history = history.other_process()
        history.before_save = history.after_save = killer
        try:
            return release(cloud, history)
        except Killed:
            continue
        except NothingToReleaseError:
            # Killed after the end was written: the next command finds it promoted.
            return _told(history)
        except RejectedError:
            return _told(history)


def _told(history: FakeHistory) -> ReleaseResult:
    told = json.loads(history.evidence[history.load().releases[-1]])
    names = ReleaseResult.__dataclass_fields__
    return ReleaseResult(**{k: v for k, v in told.items() if k in names})


@settings(max_examples=60, deadline=None)
@given(
    moments=st.lists(st.integers(1, 60), max_size=8),
    case=st.sampled_from(["good", "broken", "never pings", "swap fails", "alarm after swap"]),
)
def test_killed_anywhere_the_endpoint_ends_on_exactly_one_good_configuration(
    moments: list[int], case: str
) -> None:
    cloud, history = FakeCloud(tick=45.0), FakeHistory()
    if case == "broken":
        cloud.behaviours = BROKEN
    elif case == "never pings":
        cloud.behaviours = {"wine-test-m2": Behaviour(pings=False)}
    elif case == "swap fails":
        cloud.failing_updates = {"wine-test-c2"}
    elif case == "alarm after swap":
        cloud.ringing = lambda n, c: n.endswith("-landed") and c.serving == "wine-test-c2"
    result = run_until_it_ends(cloud, history, moments)
    assert result.outcome == ("promoted" if case == "good" else "rolled_back")
    assert cloud.serving == ("wine-test-c2" if case == "good" else "wine-test-c1")
    assert_nothing_is_left(cloud)
    state = history.other_process().load()
    assert (state.current, state.lock) == (None, None)
    assert len(state.releases) == 1


def test_a_release_whose_state_was_taken_over_stops_at_once() -> None:
    cloud, history = FakeCloud(), FakeHistory()

    def take_over(event: Event) -> None:
        if event.kind == "weight":
            other = history.other_process()
            other.save(replace(other.load(), lock=None))

    with pytest.raises(LockedError, match="another process has taken over"):
        release(cloud, history, observer=take_over)


# --- rollback by hand


def test_rollback_goes_to_the_previous_good_version_and_rejects_the_one_it_leaves() -> None:
    cloud, history = FakeCloud(), FakeHistory()
    release(cloud, history)
    result = run_rollback(manifest(), cloud=cloud, history=history, pace=FAST)
    assert (result.outcome, result.from_version, result.to_version) == ("rolled_back", "2", "1")
    assert cloud.serving == "wine-test-c1"
    state = history.load()
    assert [g.version for g in state.good] == ["1"]
    assert state.rejected == ("hash-2",)
    assert result.id in history.evidence


def test_rollback_to_a_version_that_is_not_kept_names_those_that_are() -> None:
    cloud, history = FakeCloud(), FakeHistory()
    release(cloud, history)
    with pytest.raises(VersionError, match=r"version 7 is not among .* that are kept \(1\)"):
        run_rollback(manifest(), to="7", cloud=cloud, history=history, pace=FAST)


def test_rollback_without_history() -> None:
    with pytest.raises(VersionError, match="has no good version before this one to go back to"):
        run_rollback(manifest(), cloud=FakeCloud(), history=FakeHistory(), pace=FAST)


def test_rollback_undoes_a_release_that_was_stopped() -> None:
    cloud, history, stop = FakeCloud(), FakeHistory(), threading.Event()

    def interrupt(event: Event) -> None:
        if event.kind == "weight":
            stop.set()

    with pytest.raises(InterruptedReleaseError):
        release(cloud, history, observer=interrupt, stop=stop)
    result = run_rollback(manifest(), cloud=cloud, history=history, pace=FAST)
    assert (result.outcome, result.to_version) == ("rolled_back", "2")
    assert "stopped by `slipway rollback`" in result.reason
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)


def test_rollback_clears_what_a_release_left_to_someone_else() -> None:
    cloud, history = FakeCloud(), FakeHistory()

    def meddle(seen: FakeCloud) -> None:
        candidate = seen.fleets.get("candidate")
        if candidate is not None and candidate.weight == 1.0:
            candidate.weight = candidate.wanted_weight = 3.0

    cloud.before_look = meddle
    assert release(cloud, history).outcome == "inconclusive"
    cloud.before_look = lambda _cloud: None
    assert run_rollback(manifest(), cloud=cloud, history=history, pace=FAST).to_version == "1"
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)
    assert any(isinstance(a, DeleteConfig) for a in cloud.executed)


def test_refused_actions_end_safely() -> None:
    cloud = FakeCloud()
    refusals: list[Action] = []

    def refuse(action: Action) -> None:
        from release.aws.cloud import RefusedError

        if isinstance(action, SetCapacity) and not refusals:
            refusals.append(action)
            raise RefusedError("ResourceLimitExceeded: the account-level service limit")

    cloud.fleets["live"].count = cloud.fleets["live"].wanted_count = 4
    cloud.before_execute = refuse
    staged = manifest(
        steps=(Step(10, Tolerance(5, 5), 60, 3600), Step(50, Tolerance(5, 5), 60, 3600))
    )
    result = release(cloud, staged=staged)
    assert result.outcome == "inconclusive"
    assert "AWS refused to set candidate to 2 instances: ResourceLimitExceeded" in result.reason
    assert cloud.serving == "wine-test-c1"
    assert_nothing_is_left(cloud)


# --- who is alive


def test_a_process_that_was_killed_but_not_yet_noticed_holds_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process_is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table
    assert not process_is_alive(child.pid)
    child.communicate()
    assert not process_is_alive(child.pid)
