"""The moments of a hypergeometric count, bounded in closed form.

Fisher's noncentral hypergeometric over the central one is ω^y / E[ω^Y]; an upper bound on E[ω^Y]
makes it an e-value at a cost that does not grow with the traffic. A hypergeometric Y is a sum of m
independent Bernoulli variables (Vatutin and Mikhailov 1982) whose mean and variance are known;
among all such sums with ω > 1, E[ω^Y] is largest when the probabilities are 1 or one q < 1
(Chebyshev-Markov, for log(1 + p(ω-1)) has a positive third derivative in p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def log_moments(candidate: int, live: int, bad: int, ratios: Sequence[float]) -> list[float]:
    """Upper bounds on log E[ratio^Y], Y the candidate's among ``bad``; each ratio > 1.

    Never above the binomial bound (Hoeffding 1963), and exact in mean and variance.
    """
    total = candidate + live
    mean = candidate * bad / total
    draws = min(candidate, bad)
    log, log1p = math.log, math.log1p
    if draws - mean <= 0:
        return [draws * log(ratio) for ratio in ratios]
    variance = mean * (1 - bad / total) * live / max(1, total - 1)
    q = min(variance / (draws - mean), 1 - 1e-12)
    free = min(draws, (draws - mean) / (1 - q))
    sure = draws - free
    return [sure * log(ratio) + free * log1p(q * (ratio - 1)) for ratio in ratios]
