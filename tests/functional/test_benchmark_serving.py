"""A tiny run of the serving benchmark: it starts, checks answers, measures and writes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from benchmarks import serving

pytestmark = pytest.mark.timeout(300)


def test_ours_the_no_op_and_the_floor_are_measured(tmp_path: Path) -> None:
    for tool, what in (("wrk", "the load generator wrk"), ("cc", "a C compiler")):
        if shutil.which(tool) is None:
            pytest.skip(f"{what} is not installed")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("server and load need a core each")
    serving.main(
        [
            *("--models", "logreg", "--formats", "json", "--peers", "noop,floor"),
            *("--connections", "1", "--pairs", "1", "--results", str(tmp_path)),
        ]
    )
    found = json.loads((tmp_path / "serving.json").read_text())
    rows = {(r["server"], r["rows"]): r for r in found["rows"]}
    assert set(rows) == {(s, n) for s in ("slipway", "noop", "floor") for n in (1, 1000)}
    assert all(row["cpu_us"] > 0 and row["rps"] > 0 for row in rows.values())
    assert rows["slipway", 1]["ratio_to_floor"] > 0
    assert rows["slipway", 1]["engine"] == "linear"
    assert rows["slipway", 1]["batch_mean"] == 1
    assert {s["server"] for s in found["starts"]} == {"slipway", "noop", "floor"}
    assert "<svg" in (tmp_path / "serving.svg").read_text()
