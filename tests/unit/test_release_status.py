"""What `slipway status` tells of an endpoint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from release.state import EndpointState, Release
from scripts.release import owed as release_owed
from scripts.release import status as release_status
from scripts.release.screen import duration
from scripts.release.status_screen import show_status
from tests.unit.fake_cloud import FakeCloud, FakeHistory, manifest, scaling_target
from tests.unit.release_strategies import CANARY, cloud_of, release
from tests.unit.test_release_rollback import rollback, with_versions
from tests.unit.test_release_scaling import owing


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


def test_scaling_that_is_owed_is_tried_again_and_told_until_it_is_put_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, history = owing("good")

    def history_of(_s3: Any, _bucket: str, _name: str) -> FakeHistory:
        return history

    monkeypatch.setattr(release_owed, "S3History", history_of)
    row = status(cloud, history, monkeypatch)
    assert row["owed_scaling"]["release_id"] == history.load().releases[0]
    show_status([row], " --stack prod")
    shown = " ".join(capsys.readouterr().out.split())
    assert f"is not as it was before release {history.load().releases[0]}" in shown
    assert "(scale-in is suspended); AWS refused to put it back: Validation" in shown
    again = "correct that: `slipway status --stack prod`, `plan`, `up` and every release try it"
    assert again in shown
    cloud.is_scaling_stuck = False
    assert status(cloud, history, monkeypatch)["owed_scaling"] is None
    assert cloud.targets == {"live": scaling_target()}


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


def test_what_was_rolled_back_is_not_told_as_ready(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, history = with_versions(3)
    rollback(cloud, history)
    row = status(cloud, history, monkeypatch)
    assert (row["is_pending"], row["is_rejected"]) == (True, True)
    show_status([row], " --stack prod")
    assert (
        "target: version 3 (hash-3), staged; it was rolled back before: stage another version with "
        "`slipway up --stack prod`, or `slipway release --retry --stack prod`\n"
    ) in capsys.readouterr().out


def test_the_ways_back_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, history = with_versions(3)
    row = status(cloud, history, monkeypatch)
    show_status([row])
    shown = capsys.readouterr().out
    assert "`slipway rollback` goes back to version 2, with --to also to 1\n" in shown


def test_a_running_release_tells_how_long_it_runs_and_what_it_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, history = cloud_of(), FakeHistory()
    history.after_save = lambda state: stop_in_the_step(state.current)
    with pytest.raises(StoppedError):
        release(cloud, manifest("2", strategy=CANARY), history)
    history.after_save = lambda _state: None
    row = status(cloud, history, monkeypatch)
    counts = row["release"]["counts"]
    show_status([row])
    shown = capsys.readouterr().out
    assert f": 1 → 2 by canary, for {duration(row['release']['seconds'])}; stage " in shown
    assert f"counted in this step: live {counts['live']['requests']:,} requests (0 fai" in shown
    assert counts["candidate"]["requests"] > 0
    if row["release"]["held_by"] is None:
        assert "driven by nobody: `slipway release` continues it\n" in shown


class StoppedError(Exception):
    """The driver ends here."""


def stop_in_the_step(running: Release | None) -> None:
    if running is not None and running.minutes and running.minutes[-1].step == running.step:
        raise StoppedError
