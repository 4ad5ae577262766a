"""The evidence has every minute in which the new version answered, in whatever way it got them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.release_manifest import BlueGreen, ErrorGate, LimitGate, Strategy
from release.evidence.document import ReleaseResult, result_of, together
from release.observation import MetricQuery, VariantMinute
from release.page.charts import figures
from release.page.render import render
from tests.unit.fake_cloud import Behaviour, FakeCloud, FakeHistory
from tests.unit.release_strategies import (
    BLUE_GREEN,
    CANARY,
    SHADOW,
    STRATEGIES,
    cloud_of,
    release,
    staged,
)

TARGET = "wine-test-c2"


def told_of(
    strategy: Strategy, cloud: FakeCloud | None = None, **settings: Any
) -> tuple[ReleaseResult, dict[str, Any]]:
    history = FakeHistory()
    result = release(cloud or cloud_of(), staged(strategy, **settings), history)
    return result, json.loads(history.evidence[result.id])


class BreaksAfterTheSwap(FakeCloud):
    """Half of the new version's answers fail from when its configuration serves."""

    def _minute(self, query: MetricQuery, name: str, minute: float) -> VariantMinute | None:
        landed = [t for t, shares in self.shares_log if [s.config for s in shares] == [TARGET]]
        is_broken = bool(landed) and minute >= landed[0]
        self.behaviours = {"wine-test-m2": Behaviour(error_rate=0.5)} if is_broken else {}
        return super()._minute(query, name, minute)


def at(told: dict[str, Any], kind: str) -> float:
    return next(e["at"] for e in told["log"] if e["kind"] == kind)


@pytest.mark.parametrize("strategy", [CANARY, BLUE_GREEN])
def test_what_fails_after_the_swap_is_in_the_evidence(strategy: Strategy) -> None:
    cloud = BreaksAfterTheSwap()
    cloud.set_live(4)
    gates = (ErrorGate(), LimitGate("errors", 0.05))

    result, told = told_of(strategy, cloud, post_bake_seconds=900.0, gates=gates)

    assert result.outcome == "rolled_back"
    after = [r for r in told["timeline"] if at(told, "landed") < r["start"] < at(told, "back")]
    assert after
    assert all(row["weight"] == 100 for row in after[:-1])
    assert sum(row["candidate"]["errors"] for row in after[:3]) > 1000
    rows = [row["candidate"] for row in told["timeline"] if row["candidate"]]
    assert result.candidate_errors == sum(row["errors"] for row in rows)
    assert result.candidate_requests == sum(row["requests"] for row in rows)
    seconds = result.seconds_from_first_error_to_zero_weight
    assert seconds == pytest.approx(at(told, "back") - at(told, "landed"), abs=61)


@pytest.mark.parametrize("strategy", [CANARY, BLUE_GREEN])
def test_a_promoted_version_has_the_minutes_in_which_it_served_alone(strategy: Strategy) -> None:
    result, told = told_of(strategy, post_bake_seconds=900.0)

    assert result.outcome == "promoted"
    alone = [row for row in told["timeline"] if row["start"] > at(told, "landed")]
    assert len(alone) >= 900 // 60 - 1
    assert all(row["weight"] == 100 and row["candidate"]["requests"] > 0 for row in alone)
    assert all(row["live"] is None for row in alone)


def test_copies_are_counted_apart() -> None:
    result, told = told_of(SHADOW)

    assert result.outcome == "compared"
    assert (result.candidate_requests, result.candidate_errors) == (0, 0)
    rows = [row["shadow"] for row in told["timeline"] if row["shadow"]]
    assert result.mirrored_requests == sum(row["requests"] for row in rows) > 0
    assert all(row["candidate"] is None for row in told["timeline"])


@pytest.mark.parametrize("name", ["shadow, canary", "shadow, blue/green"])
def test_a_shadow_before_another_strategy_is_not_its_traffic(name: str) -> None:
    result, told = told_of(STRATEGIES[name])

    assert result.outcome == "promoted"
    assert result.mirrored_requests > 0
    first = min(row["start"] for row in told["timeline"] if row["candidate"])
    assert first > at(told, "phase") - 60
    shares = [(w["weight"], w["mirrored"]) for w in told["weights"]]
    assert shares[:3] == [(0, False), (50, True), (0, False)]
    second = STRATEGIES[name.split(", ")[1] + (" canary" if "blue" in name else "")]
    steps = (25,) if isinstance(second, BlueGreen) else (10, 50)
    assert shares[3:] == [*((step, False) for step in steps), (100, False)]


def test_a_minute_under_two_configurations_is_the_sum_of_them() -> None:
    one = {"candidate": {60.0: VariantMinute(10, 1, 5.0, 2)}, "live": {}}
    other = {"candidate": {60.0: VariantMinute(30, 0, None, None), 120.0: VariantMinute(1, 0, 7.0)}}

    assert together(one, other) == {
        "candidate": {60.0: VariantMinute(40, 1, 5.0, None), 120.0: VariantMinute(1, 0, 7.0)},
        "live": {},
    }


def test_evidence_of_before_copies_were_counted_is_read() -> None:
    result, told = told_of(CANARY)
    old = {k: v for k, v in told.items() if not k.startswith("mirrored")}

    assert result_of(told) == result_of(old) == result


def test_the_page_tells_copies_and_traffic_apart() -> None:
    result, told = told_of(STRATEGIES["shadow, canary"])

    traffic, errors, *_ = figures(told)
    assert traffic.legend == (("shadow", "shadow"), ("candidate", "candidate"))
    assert traffic.caption == (
        "Percent of live's traffic that is copied to the shadow, at most 50 %. "
        "Percent of all traffic to the candidate, at most 100 %, the rest is live's."
    )
    assert "50 % copied to the shadow after" in traffic.chart.description
    assert [row[1:] for row in traffic.table.rows] == [
        ("0 %", "0 %"),
        ("50 %", "0 %"),
        ("0 %", "0 %"),
        ("0 %", "10 %"),
        ("0 %", "50 %"),
        ("0 %", "100 %"),
    ]
    assert [name for _, name in errors.legend] == ["live", "shadow", "candidate"]
    assert f"shadow 0 of {result.mirrored_requests:,}" in errors.chart.description
    assert f"candidate 0 of {result.candidate_requests:,}" in errors.chart.description
    page = render(told)
    for name, value in (
        ("Requests to the new version", result.candidate_requests),
        ("Requests copied to its shadow", result.mirrored_requests),
    ):
        assert f'<dt>{name}</dt><dd class="">{value:,}' in page


def test_a_canary_alone_tells_of_no_shadow() -> None:
    _, told = told_of(CANARY)

    assert "shadow" not in render(told).split("<body>")[1].lower()


def test_on_a_phone_both_configurations_stand_below_each_other() -> None:
    _, told = told_of(CANARY)

    page = render(told)
    assert '<table class="stacked"><caption>What changed' in page
    assert '<td class="code" data-label="Before">wine-test-m1</td>' in page
    assert '<td class="code" data-label="After">wine-test-m2</td>' in page
