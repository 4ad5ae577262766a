"""What an update keeps and resets, and that state survives being written down."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.records import (
    IN_SERVICE,
    UPDATING,
    Endpoint,
    Pending,
    Stored,
    VariantState,
    fresh_variants,
    updated_variants,
)
from localcloud.sagemaker.state import State, key_of

NAMES = st.sampled_from(["live", "candidate", "shadow", "a", "b"])
WEIGHTS = st.floats(0, 100, allow_nan=False)
COUNTS = st.integers(1, 9)
PROPERTIES = st.frozensets(st.sampled_from(["DesiredWeight", "DesiredInstanceCount"]))


def entry(name: str, weight: float | None, count: int) -> dict[str, Any]:
    variant: dict[str, Any] = {
        "VariantName": name,
        "ModelName": f"model-{name}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": count,
    }
    return variant if weight is None else {**variant, "InitialVariantWeight": weight}


CONFIGS = st.lists(
    st.builds(entry, NAMES, st.none() | WEIGHTS, COUNTS),
    min_size=1,
    unique_by=lambda variant: variant["VariantName"],
).map(lambda variants: {"ProductionVariants": variants})
STATES = st.dictionaries(
    NAMES, st.builds(VariantState, st.just("?"), WEIGHTS, WEIGHTS, COUNTS, COUNTS), min_size=1
)


@given(STATES, CONFIGS, PROPERTIES)
def test_without_retention_everything_is_the_new_configurations(
    current: dict[str, VariantState], config: dict[str, Any], excluded: frozenset[str]
) -> None:
    assert updated_variants(current, config, False, excluded) == fresh_variants(config)


@given(STATES, CONFIGS, PROPERTIES)
def test_retention_keeps_what_is_not_excluded_of_variants_of_the_same_name(
    current: dict[str, VariantState], config: dict[str, Any], excluded: frozenset[str]
) -> None:
    found = updated_variants(current, config, True, excluded)
    fresh = fresh_variants(config)
    assert list(found) == [v["VariantName"] for v in config["ProductionVariants"]]
    for name, variant in found.items():
        kept = current.get(name)
        by_weight = fresh[name] if kept is None or "DesiredWeight" in excluded else kept
        by_count = fresh[name] if kept is None or "DesiredInstanceCount" in excluded else kept
        assert variant.desired_weight == variant.current_weight == by_weight.desired_weight
        assert variant.desired_count == by_count.desired_count
        assert variant.current_count == 0, "the new fleet does not run yet"


def test_a_weight_of_0_is_a_weight_and_an_absent_one_is_1() -> None:
    config = {"ProductionVariants": [entry("zero", 0.0, 1), entry("absent", None, 1)]}
    assert {n: v.desired_weight for n, v in fresh_variants(config).items()} == {
        "zero": 0.0,
        "absent": 1.0,
    }


@given(STATES, CONFIGS, st.booleans())
def test_what_is_written_down_is_read_back(
    variants: dict[str, VariantState], config: dict[str, Any], is_updating: bool
) -> None:
    state = State()
    pending = Pending("new", config, 2.5, fresh_variants(config), {"BlueGreenUpdatePolicy": {}})
    endpoint = Endpoint(
        name="Mine",
        arn="arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine",
        region="us-east-1",
        created=1.0,
        modified=2.0,
        config_name="old",
        config=config,
        status=UPDATING if is_updating else IN_SERVICE,
        variants=variants,
        tags={"a": "b"},
        failure_reason="it did",
        pending=pending if is_updating else None,
    )
    state.endpoints[key_of("us-east-1", "Mine")] = endpoint
    stored = Stored("m", "arn:model", 1.0, {"ModelName": "m"}, {"k": "v"})
    state.models[key_of("eu-west-1", "m")] = stored
    state.configs[key_of("eu-west-1", "c")] = stored
    again = State()
    again.load(state.dump())
    assert (again.models, again.configs) == (state.models, state.configs)
    assert again.endpoints == state.endpoints
    assert again.dump() == state.dump()
