"""The benchmark of release decisions, small: its form, that it resumes, and gross properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import release_quality
from benchmarks.release_ours import Bench
from benchmarks.release_report import goals
from benchmarks.release_rules import NEVER, Fixed, rules
from benchmarks.release_scenarios import (
    DEFAULT,
    RATIOS,
    Disturbances,
    Rates,
    Scenario,
    built_in,
    read_scenarios,
    truth_of,
)
from benchmarks.release_streams import Stream

RULES = {
    "Slipway",
    "Flagger",
    "Flagger tuned",
    "Argo failureLimit",
    "SageMaker alarm",
    "Kayenta Mann-Whitney",
    "z-test every minute",
}
STEP = {
    "weight": 20,
    "tolerance": {"ratio": 2, "points": 2},
    "bake_min_seconds": 60,
    "bake_max_seconds": 1800,
}
SCENARIOS = [
    {
        "name": "as good",
        "requests_per_second": [40, 60],
        "live": {"errors": 0.01},
        "candidate": {"errors": 0.01},
        "disturbances": {"bad_minutes": 0.05},
        "steps": [STEP],
    },
    {
        "name": "broken",
        "requests_per_second": 50,
        "live": {"errors": 0.01},
        "candidate": {"errors": [0.01, 0.5]},
        "steps": [STEP],
    },
]


def bench(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], str]:
    (folder / "scenarios.json").write_text(json.dumps(SCENARIOS))
    options = ["--releases", "6", "--workers", "1", "--seed", "3"]
    places = ["--scenarios", str(folder / "scenarios.json"), "--results", str(folder)]
    release_quality.main([*options, *places])
    found = json.loads((folder / "release_quality.json").read_text())
    return found, capsys.readouterr().out


def test_the_small_benchmark_and_that_it_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, told = bench(tmp_path, capsys)
    assert {(c["scenario"], c["rule"]) for c in found} == {
        (s["name"], rule) for s in SCENARIOS for rule in RULES
    }
    for cell in found:
        shares = cell["rolled_back"] + cell["promoted"] + cell["inconclusive"]
        assert shares == pytest.approx(1.0)
        assert cell["bad_requests_mean"] >= 0
        assert cell["decision_minutes_median"] > 0
        assert cell["plan"] == "default"
    ours = {c["scenario"]: c for c in found if c["rule"] == "Slipway"}
    assert ours["as good"]["rolled_back"] == 0
    assert ours["broken"]["rolled_back"] == 1
    assert "as good" in told
    assert "false rollbacks at most 1%: 1 of 1 cells" in told
    assert "<svg" in (tmp_path / "release_quality.svg").read_text()

    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}
    (tmp_path / "cells" / min(kept).name).unlink()
    again, told = bench(tmp_path, capsys)
    assert again == found
    assert told.startswith("1/1 ")


def test_no_releases_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        release_quality.main(["--releases", "0", "--results", str(tmp_path)])
    assert "--releases is 0; 1 or more is needed" in capsys.readouterr().err


def test_the_built_in_scenarios_have_names_of_their_own() -> None:
    names = [s.name for s in built_in()]
    assert len(names) == len(set(names))


def test_scenarios_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text(json.dumps([s.to_dict() for s in built_in()]))
    assert read_scenarios(path) == built_in()


@pytest.mark.parametrize(
    ("live", "candidate", "plan", "truth"),
    [
        (0.01, 0.01, DEFAULT, "good"),
        (0.01, 0.015, DEFAULT, "tolerance"),
        (0.01, 0.018, DEFAULT, "worse"),
        (0.01, 0.012, DEFAULT, "between"),
        (0.001, 0.0018, RATIOS, "worse"),
        (0.001, 0.0018, DEFAULT, "between"),
        (0.001, 0.006, DEFAULT, "tolerance"),
        (0.0, 0.005, DEFAULT, "tolerance"),
    ],
)
def test_what_a_candidate_is_follows_from_the_plans_tolerance(
    live: float, candidate: float, plan: Any, truth: str
) -> None:
    scenario = Scenario("s", 50, Rates(live), Rates(candidate))
    assert truth_of(scenario, plan) == truth


def test_a_stream_is_the_same_for_the_same_seed_and_release() -> None:
    disturbed = Disturbances(0.5, 0.1, 0.2, 5, 2, 0.2, 0.2)
    scenario = Scenario("s", 5, Rates(0.02), Rates(0.04), disturbed)
    streams = [Stream(scenario, [0.01, 0.5], 50, 1, release) for release in (7, 7, 8)]
    counts = [np.stack([s.n_candidate, s.errors[1], s.late[1]]) for s in streams]
    assert (counts[0] == counts[1]).all()
    assert (counts[0] != counts[2]).any()
    for stream in streams:
        assert (stream.errors[1] <= stream.n_candidate).all()


def test_the_real_controller_ends_every_release() -> None:
    scenario = Scenario("s", 20, Rates(0.0), Rates(0.3))
    ours = Bench(scenario, DEFAULT)
    ended = ours.run(Stream(scenario, ours.weights, ours.horizon, 1, 1))
    assert ended.outcome == "rolled_back"
    assert ended.bad > 0


def test_the_other_rules_on_plain_counts() -> None:
    requests = np.full((1, 40), 300)
    quiet = np.zeros((1, 40), dtype=int)
    loud = np.full((1, 40), 30)
    good, bad = (Fixed(requests, requests, np.full((1, 40), 3), counts) for counts in (quiet, loud))
    at = {name: int(rule(bad)[0]) for name, rule in rules(good).items()}
    assert at == {
        "Flagger": 5,
        "Flagger tuned": 5,
        "Argo failureLimit": 20,
        "SageMaker alarm": 1,
        "Kayenta Mann-Whitney": 10,
        "z-test every minute": 1,
    }
    assert all(int(rule(good)[0]) == NEVER for rule in rules(good).values())


def test_goals_name_the_cells_that_miss_them() -> None:
    cell = {
        "scenario": "equal",
        "rule": "Slipway",
        "plan": "default",
        "rolled_back": 0.02,
        "promoted": 0.98,
        "truth": "good",
        "traffic_allows": True,
        "is_much_worse": False,
    }
    told = goals([cell])
    assert told[0] == "false rollbacks at most 1%: 0 of 1 cells"
    assert told[1] == "  missed: equal (default): 2.00 %"
    assert "  missed: equal (default): 98.00 %" in told
