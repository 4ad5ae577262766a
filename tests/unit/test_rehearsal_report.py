"""A rehearsal is good only if something was checked and everything held."""

from __future__ import annotations

import pytest

from scripts.rehearsal.report import Report, check_traffic
from scripts.rehearsal.tally import TrafficTally, VersionTally

GOOD = {"1": VersionTally(500, 0), "2": VersionTally(400, 0)}


def verdict(traffic: TrafficTally) -> tuple[bool, list[str]]:
    report = Report()
    check_traffic(report, traffic, "3", 0.2)
    return report.ok, [check.name for check in report.checks if not check.ok]


def test_a_report_without_checks_is_not_good() -> None:
    assert Report().ok is False


def test_failures_of_the_bad_version_alone_are_as_it_must_be() -> None:
    assert verdict(TrafficTally(1000, 25, 0, {**GOOD, "3": VersionTally(100, 25)})) == (True, [])


@pytest.mark.parametrize(
    ("traffic", "broken"),
    [
        (TrafficTally(1000, 25, 1, {**GOOD, "3": VersionTally(100, 25)}), "no answer was wrong"),
        (TrafficTally(1000, 26, 0, {**GOOD, "3": VersionTally(100, 25)}), "every failure has"),
        (
            TrafficTally(1000, 26, 0, {"1": VersionTally(9, 1), "3": VersionTally(100, 25)}),
            "good versions lost nothing",
        ),
        (TrafficTally(1000, 0, 0, GOOD), "version 3 met traffic and failed"),
        (TrafficTally(1000, 25, 0, {**GOOD, "3": VersionTally(300, 25)}), "version 3 got at most"),
    ],
)
def test_anything_else_is_not(traffic: TrafficTally, broken: str) -> None:
    ok, names = verdict(traffic)
    assert not ok
    assert len(names) == 1
    assert names[0].startswith(broken)
