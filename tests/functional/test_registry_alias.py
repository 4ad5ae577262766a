"""MLflow follows a release: where `champion` points, and what links to the evidence."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.history import evidence_key
from model_code import registry
from release.evidence import ReleaseResult
from scripts.registry_alias import follow
from tests.functional.model_store import register, store_uri

MODEL = "followed"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two versions of one model."""
    import pandas as pd
    from sklearn.dummy import DummyRegressor

    uri = store_uri(tmp_path_factory)
    example = pd.DataFrame({"x": [0.0, 1.0]})
    for constant in (1.0, 2.0):
        register(uri, MODEL, DummyRegressor().fit(example, [constant] * 2), example)
    return uri


def result(version: str, **more: Any) -> ReleaseResult:
    values: dict[str, Any] = {
        "id": f"{MODEL}-release-{version}",
        "model": MODEL,
        "endpoint": f"{MODEL}-local",
        "purpose": "release",
        "strategy": "canary",
        "from_version": "1",
        "to_version": version,
        "registry_uri": f"models:/{MODEL}/{version}",
        "outcome": "promoted",
        "reason": "",
        "steps": (),
        "candidate_requests": 0,
        "candidate_errors": 0,
        "seconds_from_first_error_to_zero_weight": None,
        "seconds": 1.0,
    }
    return ReleaseResult(**values | more)


def champion(store: str) -> str:
    return registry.resolve(store, f"{MODEL}@champion").version


def test_the_alias_goes_where_the_traffic_goes_and_back(store: str) -> None:
    assert follow(store, result("1"), "history") is None
    assert follow(store, result("2"), "history") is None
    assert champion(store) == "2"
    back = result("1", purpose="rollback", outcome="rolled_back")
    assert follow(store, back, "history") is None
    assert champion(store) == "1"
    tags = registry.resolve(store, f"{MODEL}/2").tags
    assert tags["slipway.outcome"] == "promoted"
    assert tags["slipway.evidence"] == f"s3://history/{evidence_key(result('2').id)}"


@pytest.mark.parametrize("outcome", ["rolled_back", "inconclusive"])
def test_a_candidate_that_did_not_land_gets_its_evidence_and_no_alias(
    store: str, outcome: str
) -> None:
    follow(store, result("1"), "history")
    assert follow(store, result("2", outcome=outcome), "history") is None
    assert champion(store) == "1"
    assert registry.resolve(store, f"{MODEL}/2").tags["slipway.outcome"] == outcome


def test_what_no_registry_knows_is_told_and_moves_nothing(store: str) -> None:
    follow(store, result("1"), "history")
    text = follow(store, result("2", registry_uri="s3://somewhere"), "history")
    assert text == "s3://somewhere names no version; no alias was moved"
    text = follow(store, result("9"), "history")
    assert text is not None
    assert text.startswith("the registry was not updated: ")
    assert champion(store) == "1"
