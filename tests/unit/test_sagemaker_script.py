"""Scripts of deployments: what they do to both fleets, and the way back from anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker import progress
from localcloud.sagemaker.policies import (
    EXCLUDED,
    NONE,
    AllAtOnce,
    Canary,
    Guardrails,
    Linear,
    Policy,
    Rolling,
    Size,
    check_sizes,
    guardrails_of,
)
from localcloud.sagemaker.script import (
    Bake,
    Drop,
    Provision,
    Restore,
    Retire,
    Shift,
    Step,
    script,
    total_wait,
    way_back,
)
from localcloud.service import ServiceError

CONFIG: dict[str, Any] = {
    "ProductionVariants": [{"VariantName": "live", "InstanceType": "ml.m5.large"}]
}


def percent(value: int) -> Size:
    return Size(value, is_percent=True)


def instances(value: int) -> Size:
    return Size(value, is_percent=False)


@pytest.mark.parametrize(
    ("size", "fleet", "wanted"),
    [
        (percent(33), 3, 1),  # as AWS's own sample takes it
        (percent(50), 3, 1),  # never past half
        (percent(50), 4, 2),
        (percent(10), 4, 1),
        (percent(25), 10, 3),  # halves are rounded up
        (percent(1), 100, 1),
        (percent(50), 1, 1),
        (percent(100), 3, 3),  # only a rollback may be that large
        (instances(2), 4, 2),
    ],
)
def test_a_size_is_a_whole_number_of_instances(size: Size, fleet: int, wanted: int) -> None:
    assert size.of_fleet(fleet) == wanted


@pytest.mark.parametrize(
    ("policy", "fleet", "words"),
    [
        (Canary(percent(50), 0, 0), 1, "CanarySize is 1 instance(s), and the variant live has 1"),
        (Canary(instances(2), 0, 0), 3, "at most 50 % of the instances"),
        (Linear(instances(1), 0, 0), 20, "at least 10 % and at most 50 %"),
        (Rolling(instances(1), 0, None), 1, "MaximumBatchSize is 1 instance(s)"),
        (Rolling(instances(1), 0, None), 21, "at least 5 % and at most 50 %"),
    ],
)
def test_sizes_that_do_not_fit_the_fleet_are_refused(
    policy: Policy, fleet: int, words: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        check_sizes(policy, {"live": fleet})
    assert caught.value.code == "ValidationException"
    assert words in caught.value.message


def test_sizes_that_fit_are_taken() -> None:
    check_sizes(AllAtOnce(), {"live": 1})
    check_sizes(Canary(percent(50), 0, 0), {"live": 3})
    check_sizes(Rolling(instances(1), 0, None), {"live": 2})


def test_all_at_once() -> None:
    assert script(AllAtOnce(600), {"live": 1}, {"live": 2}) == (
        Provision({"live": 2}),
        Shift({"live": 2}, {"live": 2}, {"live": 0}),
        Bake(600, "TerminationWaitInSeconds", {"live": 2}, True),
        Retire({"live": 1}),
    )


def test_canary_leaves_the_old_fleet_whole_beside_it() -> None:
    steps = script(Canary(instances(1), 300, 600), {"live": 4}, {"live": 4})
    assert steps == (
        Provision({"live": 4}),
        Shift({"live": 1}, {"live": 4}, {"live": 4}),
        Bake(300, "WaitIntervalInSeconds", {"live": 1}, False),
        Shift({"live": 4}, {"live": 4}, {"live": 0}),
        Bake(600, "TerminationWaitInSeconds", {"live": 4}, True),
        Retire({"live": 4}),
    )
    shift = steps[1]
    assert isinstance(shift, Shift)
    assert shift.share("live") == 0.25
    assert total_wait(steps) == 900


def test_linear_activates_green_and_deactivates_as_much_blue() -> None:
    steps = script(Linear(percent(33), 60, 120), {"live": 3}, {"live": 3})
    shifts = [s for s in steps if isinstance(s, Shift)]
    assert [(s.green["live"], s.blue["live"]) for s in shifts] == [(1, 2), (2, 1), (3, 0)]
    assert [s.seconds for s in steps if isinstance(s, Bake)] == [60, 60, 120]


def test_rolling_moves_batch_by_batch() -> None:
    steps = script(Rolling(instances(2), 60, None), {"live": 4}, {"live": 5})
    assert [s.counts["live"] for s in steps if isinstance(s, Provision)] == [2, 2, 1]
    assert [s.counts["live"] for s in steps if isinstance(s, Retire)] == [1, 2, 1]
    assert [s.seconds for s in steps if isinstance(s, Bake)] == [60, 60, 60]


def test_a_rolling_rollback_restores_in_batches() -> None:
    policy = Rolling(instances(1), 60, instances(1))
    back = way_back(policy, {"live": 1}, {"live": 3}, {"live": 2}, {"live": 3})
    assert back == (
        Restore({"live": 1}),
        Shift({"live": 1}, {"live": 3}, {"live": 2}),
        Drop({"live": 1}),
        Restore({"live": 1}),
        Shift({"live": 0}, {"live": 3}, {"live": 3}),
        Drop({"live": 1}),
    )
    whole = way_back(
        Rolling(instances(1), 60, None), {"live": 1}, {"live": 3}, {"live": 2}, {"live": 3}
    )
    assert [type(s) for s in whole] == [Restore, Shift, Drop]


SIZES = st.builds(percent, st.integers(10, 50))
WAITS = st.integers(0, 3600)
POLICIES = st.one_of(
    st.builds(AllAtOnce, WAITS),
    st.builds(Canary, SIZES, WAITS, WAITS),
    st.builds(Linear, SIZES, WAITS, WAITS),
    st.builds(Rolling, SIZES, WAITS, st.none() | st.builds(percent, st.integers(5, 100))),
)
BOTH = st.fixed_dictionaries({"a": st.integers(2, 30), "b": st.integers(2, 30)})


def allowed(policy: Policy, fleet: dict[str, int]) -> dict[str, int]:
    """SageMaker refuses to roll an endpoint of several variants (fact 3.2)."""
    return {"a": fleet["a"]} if isinstance(policy, Rolling) else fleet


class Fleets:
    """Plays steps, and holds that traffic never meets an instance that is not there."""

    def __init__(self, blue: dict[str, int], green: dict[str, int]) -> None:
        self.total = green
        self.blue, self.green = dict(blue), dict.fromkeys(green, 0)
        self.active = dict.fromkeys(green, 0), dict(blue)

    def play(self, step: Any) -> None:
        match step:
            case Provision(counts=counts):
                self.add(self.green, counts, 1)
            case Restore(counts=counts):
                self.add(self.blue, counts, 1)
            case Retire(counts=counts):
                self.add(self.blue, counts, -1)
            case Drop(counts=counts):
                self.add(self.green, counts, -1)
            case Shift(green=green, blue=blue):
                self.active = dict(green), dict(blue)
            case _:
                assert isinstance(step, Bake)
        for fleet, active in zip((self.green, self.blue), self.active, strict=True):
            assert all(0 <= active[name] <= fleet[name] for name in fleet)
        for name, total in self.total.items():
            assert (self.active[1][name] > 0) == (self.active[0][name] < total)

    def add(self, fleet: dict[str, int], counts: Any, sign: int) -> None:
        for name, count in counts.items():
            assert count >= 0
            fleet[name] += sign * count


@given(POLICIES, BOTH, BOTH)
def test_every_script_ends_with_green_alone(
    policy: Policy, blue: dict[str, int], green: dict[str, int]
) -> None:
    fleets = Fleets(blue, green)
    share = dict.fromkeys(green, 0.0)
    for step in script(policy, blue, green):
        fleets.play(step)
        if isinstance(step, Shift):
            assert all(step.share(name) >= share[name] for name in green)
            share = {name: step.share(name) for name in green}
    assert fleets.green == green
    assert fleets.active[0] == green
    assert not any(fleets.blue.values())


@given(POLICIES, BOTH, BOTH, st.data())
def test_from_any_bake_the_way_back_ends_with_blue_alone(
    policy: Policy, blue: dict[str, int], green: dict[str, int], data: st.DataObject
) -> None:
    blue, green = allowed(policy, blue), allowed(policy, green)
    steps: tuple[Step, ...] = script(policy, blue, green)
    stop = data.draw(st.integers(0, len(steps) - 2))
    fleets = Fleets(blue, green)
    for step in steps[:stop]:
        fleets.play(step)
    for step in way_back(policy, fleets.blue, blue, fleets.green, green):
        fleets.play(step)
    assert fleets.blue == blue
    assert fleets.active[1] == blue
    assert not any(fleets.green.values())


# what DeploymentConfig means


def blue_green(routing: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}


def test_deployment_configs_become_policies() -> None:
    one = {"Type": "INSTANCE_COUNT", "Value": 1}
    tenth = {"Type": "CAPACITY_PERCENT", "Value": 10}
    assert guardrails_of(None, CONFIG) == NONE
    at_once = blue_green({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 9})
    assert guardrails_of(at_once, CONFIG) == NONE
    canary = blue_green(
        {"Type": "CANARY", "WaitIntervalInSeconds": 60, "CanarySize": one},
        TerminationWaitInSeconds=30,
        MaximumExecutionTimeoutInSeconds=900,
    )
    canary["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "errors"}]}
    assert guardrails_of(canary, CONFIG) == Guardrails(
        Canary(instances(1), 60, 30), ("errors",), 900
    )
    linear = blue_green({"Type": "LINEAR", "WaitIntervalInSeconds": 60, "LinearStepSize": tenth})
    assert guardrails_of(linear, CONFIG).policy == Linear(percent(10), 60, 0)
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": tenth, "WaitIntervalInSeconds": 5}}
    assert guardrails_of(rolling, CONFIG).policy == Rolling(percent(10), 5, None)
    rolling["RollingUpdatePolicy"]["RollbackMaximumBatchSize"] = one
    assert guardrails_of(rolling, CONFIG).policy == Rolling(percent(10), 5, instances(1))
    with pytest.raises(ValueError, match="SIDEWAYS"):
        guardrails_of(blue_green({"Type": "SIDEWAYS", "WaitIntervalInSeconds": 0}), CONFIG)


def test_inferentia_falls_back_to_all_at_once() -> None:
    config = {"ProductionVariants": [{"VariantName": "v", "InstanceType": "ml.inf1.xlarge"}]}
    linear = blue_green({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0})
    linear["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "errors"}]}
    assert guardrails_of(linear, config) == EXCLUDED


def test_progress_is_told_in_sagemakers_words() -> None:
    steps = script(Canary(instances(1), 300, 600), {"live": 2}, {"live": 3})
    told = [
        (progress.of_blue(step) if isinstance(step, Retire) else progress.of_green(step))["live"]
        for step in steps
    ]
    assert told == [
        ("Creating", "Launching 3 instance(s)."),
        ("ActivatingTraffic", "Activating traffic on canary capacity of 1 instance(s)."),
        (
            "Baking",
            (
                "Baking for 300 seconds (WaitIntervalInSeconds) with traffic enabled on canary "
                "capacity of 1 instance(s)."
            ),
        ),
        ("ActivatingTraffic", "Activating traffic on full capacity of 3 instance(s)."),
        (
            "Baking",
            (
                "Baking for 600 seconds (TerminationWaitInSeconds) with traffic enabled on full "
                "capacity of 3 instance(s)."
            ),
        ),
        ("Deleting", "Terminating 2 instance(s)."),
    ]
