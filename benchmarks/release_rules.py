"""Rules in use today, on the same streams: ten minutes at each weight, a look at each minute's end.

They act as late after a minute as Slipway's settle lag lets it, and see each minute whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

Array = Any
MINUTES_PER_STEP = 10
NEVER = 1 << 30
# Flagger counts failed checks until its threshold; the success rate is that of its documentation.
FLAGGER_SHARE = 0.01
FLAGGER_THRESHOLD = 5
# Argo Rollouts' documented example: successCondition result >= 0.95, interval 5m, failureLimit 3.
ARGO_SHARE, ARGO_INTERVAL, ARGO_LIMIT = 0.05, 5, 3
ALARM_SHARE = 0.01
# Kayenta: Mann-Whitney at 98 % confidence; a shift counts beyond a quarter of its own size.
KAYENTA_CONFIDENCE, KAYENTA_TOLERANCE = 0.98, 0.25
Z_ONE_SIDED = 1.959964
TUNED_TO = 0.99


@dataclass(frozen=True)
class Fixed:
    """Counts of R releases by T minutes, each minute at the weight of its step."""

    n_live: Array
    n_candidate: Array
    bad_live: Array
    bad_candidate: Array

    @property
    def rate(self) -> Array:
        return self.bad_candidate / np.maximum(self.n_candidate, 1)

    @property
    def live_rate(self) -> Array:
        return self.bad_live / np.maximum(self.n_live, 1)


Rule = Callable[[Fixed], Array]


def rules(equal: Fixed) -> dict[str, Rule]:
    """For each rule the minute (1 …) at whose end it rolls back, or ``NEVER``.

    ``equal`` are streams of the same service with an equal candidate: Flagger is tuned to them.
    """
    tuned = _tuned(equal)
    return {
        "Flagger": lambda f: _nth(f.rate > FLAGGER_SHARE, FLAGGER_THRESHOLD),
        "Flagger tuned": lambda f: _nth(f.rate > tuned, FLAGGER_THRESHOLD),
        "Argo failureLimit": _argo,
        "SageMaker alarm": lambda f: _nth(f.rate > ALARM_SHARE, 1),
        "Kayenta Mann-Whitney": _kayenta,
        "z-test every minute": _z_test,
    }


def _nth(failed: Array, count: int) -> Array:
    """The minute of the ``count``-th failed check."""
    reached = np.cumsum(failed, axis=1) >= count
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, NEVER)


def _tuned(equal: Fixed) -> float:
    """The share at which at most 1 % of equal candidates fail five checks."""
    fifth = np.sort(equal.rate, axis=1)[:, -FLAGGER_THRESHOLD]
    return float(np.quantile(fifth, TUNED_TO, method="higher"))


def _argo(fixed: Fixed) -> Array:
    releases, minutes = fixed.n_candidate.shape
    shape = (releases, minutes // ARGO_INTERVAL, ARGO_INTERVAL)
    bad = fixed.bad_candidate[:, : shape[1] * ARGO_INTERVAL].reshape(shape).sum(axis=2)
    requests = fixed.n_candidate[:, : shape[1] * ARGO_INTERVAL].reshape(shape).sum(axis=2)
    at = _nth(bad / np.maximum(requests, 1) > ARGO_SHARE, ARGO_LIMIT + 1)
    return np.where(at == NEVER, NEVER, at * ARGO_INTERVAL)


def _z_test(fixed: Fixed) -> Array:
    """Two proportions over all minutes so far, one-sided at 2.5 %, looked at every minute."""
    n_c, n_l = np.cumsum(fixed.n_candidate, axis=1), np.cumsum(fixed.n_live, axis=1)
    y_c, y_l = np.cumsum(fixed.bad_candidate, axis=1), np.cumsum(fixed.bad_live, axis=1)
    pooled = (y_c + y_l) / np.maximum(n_c + n_l, 1)
    spread = pooled * (1 - pooled) * (1 / np.maximum(n_c, 1) + 1 / np.maximum(n_l, 1))
    difference = y_c / np.maximum(n_c, 1) - y_l / np.maximum(n_l, 1)
    return _nth(difference > Z_ONE_SIDED * np.sqrt(np.maximum(spread, 1e-300)), 1)


def _kayenta(fixed: Fixed) -> Array:
    """The minutes of each step, judged at its end: High fails the analysis."""
    releases, minutes = fixed.rate.shape
    at = np.full(releases, NEVER)
    for end in range(MINUTES_PER_STEP, minutes + 1, MINUTES_PER_STEP):
        window = slice(end - MINUTES_PER_STEP, end)
        is_high = _is_high(fixed.rate[:, window], fixed.live_rate[:, window])
        at = np.where((at == NEVER) & is_high, end, at)
    return at


def _is_high(candidate: Array, live: Array) -> Array:
    """Hodges-Lehmann shift and its interval, by the normal approximation of the rank sum."""
    count = candidate.shape[1]
    shifts = np.sort((candidate[:, :, None] - live[:, None, :]).reshape(len(candidate), -1), axis=1)
    sigma = np.sqrt(count * count * (2 * count + 1) / 12)
    cut = count * count / 2 - norm.ppf((1 + KAYENTA_CONFIDENCE) / 2) * sigma
    lowest = shifts[:, max(0, int(np.floor(cut)))]
    estimate = np.median(shifts, axis=1)
    return lowest > KAYENTA_TOLERANCE * np.abs(estimate)
