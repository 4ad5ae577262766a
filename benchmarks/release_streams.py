"""One release's traffic, drawn beforehand for every step it might be in: the same for each rule."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

from benchmarks.release_scenarios import ByMinute, Scenario

Array = Any
BINS = 10
CAPTURED = 0.2
NIGHT = 1440
LATEST = 5
OUTAGE_MINUTES = 10


class Served(NamedTuple):
    """What one variant really did in one minute."""

    requests: int
    errors: int
    slow: int


class Stream:
    """Counts by minute and step; ``weights`` are the candidate's shares."""

    def __init__(
        self, scenario: Scenario, weights: list[float], minutes: int, seed: int, release: int
    ) -> None:
        self._scenario = scenario
        name = zlib.crc32(scenario.name.encode())
        self._rng = np.random.default_rng((seed, name, release))
        self._weights = np.array(weights)
        shape = (minutes, len(weights))
        requests = self._requests(minutes)
        self.n_candidate = self._rng.binomial(requests[:, None], self._weights)
        self.n_live = requests[:, None] - self.n_candidate
        self.errors = self._bad("errors", shape)
        self.slow = self._bad("slow", shape)
        self._retry(requests)
        disturbances = scenario.disturbances
        self.late = [self._rng.binomial(e, disturbances.late_errors) for e in self.errors]
        is_late = self._rng.random(minutes) < disturbances.late_minutes
        self.delay = np.where(is_late, self._rng.integers(1, LATEST + 1, minutes), 0)
        self.predictions: list[Array] | None = None
        if scenario.judged == "predictions":
            self.predictions = self._predict()

    def _requests(self, minutes: int) -> Array:
        rate = _by_minute(self._scenario.requests_per_second, minutes) * 60
        swing = self._scenario.disturbances.daily_swing
        if swing:
            began = self._rng.uniform(0, 2 * np.pi)
            rate = rate * (1 + swing * np.sin(2 * np.pi * np.arange(minutes) / NIGHT + began))
        return self._rng.poisson(rate)

    def _bad(self, what: str, shape: tuple[int, int]) -> list[Array]:
        """Bad counts of live and of the candidate."""
        scenario, minutes = self._scenario, shape[0]
        disturbances = scenario.disturbances
        rates = [
            _by_minute(getattr(variant, what), minutes)
            for variant in (scenario.live, scenario.candidate)
        ]
        if disturbances.clump > 1 and rates[0].any():
            expected = rates[0] * _by_minute(scenario.requests_per_second, minutes) * 60
            clumps = np.maximum(expected, 1e-9) / disturbances.clump
            burst = self._rng.gamma(clumps) / clumps
            rates = [r * burst for r in rates]
        if what == self._what_is_disturbed:
            is_bad = self._rng.random(minutes) < disturbances.bad_minutes
            shared = np.where(is_bad, disturbances.bad_rate, 0.0)
            rates = [1 - (1 - np.clip(r, 0, 1)) * (1 - shared) for r in rates]
            self._strike(rates)
        rates = [np.clip(r, 0.0, 1.0)[:, None] for r in rates]
        if what == "slow" and disturbances.cold_minutes:
            rates[1] = rates[1].copy()
            rates[1][: disturbances.cold_minutes] = disturbances.cold_rate
        counts = (self.n_live, self.n_candidate)
        return [self._rng.binomial(n, r) for n, r in zip(counts, rates, strict=True)]

    @property
    def _what_is_disturbed(self) -> str:
        return "slow" if self._scenario.judged == "slow" else "errors"

    def _strike(self, rates: list[Array]) -> None:
        """An instance of one variant is out: its share of that variant's requests fails."""
        disturbances = self._scenario.disturbances
        if not disturbances.outage:
            return
        at = ("live", "candidate").index(disturbances.outage)
        out = slice(disturbances.outage_at, disturbances.outage_at + OUTAGE_MINUTES)
        rates[at] = rates[at].copy()
        rates[at][out] = np.maximum(rates[at][out], 1 / disturbances.outage_of)

    def _retry(self, requests: Array) -> None:
        """Half of what fails whoever answers is sent again and again, and routed anew."""
        retries = self._scenario.disturbances.retries
        if not retries:
            return
        minutes = len(requests)
        scenario = self._scenario
        common = np.minimum(
            _by_minute(scenario.live.errors, minutes),
            _by_minute(scenario.candidate.errors, minutes),
        )
        again = retries * self._rng.binomial(requests, common / 2)
        to_candidate = self._rng.binomial(again[:, None], self._weights)
        to_live = again[:, None] - to_candidate
        self.n_live, self.n_candidate = self.n_live + to_live, self.n_candidate + to_candidate
        self.errors = [self.errors[0] + to_live, self.errors[1] + to_candidate]

    def _predict(self) -> list[Array]:
        """Captured answers in each bin; the shift moves the lowest bins' share to the highest."""
        usual = np.full(BINS, 1 / BINS)
        moved = usual.copy()
        left = self._scenario.shift
        for at in range(BINS):
            taken = min(left, moved[at])
            moved[at] -= taken
            left -= taken
        moved[-1] += self._scenario.shift
        return [
            self._rng.multinomial(self._rng.binomial(n, CAPTURED), p)
            for n, p in ((self.n_live, usual), (self.n_candidate, moved))
        ]


def _by_minute(value: ByMinute, minutes: int) -> Array:
    if isinstance(value, int | float):
        return np.full(minutes, float(value))
    values = np.array(value, dtype=float)[:minutes]
    return np.concatenate([values, np.full(minutes - len(values), values[-1])])
