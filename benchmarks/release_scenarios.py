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

    ``truth`` overrides what follows from the rates, see ``truth_of``.
    """

    name: str
    requests_per_second: ByMinute
    live: Rates
    candidate: Rates
    disturbances: Disturbances = field(default_factory=Disturbances)
    judged: str = "errors"
    shift: float = 0.0
    truth: str = ""
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


GOOD, ALLOWED, TOLERANCE, WORSE, BETWEEN = "good", "allowed", "tolerance", "worse", "between"
ALLOWED_TIMES = {"errors": 1.0, "slow": 1.25}
ALLOWED_SHIFT = 0.1
SURELY_WORSE = 1.2  # times the tolerance


def truth_of(scenario: Scenario, plan: Plan) -> str:
    """What the candidate is, by the tolerance of the plan's last step.

    good (no worse than live), allowed (no worse than a gate allows), between that and the
    tolerance, at the tolerance, worse (from 1.2 times the tolerance on).
    """
    if scenario.truth:
        return scenario.truth
    tolerance = plan.steps[-1].tolerance
    if scenario.judged == "predictions":
        rate, largest, allowed = scenario.shift, ALLOWED_SHIFT * tolerance.ratio, ALLOWED_SHIFT
        is_good = rate == 0
    else:
        live, rate = average(scenario.live, scenario), average(scenario.candidate, scenario)
        largest = max(tolerance.ratio * live, live + tolerance.points / 100)
        allowed, is_good = ALLOWED_TIMES[scenario.judged] * live, rate <= live
    if is_good:
        return GOOD
    if rate <= allowed + 1e-12:
        return ALLOWED
    if rate >= SURELY_WORSE * largest - 1e-12:
        return WORSE
    return TOLERANCE if abs(rate - largest) < 1e-9 else BETWEEN


def average(rates: Rates, scenario: Scenario) -> float:
    """The mean of what is judged."""
    value = rates.slow if scenario.judged == "slow" else rates.errors
    return float(value) if isinstance(value, int | float) else sum(value) / len(value)


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
# Where live has few errors, half a point is the larger tolerance.
SPARSE = {"x6": 6.0, "x7.2": 7.2}
POINTS = {"same": 0.0, "0.25 %": 0.0025, "0.5 %": 0.005, "0.6 %": 0.006, "2.5 %": 0.025}
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
            for what, rate in _candidates(live):
                yield Scenario(
                    f"{name}, {what}",
                    rps,
                    _rates(judged, live),
                    _rates(judged, rate),
                    judged=judged,
                )


def _candidates(live: float) -> Iterator[tuple[str, float]]:
    if not live:
        yield from POINTS.items()
    else:
        times = TIMES | SPARSE if live < 0.005 else TIMES
        yield from ((what, live * factor) for what, factor in times.items())
    yield "broken", BROKEN


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
                    truth="between" if is_muted else "",
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
        )


def _shifted() -> Iterator[Scenario]:
    for rps in (50, 5):
        for shift in (0.0, 0.1, 0.15, 0.18, 0.3):
            yield Scenario(
                f"predictions shifted by {shift:g}, {rps}/s",
                rps,
                Rates(errors=0.001),
                Rates(errors=0.001),
                judged="predictions",
                shift=shift,
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
