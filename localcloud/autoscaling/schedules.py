"""When a scheduled action runs next: ``at(...)``, ``rate(...)``, ``cron(...)``. Pure.

Source: botocore's text of PutScheduledAction; cron has the six fields of EventBridge.
"""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localcloud.autoscaling.rules import refuse
from localcloud.service import ServiceError

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)\)")
_CRON = re.compile(r"cron\((.+)\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST_DAYS = 366 * 5


def next_run(schedule: str, timezone: str | None, after: float, start: float) -> float | None:
    """The first moment later than ``after`` (epoch seconds); None where there is none.

    Nothing runs before ``start``, from which a rate counts.

    Raises:
        ServiceError: ``ValidationException`` for an expression that is none.
    """
    zone = zone_of(timezone)
    is_early = start > after
    after = max(after, start - 1)
    if found := _RATE.fullmatch(schedule):
        step = int(found[1]) * _SECONDS[found[2]]
        if step == 0:
            raise _invalid(schedule)
        return start if is_early else start + (int((after - start) // step) + 1) * step
    if found := _AT.fullmatch(schedule):
        moment = dt.datetime.fromisoformat(found[1]).replace(tzinfo=zone).timestamp()
        return moment if moment > after else None
    if found := _CRON.fullmatch(schedule):
        return _Cron(schedule, found[1].split()).after(after, zone)
    raise _invalid(schedule)


def zone_of(timezone: str | None) -> dt.tzinfo:
    if timezone is None:
        return dt.UTC
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise refuse(f"The timezone {timezone} is not known.") from None


class _Cron:
    """minutes hours day-of-month month day-of-week year."""

    def __init__(self, schedule: str, fields: list[str]) -> None:
        if len(fields) != 6 or "?" not in (fields[2], fields[4]):
            raise _invalid(schedule)
        self._schedule = schedule
        self._minutes = self._values(fields[0], 0, 59)
        self._hours = self._values(fields[1], 0, 23)
        self._dates = self._values(fields[2], 1, 31)
        self._months = self._values(fields[3], 1, 12, _MONTHS, 1)
        self._weekdays = self._values(fields[4], 1, 7, _DAYS, 1)
        self._years = self._values(fields[5], 1970, 2199)

    def after(self, moment: float, zone: dt.tzinfo) -> float | None:
        first = dt.datetime.fromtimestamp(moment, zone)
        for offset in range(_LONGEST_DAYS):
            day = first.date() + dt.timedelta(days=offset)
            if not self._has(day):
                continue
            for hour in sorted(self._hours):
                for minute in sorted(self._minutes):
                    time = dt.time(hour, minute, tzinfo=zone)
                    found = dt.datetime.combine(day, time).timestamp()
                    if found > moment:
                        return found
        return None

    def _has(self, day: dt.date) -> bool:
        return (
            day.year in self._years
            and day.month in self._months
            and day.day in self._dates
            and day.isoweekday() % 7 + 1 in self._weekdays
        )

    def _values(
        self, text: str, low: int, high: int, names: tuple[str, ...] = (), base: int = 0
    ) -> set[int]:
        """The numbers that a field names."""
        found: set[int] = set()
        for part in text.split(","):
            span, _, step = part.partition("/")
            first, _, last = span.partition("-")
            if span in ("*", "?"):
                begin, end = low, high
            else:
                begin = self._number(first, names, base)
                # 5/10 is from 5 on; 5 alone is 5.
                end = self._number(last, names, base) if last else (high if step else begin)
            if not (low <= begin <= end <= high) or (step and not step.isdecimal()):
                raise _invalid(self._schedule)
            found.update(range(begin, end + 1, max(1, int(step or 1))))
        return found

    def _number(self, text: str, names: tuple[str, ...], base: int) -> int:
        if text.upper() in names:
            return names.index(text.upper()) + base
        if not text.isdecimal():
            # L, W and # among them, which AWS takes.
            raise _invalid(self._schedule)
        return int(text)


def _invalid(schedule: str) -> ServiceError:
    return refuse(
        f"The local cloud does not take the schedule {schedule}; it takes at(yyyy-mm-ddThh:mm:ss), "
        "rate(value unit) and cron(minutes hours day-of-month month day-of-week year) without L, "
        "W and #."
    )
