"""Evidence of made-up releases: promoted, rolled back, inconclusive, compared, and a long one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from contracts.release_manifest import (
    Canary,
    ErrorGate,
    HookGate,
    LatencyGate,
    Shadow,
    Step,
    Tolerance,
)
from release.controller.start import Snapshot, begin_release
from release.evidence.document import evidence
from release.gates import CountedMinute
from release.observation import Config, Endpoint, Series, Variant, VariantMinute
from release.state import EndpointState, Release, StepResult
from tests.unit.fake_cloud import ENDPOINT, config_of, manifest

BEGAN = 1_763_971_200.0  # 24 November 2025, 08:00 UTC
WHO = "arn:aws:sts::123456789012:assumed-role/release-engineers/ada@example.com"


@dataclass(frozen=True)
class Traffic:
    """Requests a minute, and the shares of errors and slow answers of either variant."""

    requests: int = 1500
    live_errors: float = 0.004
    candidate_errors: float = 0.004
    live_slow: float = 0.02
    candidate_slow: float = 0.02


@dataclass(frozen=True)
class Baked:
    """A step that was baked: so many minutes with one verdict."""

    weight: float
    minutes: int
    verdict: str
    text: str


STEPS = (
    Step(1, Tolerance(10, 5), 180, 7200),
    Step(5, Tolerance(5, 2), 180, 7200),
    Step(25, Tolerance(2, 1), 180, 7200),
    Step(50, Tolerance(1.5, 0.5), 180, 7200),
)
PASSED = "errors 0.4 % against 0.4 %, 5 points excluded, e = 27"


def base(**settings: Any) -> Release:
    endpoint = Endpoint(BEGAN, "InService", "wine-test-c1", 0.0, (Variant("live", 1, 1, 4, 4),))
    snapshot = Snapshot(endpoint, config_of("1"), config_of("2"), None)
    values: dict[str, Any] = {
        "steps": STEPS,
        "gates": (ErrorGate(), LatencyGate(50_000), HookGate("orders", function_arn="arn:f")),
    }
    made = manifest("2", **(values | settings))
    release = begin_release(
        EndpointState(ENDPOINT), made, snapshot, "wine-20251124T080000-a1b2", WHO, retry=False
    )
    return release.noted(
        BEGAN, "planned", "about 41 min", seconds=[1500.0, 2460.0, 30000.0], turnover_seconds=420.0
    )


def _minute(rng: random.Random, n: int, errors: float, slow: float, p95: float) -> VariantMinute:
    count = max(0, round(rng.gauss(n, n**0.5)))
    return VariantMinute(
        requests=count,
        errors=sum(rng.random() < errors for _ in range(count)),
        p95_us=rng.gauss(p95, p95 / 20),
        slow=sum(rng.random() < slow for _ in range(count)),
    )


def bake_steps(
    release: Release,
    steps: tuple[Baked, ...],
    traffic: Callable[[int], Traffic],
    seed: int,
    turnover: float = 420.0,
) -> tuple[Release, Series, float]:
    """All steps, minute by minute; every third minute of a step's first ones does not count."""
    rng = random.Random(seed)
    now = BEGAN + turnover
    release = release.noted(now, "entered", "candidate in service at weight 0", seconds=turnover)
    series: Series = {"live": {}, "candidate": {}}
    passed = 0
    for index, step in enumerate(steps):
        began = now
        release = release.noted(
            now, "weight", f"candidate at {step.weight:g} %", weight=step.weight
        )
        counted: list[CountedMinute] = []
        start = (now // 60 + 1) * 60
        for i in range(step.minutes):
            now_traffic, share = traffic(passed), step.weight / 100
            live = _minute(
                rng,
                round(now_traffic.requests * (1 - share)),
                now_traffic.live_errors,
                now_traffic.live_slow,
                31_000,
            )
            candidate = _minute(
                rng,
                max(1, round(now_traffic.requests * share)),
                now_traffic.candidate_errors,
                now_traffic.candidate_slow,
                33_000,
            )
            at = start + 60 * i
            series["live"][at], series["candidate"][at] = live, candidate
            if i and candidate.requests:
                counted.append(CountedMinute(at, index, share, live, candidate))
            passed += 1
        now = start + 60 * step.minutes
        seconds = now - began
        release = replace(
            release,
            minutes=(*release.minutes, *counted),
            steps=(
                *release.steps,
                StepResult(step.weight, step.verdict, step.text, seconds),
            ),
            first_traffic_at=release.first_traffic_at or began,
        ).noted(now, "step", step.text, weight=step.weight, verdict=step.verdict)
    return release, series, now


def _ended(release: Release, outcome: str, reason: str, at: float) -> Release:
    ended = replace(release, outcome=outcome, reason=reason, stage_since=at)
    return ended.noted(at, "ended", outcome, reason=reason)


def _told(release: Release, series: Series, after: Config, **more: Any) -> dict[str, Any]:
    return {**json.loads(evidence(release, series, after.name, after)), **more}


@cache
def promoted() -> dict[str, Any]:
    steps = tuple(
        Baked(step.weight, minutes, "pass", PASSED)
        for step, minutes in zip(STEPS, (12, 8, 6, 6), strict=True)
    )
    release, series, now = bake_steps(base(), steps, lambda _: Traffic(), 7)
    release = release.noted(
        BEGAN + 700, "hook", "41 orders in the last minute", name="orders", answer="pass"
    )
    release = release.noted(now + 480, "landed", "version 2 in service", config="wine-test-c2")
    release = _ended(
        release, "promoted", "all steps passed, nothing fell after the swap", now + 900
    )
    return _told(release, series, config_of("2"))


@cache
def rolled_back() -> dict[str, Any]:
    fail = "errors 9.1 % against 0.41 %, e = 4.1e9"
    steps = (Baked(1, 12, "pass", PASSED), Baked(5, 4, "fail", fail))

    def traffic(minute: int) -> Traffic:
        bad = minute >= 12
        return Traffic(
            candidate_errors=0.09 if bad else 0.004, candidate_slow=0.11 if bad else 0.02
        )

    release, series, now = bake_steps(base(), steps, traffic, 3)
    release = replace(release, zero_weight_at=now + 8)
    release = release.noted(now, "retreat", f"failed at 5 %: {fail}", ending="rolled_back")
    release = release.noted(now + 8, "zero", "candidate at weight 0: live serves everything")
    release = release.noted(now + 30, "continued", "continued in stage back", pending=[])
    release = release.noted(now + 430, "back", "back on wine-test-c1")
    release = _ended(release, "rolled_back", f"failed at 5 %: {fail}", now + 440)
    return _told(release, series, config_of("1"))


@cache
def inconclusive() -> dict[str, Any]:
    why = "errors 0 % against 0.1 %, not sure yet (e = 3.1 of 20)"
    text = f"no verdict within the longest bake at 1 %: {why}"
    quiet = Traffic(requests=40, live_errors=0.001, candidate_errors=0.001)
    release, series, now = bake_steps(
        base(), (Baked(1, 118, "inconclusive", why),), lambda _: quiet, 11
    )
    release = release.noted(now - 900, "hook", "hook orders did not answer within 30 s",
                            name="orders", answer="not_enough_data")  # fmt: skip
    release = release.noted(now + 8, "zero", "candidate at weight 0: live serves everything")
    release = release.noted(now + 420, "back", "back on wine-test-c1")
    release = _ended(release, "inconclusive", text, now + 430)
    return _told(release, series, config_of("1"))


@cache
def compared() -> dict[str, Any]:
    strategy = Shadow(50.0, Tolerance(2, 1), 600, 7200, 0.01)
    began = base()
    settings = replace(began.manifest.release, strategy=strategy)
    began = replace(began, manifest=replace(began.manifest, release=settings))
    release, series, now = bake_steps(began, (), lambda _: Traffic(), 5)
    rng = random.Random(5)
    pairs: list[dict[str, Any]] = []
    minutes: list[CountedMinute] = []
    for i in range(30):
        at = (now // 60 + 1 + i) * 60
        live, shadow = (
            _minute(rng, 1500, 0.004, 0.02, 31_000),
            _minute(rng, 750, 0.004, 0.02, 30_000),
        )
        series["live"][at], series.setdefault("shadow", {})[at] = live, shadow
        minutes.append(CountedMinute(at, 0, 1 / 3, live, shadow))
        differ = sum(rng.random() < 0.004 for _ in range(700))
        pairs.append({"start": at, "agree": 700 - differ, "differ": differ})
    now += 31 * 60
    text = "errors 0.4 % against 0.4 %, ×2 excluded; 0.4 % of the pairs differ (at most 1 %)"
    release = replace(
        release, minutes=tuple(minutes), steps=(StepResult(50.0, "pass", text, 1860.0),)
    ).noted(now, "step", text, weight=50.0, verdict="pass")
    release = release.noted(now + 400, "back", "back on wine-test-c1")
    release = _ended(release, "compared", text, now + 410)
    return _told(release, series, config_of("1"), pairs=pairs)


@cache
def long() -> dict[str, Any]:
    """Three days, with a daily swing and a bad hour that hits both variants."""
    steps = tuple(
        Baked(step.weight, 1080, "pass", PASSED.replace("5 points", "×2")) for step in STEPS
    )

    def traffic(minute: int) -> Traffic:
        hour = minute / 60 % 24
        busy = 20 + round(60 * max(0.0, 1 - abs(hour - 13) / 11))
        bad = 0.06 if 1900 <= minute < 1960 else 0.004
        return Traffic(busy, bad, bad)

    release, series, now = bake_steps(base(), steps, traffic, 23)
    release = release.noted(
        BEGAN + 90_000, "revised", "2 minutes were counted again", start=BEGAN, before=1, after=2
    )
    release = release.noted(now + 480, "landed", "version 2 in service", config="wine-test-c2")
    release = _ended(
        release, "promoted", "all steps passed, nothing fell after the swap", now + 900
    )
    return _told(release, series, config_of("2"))


SAMPLES: dict[str, Callable[[], dict[str, Any]]] = {
    "promoted": promoted,
    "rolled_back": rolled_back,
    "inconclusive": inconclusive,
    "compared": compared,
    "long": long,
}
CANARY = Canary(STEPS)
