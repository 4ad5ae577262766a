"""When a scheduled action runs next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localcloud.autoscaling.schedules import next_run
from localcloud.service import ServiceError

NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)  # a Wednesday


def after(schedule: str, timezone: str | None = None, start: datetime = NOW) -> str | None:
    found = next_run(schedule, timezone, NOW.timestamp(), start.timestamp())
    return None if found is None else f"{datetime.fromtimestamp(found, UTC):%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize(
    ("schedule", "timezone", "expected"),
    [
        ("at(2026-11-25T12:30:00)", None, "2026-11-25T12:30:00"),
        ("at(2026-11-25T13:30:00)", "Europe/Berlin", "2026-11-25T12:30:00"),
        ("at(2026-11-25T12:00:00)", None, None),
        ("rate(5 minutes)", None, "2026-11-25T12:05:30"),
        ("rate(1 day)", None, "2026-11-26T12:00:30"),
        ("cron(0 * * * ? *)", None, "2026-11-25T13:00:00"),
        ("cron(1 12 * * ? *)", None, "2026-11-25T12:01:00"),
        ("cron(0 8 ? * MON-FRI *)", None, "2026-11-26T08:00:00"),
        ("cron(0 8 ? * SUN *)", None, "2026-11-29T08:00:00"),
        ("cron(*/20 12 * * ? *)", None, "2026-11-25T12:20:00"),
        ("cron(0 8 1 JAN,JUL ? *)", "America/New_York", "2027-01-01T13:00:00"),
        ("cron(0 8 1 1 ? 2026)", None, None),
    ],
)
def test_the_next_run(schedule: str, timezone: str | None, expected: str | None) -> None:
    assert after(schedule, timezone) == expected


def test_nothing_runs_before_its_start() -> None:
    start = datetime(2026, 11, 26, 0, 0, 0, tzinfo=UTC)
    assert after("rate(1 hour)", start=start) == "2026-11-26T00:00:00"
    assert after("cron(0 * * * ? *)", start=start) == "2026-11-26T00:00:00"
    begun = datetime(2026, 11, 25, 11, 59, 0, tzinfo=UTC)
    assert after("rate(1 minute)", start=begun) == "2026-11-25T12:01:00"


@pytest.mark.parametrize(
    "schedule",
    [
        "every minute",
        "rate(0 minutes)",
        "rate(2 weeks)",
        "cron(0 8 * * *)",
        "cron(0 8 * * * *)",
        "cron(0 25 * * ? *)",
        "cron(0 8 L * ? *)",
        "cron(a 8 * * ? *)",
    ],
)
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ServiceError, match="does not take the schedule"):
        after(schedule)


def test_an_unknown_timezone_is_refused() -> None:
    with pytest.raises(ServiceError, match="The timezone Mars is not known"):
        after("cron(0 8 * * ? *)", "Mars")
