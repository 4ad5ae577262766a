"""Where `slipway models` says that a version serves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contracts.release_manifest import ReleaseManifest
from release.state import EndpointState
from scripts.models.serving import serving
from tests.unit.fake_cloud import FakeCloud, FakeHistory, manifest
from tests.unit.release_strategies import CANARY, cloud_of, release
from tests.unit.test_release_rollback import rollback, with_versions
from tests.unit.test_release_status import StoppedError, stop_in_the_step


def told(cloud: FakeCloud, history: FakeHistory, staged: ReleaseManifest) -> dict[str, list[str]]:
    def state(_name: str) -> EndpointState:
        return history.load()

    place: Any = SimpleNamespace(cloud=cloud, state=state, manifests=lambda: [staged])
    return serving(place)


def test_what_is_only_staged_serves_nowhere() -> None:
    assert told(cloud_of(), FakeHistory(), manifest("2")) == {"models:/wine/1": ["wine-test"]}


def test_after_a_release_the_new_version_serves_and_after_a_rollback_the_old_one() -> None:
    cloud, history = with_versions(3)
    assert told(cloud, history, manifest("3")) == {"models:/wine/3": ["wine-test"]}
    rollback(cloud, history)
    assert told(cloud, history, manifest("3")) == {"models:/wine/2": ["wine-test"]}


def test_one_whose_configuration_was_deleted_serves_on() -> None:
    cloud, history = with_versions(3)
    del cloud.configs["wine-test-c3"]
    assert told(cloud, history, manifest("3")) == {"models:/wine/3": ["wine-test"]}


def test_during_a_release_both_serve() -> None:
    cloud, history = cloud_of(), FakeHistory()
    history.after_save = lambda state: stop_in_the_step(state.current)
    with pytest.raises(StoppedError):
        release(cloud, manifest("2", strategy=CANARY), history)
    assert told(cloud, history, manifest("2")) == {
        "models:/wine/1": ["wine-test"],
        "models:/wine/2": ["wine-test (canary)"],
    }


def test_an_endpoint_that_does_not_exist_serves_nothing() -> None:
    cloud = FakeCloud()
    cloud.status, cloud.serving = "Missing", ""
    assert told(cloud, FakeHistory(), manifest("2")) == {}
