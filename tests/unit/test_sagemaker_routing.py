"""Shares of traffic, instances by strategy, and what drains."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.sagemaker.instance import Instance
from localcloud.sagemaker.routing import (
    EndpointRoute,
    Fleet,
    Router,
    Side,
    VariantRoute,
    choose_instance,
)

KEY = ("us-east-1", "e")


class Stub:
    """What the router needs of an instance."""

    def __init__(self, in_flight: int = 0) -> None:
        self.in_flight = in_flight


def stubs(*in_flight: int) -> tuple[Instance, ...]:
    return tuple(cast("Any", Stub(n)) for n in in_flight)


def route(weights: dict[str, float], instances: int = 1) -> EndpointRoute:
    variants = tuple(
        VariantRoute(name, weight, "RANDOM", Fleet(stubs(*[0] * instances)))
        for name, weight in weights.items()
    )
    return EndpointRoute(*KEY, "config", variants)


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 20).map(lambda n: n / 4),
        min_size=1,
    ),
    st.integers(0, 2**32),
)
def test_each_variant_gets_its_share(weights: dict[str, float], seed: int) -> None:
    rng = random.Random(seed)
    found = route(weights)
    total = sum(weights.values())
    if total == 0:
        assert found.draw(rng) is None
        return
    draws = 4000
    counts = dict.fromkeys(weights, 0)
    for _ in range(draws):
        drawn = found.draw(rng)
        assert drawn is not None
        counts[drawn.name] += 1
    for name, weight in weights.items():
        share = weight / total
        # Six standard deviations: a failure is a defect, not luck.
        assert abs(counts[name] / draws - share) <= 6 * (share * (1 - share) / draws) ** 0.5
        assert weight > 0 or counts[name] == 0


def test_least_outstanding_requests_takes_the_idlest() -> None:
    busy, idle, busier = stubs(2, 0, 3)
    rng = random.Random(1)
    for _ in range(20):
        chosen = choose_instance("LEAST_OUTSTANDING_REQUESTS", [busy, idle, busier], rng)
        assert chosen is idle


def test_random_takes_all_of_them() -> None:
    instances = stubs(5, 0, 1)
    rng = random.Random(1)
    chosen = {id(choose_instance("RANDOM", instances, rng)) for _ in range(100)}
    assert chosen == {id(i) for i in instances}


def test_unknown_strategies_raise_and_no_instance_is_none() -> None:
    rng = random.Random(1)
    with pytest.raises(ValueError, match="STICKY"):
        choose_instance("STICKY", stubs(0), rng)
    assert choose_instance("RANDOM", (), rng) is None


def test_what_is_taken_is_in_flight_until_it_is_released() -> None:
    router = Router(random.Random(1))
    assert router.take(*KEY, None) is None
    router.publish(route({"live": 1.0}))
    taken = router.take(*KEY, None)
    assert taken is not None
    _, variant, instance = taken
    assert variant is not None
    assert instance is not None
    assert instance.in_flight == 1
    assert router.take_other(variant, [instance]) is None
    router.release(instance)
    assert instance.in_flight == 0


def test_a_target_variant_overrides_the_weights() -> None:
    router = Router(random.Random(1))
    router.publish(route({"live": 1.0, "candidate": 0.0}))
    taken = router.take(*KEY, "candidate")
    assert taken is not None
    assert taken[1] is not None
    assert taken[1].name == "candidate"
    unknown = router.take(*KEY, "nobody")
    assert unknown is not None
    assert unknown[1:] == (None, None)


def test_instances_come_and_go_without_touching_the_route() -> None:
    router = Router(random.Random(1))
    found = route({"live": 1.0})
    router.publish(found)
    fleet = found.variants[0].fleet
    (old,) = fleet.instances
    (new,) = stubs(0)
    router.add_instance(fleet, new)
    router.remove_instance(fleet, old)
    assert fleet.instances == (new,)
    router.withdraw(*KEY)
    assert router.get(*KEY) is None


def test_another_side_takes_its_share_of_each_variant() -> None:
    router = Router(random.Random(1))
    old, new = route({"a": 1.0, "b": 1.0}), route({"a": 1.0, "b": 1.0})
    router.publish(old, [Side(new, {"a": 0.25, "b": 1.0})])
    taken: dict[tuple[str, bool], int] = {}
    for _ in range(4000):
        found = router.take(*KEY, None)
        assert found is not None
        assert found[1] is not None
        key = found[1].name, found[0] is new
        taken[key] = taken.get(key, 0) + 1
    assert ("b", False) not in taken
    assert 0.2 < taken["a", True] / (taken["a", True] + taken["a", False]) < 0.3
    targeted = router.take(*KEY, "b")
    assert targeted is not None
    assert targeted[0] is new


def test_only_active_instances_take_requests() -> None:
    router = Router(random.Random(1))
    found = route({"live": 1.0}, instances=3)
    fleet = found.variants[0].fleet
    router.publish(found, (), [(fleet, 1)])
    instances = {id(taken[2]) for _ in range(50) if (taken := router.take(*KEY, None))}
    assert instances == {id(fleet.instances[0])}
    # The next in line takes the place of one that is gone.
    second = fleet.instances[1]
    router.remove_instance(fleet, fleet.instances[0])
    assert fleet.taking == (second,)
    router.publish(found, (), [(fleet, None)])
    assert len(fleet.taking) == 2
