"""`slipway history`: as many releases as asked for, and a word on those that it does not show."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.history import evidence_key
from release.state import EndpointState
from scripts.release_screen import show_history
from scripts.release_stack import ReleaseStack
from scripts.release_status import TOLD, history_rows
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
