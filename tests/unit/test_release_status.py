"""What `slipway status` tells of an endpoint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from release.state import EndpointState
from scripts import release_status
from scripts.release_screen import show_status
from tests.unit.fake_cloud import FakeCloud, FakeHistory, manifest
from tests.unit.test_release_rollback import with_versions


def status(
    cloud: FakeCloud, history: FakeHistory, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    def state(_name: str) -> EndpointState:
        return history.load()

    def no_freeze(_s3: Any, _bucket: str) -> None:
        return None

    monkeypatch.setattr(release_status, "read_freeze", no_freeze)
    place: Any = SimpleNamespace(cloud=cloud, s3=None, bucket="b", state=state)
    return release_status.status_row(place, manifest("3"))


def test_a_configuration_that_was_deleted_serves_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, history = with_versions(3)
    whole = status(cloud, history, monkeypatch)
    assert whole["live"] == {
        "version": "3",
        "hash": "hash-3",
        "config": "wine-test-c3",
        "is_deleted": False,
    }
    del cloud.configs["wine-test-c3"]
    row = status(cloud, history, monkeypatch)
    assert row["live"] == {**whole["live"], "is_deleted": True}
    assert not row["is_pending"]
    show_status([row])
    shown = capsys.readouterr().out
    assert "serves version 3 (hash-3)" in shown
    assert "its configuration wine-test-c3 was deleted: AWS takes no update" in shown
    assert "`slipway rollback` leads away from it" in shown


def test_an_endpoint_that_does_not_exist_serves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = FakeCloud()
    cloud.status = "Missing"
    cloud.serving = ""
    row = status(cloud, FakeHistory(), monkeypatch)
    assert row["live"] is None
    show_status([row])
    assert "serves nothing" in capsys.readouterr().out
