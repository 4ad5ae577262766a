"""Whether the traffic lets each step pass within its longest bake, also with some bad luck."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.release_manifest import (
    BlueGreen,
    Canary,
    ErrorGate,
    LatencyGate,
    ReleaseManifest,
    Rolling,
    Shadow,
    Step,
    Tolerance,
)
from release.controller.capacity import adds_instances
from release.controller.counting import MINUTE
from release.controller.guardrails import bakes_of
from release.planning.lint.finding import Finding, setting, warning
from release.planning.lint.guardrails import LONGEST_WAIT, key_of, shift_overhead
from release.planning.power import SURE_SIGMAS, passes, points_needed, requests_needed
from release.planning.survey import Survey, Traffic

# Nobody who is asked to tolerate more than this is helped.
MOST_POINTS = 10.0
# A longer bake is no remedy: nobody waits a week for one step.
LONGEST_USEFUL = 7 * 86400.0


@dataclass(frozen=True)
class Window:
    """A time in which both versions are compared, by the key of the stack's file that sets it.

    ``longest`` seconds in all, of which ``uncounted`` cannot count; ``more``: requests to both
    versions for each one that comes (a shadow gets copies). ``weights``: those in whole percent
    that a step could have instead. ``shortest`` seconds before it may pass; None where ``waits``
    of SageMaker's, all as long, compare together.
    """

    where: str
    name: str
    tolerance: Tolerance
    share: float
    longest: float
    uncounted: float
    more: float = 1.0
    weights: range = range(0)
    shortest: float | None = None
    waits: int = 1

    def requests(self, seen: Traffic) -> float:
        """Those that count within the longest bake."""
        counted = max(0.0, self.longest - self.uncounted)
        return self.per_second(seen) * counted

    def per_second(self, seen: Traffic) -> float:
        return seen.requests_per_minute * self.more / MINUTE


def lint(manifest: ReleaseManifest, survey: Survey, count: int) -> list[Finding]:
    settings, seen = manifest.release, survey.traffic
    deciding = [g for g in settings.gates if not g.dry_run]
    compared = [g for g in deciding if isinstance(g, ErrorGate | LatencyGate)]
    if seen is None or not compared:
        return []
    if seen.requests_per_minute <= 0:
        rule = f"no traffic in {seen.source}: no gate can pass without requests"
        return [warning(rule, "traffic", "release while there is traffic")]
    rates: dict[str, float] = {}
    if any(isinstance(g, ErrorGate) for g in compared):
        rates["errors"] = seen.error_rate
    if seen.slow_share is not None and any(isinstance(g, LatencyGate) for g in compared):
        rates["slow answers"] = seen.slow_share
    return [f for window in windows(manifest, count) for f in _window(window, seen, rates)]


def windows(manifest: ReleaseManifest, count: int) -> Iterator[Window]:
    """Of all phases, with a fleet of ``count`` instances."""
    for phase in manifest.release.phases:
        match phase:
            case Canary(steps=steps):
                weights = [step.weight for step in steps]
                for i, step in enumerate(steps):
                    if 0 < step.weight < 100:
                        yield Window(
                            f"release.steps[{i}]",
                            f"{step.weight:g} %",
                            step.tolerance,
                            step.weight / 100,
                            step.bake_max_seconds,
                            counting_seconds(manifest, is_cold=adds_instances(weights, i, count)),
                            weights=_between(steps, i),
                            shortest=step.bake_min_seconds,
                        )
            case Shadow(sampling_percent=percent) if 0 < percent <= 100:
                yield Window(
                    "release.shadow",
                    "the shadow",
                    phase.tolerance,
                    percent / (100 + percent),
                    phase.bake_max_seconds,
                    counting_seconds(manifest, is_cold=True),
                    1 + percent / 100,
                    shortest=phase.bake_min_seconds,
                )
            case BlueGreen() | Rolling():
                yield from _shifted(manifest, phase, count)
            case _:
                pass


def _between(steps: tuple[Step, ...], index: int) -> range:
    """Up to 50 %, above the step before and below the one after: the stack's weights must rise."""
    before = steps[index - 1].weight if index else 0.0
    after = steps[index + 1].weight if index + 1 < len(steps) else 100.0
    return range(math.floor(before) + 1, min(51, math.ceil(after)))


