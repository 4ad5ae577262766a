"""`slipway history`: as many releases as asked for, and a word on those that it does not show."""

from __future__ import annotations

import io
import json
import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from contracts.history import evidence_key
from release.state import EndpointState
from scripts.release import screen as release_screen
from scripts.release.screen import show_evidence, show_history
from scripts.release.stack import ReleaseStack
from scripts.release.status import TOLD, history_rows
from tests.unit.evidence_samples import promoted
from tests.unit.fake_cloud import ENDPOINT

IDS = tuple(f"wine-{i}" for i in range(30))
STATE = EndpointState(ENDPOINT, releases=IDS)


class Bucket:
    """Evidence of every release."""

    def get_object(self, **place: Any) -> dict[str, Any]:
        found = {evidence_key(i): i for i in IDS}[place["Key"]]
        told = dict.fromkeys(TOLD, "1") | {"id": found, "seconds": 60.0, "started_at": 0.0}
        return {"Body": io.BytesIO(json.dumps(told).encode()), "ETag": "1"}


def shown(limit: int, capsys: pytest.CaptureFixture[str]) -> str:
    place = cast(ReleaseStack, SimpleNamespace(s3=Bucket(), bucket="history"))
    rows = history_rows(place, STATE, limit)
    assert [row["id"] for row in rows] == list(reversed(IDS[-limit:]))
    show_history(rows, limit, len(STATE.releases))
    return capsys.readouterr().out


def test_what_is_left_out_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the newest 20 of 30 releases; `--limit 30` lists them all" in shown(20, capsys)


@pytest.mark.parametrize("limit", [30, 200])
def test_where_all_are_shown_nothing_is_said_of_more(
    limit: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(limit, capsys)
    assert IDS[0] in out
    assert "the newest 30 of" not in out
    assert "--limit" not in out


def test_on_a_narrow_terminal_a_release_has_two_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release_screen, "stdout", Console(width=60, color_system=None))
    told = {"started_at": 0.0, "from_version": "1", "to_version": "2", "seconds": 1740.0}
    rows = [{"id": "flight-delay-20261126T115130-0e59", "outcome": "rolled_back", **told}]
    show_history(rows, 20, 1)
    assert capsys.readouterr().out.splitlines() == [
        "flight-delay-20261126T115130-0e59",
        "  1970-01-01 00:00:00 UTC, 1 → 2: rolled back, 29 min",
    ]


def test_evidence_tells_what_was_planned_and_not_every_minute_of_days(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = promoted()
    told["timeline"] = told["timeline"][:1] * 4000
    show_evidence(told)
    shown = capsys.readouterr().out
    assert re.search(r"UTC, [\d.]+ \w+ \(planned: \d+ min, \d+ min to [\d.]+ h\)", shown), shown[
        :600
    ]
    assert "the last 60 of 4,000 minutes; --json has all, --open draws them" in shown
    assert shown.count(" UTC") < 5


def test_evidence_of_a_rollback_by_hand_has_no_empty_parts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {**promoted(), "reason": "", "timeline": [], "predicted": None}
    told["config_after"] = told["config_before"]
    show_evidence(told)
    shown = capsys.readouterr().out
    assert "\n  \n" not in shown
    assert "minute (UTC)" not in shown
    assert f"configuration {told['config_before']}, as before\n" in shown
