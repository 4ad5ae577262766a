"""What is simulated: traffic, both variants' rates, what disturbs them, and the plan of steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contracts.release_manifest import Step, Tolerance
from infra.settings import DEFAULT_STEPS

# One value, or one for each minute (the last one holds on).
ByMinute = float | list[float]


@dataclass(frozen=True)
class Rates:
    """Share of requests that fail, and share of answers slower than the limit."""

    errors: ByMinute = 0.0
    slow: ByMinute = 0.0


@dataclass(frozen=True)
class Disturbances:
    """What real traffic does; it hits both variants alike but for the last two.

    daily_swing: amplitude of a sine of the requests over a day. bad_minutes: share of minutes in
    which ``bad_rate`` of all requests fail or are slow in addition. clump: bad requests come in
    clumps of about so many. retries: how often a failing request is sent again, and fails again.
    late_minutes: the share of minutes that CloudWatch answers up to five minutes later than
    settled; late_errors: the share of errors that it stamps one minute late. cold_minutes: so long
    the candidate is slow at ``cold_rate``. outage: one of ``outage_of`` instances of this variant
    fails in the ten minutes from ``outage_at``.
    """

    daily_swing: float = 0.0
    bad_minutes: float = 0.0
    bad_rate: float = 0.2
    clump: float = 1.0
    retries: int = 0
    late_minutes: float = 0.0
    late_errors: float = 0.0
    cold_minutes: int = 0
    cold_rate: float = 0.5
    outage: str = ""
    outage_of: int = 4
    outage_at: int = 12


@dataclass(frozen=True)
class Scenario:
    """``judged``: errors, slow or predictions; ``shift`` moves that share of predictions.

    ``truth`` says what a release should do: "good" is to be promoted, "tolerance" and "worse" (from
    1.2 times the tolerance on) are not, "between" may go either way, "outage" is only reported.
    """

    name: str
    requests_per_second: ByMinute
    live: Rates
    candidate: Rates
    disturbances: Disturbances = field(default_factory=Disturbances)
    judged: str = "errors"
    shift: float = 0.0
    truth: str = "between"
    steps: tuple[Step, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    name: str
    steps: tuple[Step, ...]
    settle_seconds: float
    warm_up_seconds: float


# Decides at the end of each minute without a lag, as the prototypes did.
RATIOS = Plan(
    "ratios",
    tuple(Step(s.weight, Tolerance(s.tolerance.ratio, 0), 180, 7200) for s in DEFAULT_STEPS),
    -2.0,
    0.0,
)
DEFAULT = Plan("default", DEFAULT_STEPS, 180.0, 180.0)
PLANS = (DEFAULT, RATIOS)


def read_scenarios(path: Path) -> list[Scenario]:
    """Scenarios from a JSON list; missing fields keep their defaults."""
    return [_scenario(raw) for raw in json.loads(path.read_text())]


def _scenario(raw: dict[str, Any]) -> Scenario:
    steps = raw.get("steps")
    values = {
        **raw,
        "live": Rates(**raw.get("live", {})),
        "candidate": Rates(**raw.get("candidate", {})),
        "disturbances": Disturbances(**raw.get("disturbances", {})),
        "steps": None if steps is None else tuple(_step(s) for s in steps),
    }
    return Scenario(**values)


def _step(raw: dict[str, Any]) -> Step:
    tolerance = Tolerance(**raw["tolerance"])
    return Step(**{**raw, "tolerance": tolerance})


# --- the built-in ones

TIMES = {"same": 1.0, "x1.2": 1.2, "x1.5": 1.5, "x1.8": 1.8, "x2": 2.0, "x5": 5.0}
# Where live has no errors there is no ratio: the default tolerance is half a point at last.
POINTS = {"same": 0.0, "0.25 %": 0.0025, "0.5 %": 0.005, "0.6 %": 0.006, "2.5 %": 0.025}
TRUTHS = {"same": "good", "x1.5": "tolerance", "x1.8": "worse", "x2": "worse", "x5": "worse"}
BROKEN = 0.5
DISTURBED = {
    "daily swing": Disturbances(daily_swing=0.6),
    "bad minutes": Disturbances(bad_minutes=0.05),
    "clumps": Disturbances(clump=20),
    "retries": Disturbances(retries=3),
    "late metrics": Disturbances(late_minutes=0.3, late_errors=0.2),
    "all of these": Disturbances(
        daily_swing=0.6, bad_minutes=0.03, clump=5, retries=2, late_minutes=0.2, late_errors=0.2
    ),
}


def built_in() -> list[Scenario]:
    return [*_plain("errors"), *_disturbed(), *_plain("slow"), *_cold(), *_shifted(), *_outages()]


def _rates(judged: str, rate: float) -> Rates:
    return Rates(errors=rate) if judged == "errors" else Rates(slow=rate)


def _plain(judged: str) -> Iterator[Scenario]:
    lives = (0.01, 0.05, 0.001, 0.0) if judged == "errors" else (0.01, 0.05)
    for rps in (50, 5, 500):
        for live in lives:
            name = f"{judged} {100 * live:g} %, {rps}/s"
            for what, rate, truth in _candidates(live):
                yield Scenario(
                    f"{name}, {what}",
                    rps,
                    _rates(judged, live),
                    _rates(judged, rate),
                    judged=judged,
                    truth=truth,
                )


def _candidates(live: float) -> Iterator[tuple[str, float, str]]:
    if live:
        for what, factor in TIMES.items():
            yield what, live * factor, TRUTHS.get(what, "between")
    else:
        for what, rate in POINTS.items():
            yield (
                what,
                rate,
                "good"
                if rate == 0
                else "tolerance"
                if rate == 0.005
                else ("worse" if rate > 0.005 else "between"),
            )
    yield "broken", BROKEN, "worse"


def _disturbed() -> Iterator[Scenario]:
    for what, disturbances in DISTURBED.items():
        for rps in (50, 5, 500):
            for how in ("same", "x2", "x5"):
                # What fails whoever answers comes again on both: with retries, twice as bad is
                # 1.4 times as bad, within the tolerance.
                is_muted = how == "x2" and disturbances.retries > 0
                yield Scenario(
                    f"{what}, errors 1 %, {rps}/s, {how}",
                    rps,
                    Rates(errors=0.01),
                    Rates(errors=0.01 * TIMES[how]),
                    disturbances,
                    truth="between" if is_muted else TRUTHS[how],
                )


def _cold() -> Iterator[Scenario]:
    for how in ("same", "x2"):
        yield Scenario(
            f"cold candidate, slow 1 %, 50/s, {how}",
            50,
            Rates(slow=0.01),
            Rates(slow=0.01 * TIMES[how]),
            Disturbances(cold_minutes=3),
            "slow",
            truth=TRUTHS[how],
        )


def _shifted() -> Iterator[Scenario]:
    for rps in (50, 5):
        for shift, truth in ((0.0, "good"), (0.1, "between"), (0.15, "tolerance"), (0.3, "worse")):
            yield Scenario(
                f"predictions shifted by {shift:g}, {rps}/s",
                rps,
                Rates(errors=0.001),
                Rates(errors=0.001),
                judged="predictions",
                shift=shift,
                truth=truth,
            )


def _outages() -> Iterator[Scenario]:
    for variant in ("live", "candidate"):
        yield Scenario(
            f"outage of one of four instances of {variant}, errors 1 %, 50/s",
            50,
            Rates(errors=0.01),
            Rates(errors=0.01),
            Disturbances(outage=variant),
            truth="outage",
        )