def _shifted(manifest: ReleaseManifest, phase: BlueGreen | Rolling, count: int) -> Iterator[Window]:
    """All bakes that compare, as one: their minutes are counted together."""
    overhead = shift_overhead(manifest)
    baking = [
        (bake.seconds, max(0.0, bake.seconds - overhead), bake.share)
        for bake in bakes_of(phase, count)
        if bake.share < 1
    ]
    counted = sum(seconds for _, seconds, _ in baking)
    if not counted:
        return  # Another rule says that no minute counts, or that nothing is compared.
    longest = float(sum(wait for wait, _, _ in baking))
    share = sum(seconds * share for _, seconds, share in baking) / counted
    name = "the shift"
    where, uncounted = key_of(phase), longest - counted
    waits = len(baking)
    yield Window(where, name, phase.tolerance, share, longest, uncounted, waits=waits)


def counting_seconds(manifest: ReleaseManifest, *, is_cold: bool) -> float:
    """How much of a step's bake cannot count: the warm-up of new instances, and settling."""
    settings = manifest.release
    warm_up = settings.warm_up_seconds if is_cold else 0.0
    return settings.settle_seconds + warm_up + MINUTE


def _window(window: Window, seen: Traffic, rates: dict[str, float]) -> list[Finding]:
    """What is as rare as another comes with it: one finding, not the same twice."""
    budget = window.requests(seen)
    alike: dict[float, list[str]] = {}
    for what, rate in rates.items():
        if not passes(window.tolerance, window.share, budget, rate, SURE_SIGMAS):
            alike.setdefault(rate, []).append(what)
    return [_finding(window, seen, rate, " and ".join(what)) for rate, what in alike.items()]


def _finding(window: Window, seen: Traffic, rate: float, what: str) -> Finding:
    budget = window.requests(seen)
    needed = requests_needed(window.tolerance, window.share, rate, SURE_SIGMAS)
    sure = None if needed is None else window.uncounted + needed / window.per_second(seen)
    least = f"only if it bakes for {_minutes(sure)}" if sure else "for no longer bake either"
    coming = seen.requests_per_minute
    shown = f"{coming:,.0f}" if coming >= 100 else f"{coming:.3g}"
    rule = (
        f"at {shown} requests a minute and {100 * rate:.2g} % {what} "
        f"({seen.source}), {window.name} may not pass within {_minutes(window.longest)}: "
        f"99 of 100 good versions pass {least}"
    )
    remedy = _remedy(window, sure, budget, rate)
    if needed is not None and sure is not None and sure > LONGEST_USEFUL:
        counted = (window.longest - window.uncounted) / MINUTE * window.more
        if counted > 0:
            busier = math.ceil(needed / counted)
            remedy += f"; or release while {busier:,} requests a minute come"
    return warning(rule, window.where, remedy.removeprefix("; or "))


def _remedy(window: Window, sure: float | None, budget: float, rate: float) -> str:
    """What to write into the stack's file instead."""
    ways = [] if sure is None or sure > LONGEST_USEFUL else [_longer(window, sure)]
    enough = (
        weight
        for weight in window.weights
        if passes(window.tolerance, weight / 100, budget, rate, SURE_SIGMAS)
    )
    if (weight := next(enough, None)) is not None:
        ways.append(f"`weight: {weight}`")
    points = points_needed(window.tolerance, window.share, budget, rate)
    if points is not None and points <= MOST_POINTS:
        ratio = window.tolerance.ratio
        ways.append(f"`tolerance: {{ratio: {ratio:g}, points: {points:g}}}`")
    if ways:
        return f"write {', or '.join(ways)}"
    return "" if sure is not None else "release while there is more traffic"


def _longer(window: Window, sure: float) -> str:
    if window.shortest is not None:
        return f"`bake: {{min: {setting(window.shortest)}, max: {setting(sure)}}}`"
    wait = sure / window.waits
    if wait > LONGEST_WAIT:
        return "`strategy: canary`, which may bake for days"
    return f"`wait: {setting(wait)}`"


def _minutes(seconds: float) -> str:
    minutes = math.ceil(seconds / MINUTE - 1e-9)
    return f"{minutes} min" if minutes <= 600 else f"{math.ceil(minutes / 60):,} h"
