"""The moments of a hypergeometric count, bounded in closed form.

Fisher's noncentral hypergeometric over the central one is ω^y / E[ω^Y]; an upper bound on E[ω^Y]
makes it an e-value at a cost that does not grow with the traffic. A hypergeometric Y is a sum of m
independent Bernoulli variables (Vatutin and Mikhailov 1982) whose mean and variance are known;
among all such sums with ω > 1, E[ω^Y] is largest when the probabilities are 1 or one q < 1
(Chebyshev-Markov, for log(1 + p(ω-1)) has a positive third derivative in p).
"""

from __future__ import annotations

import math


def log_moment(candidate: int, live: int, bad: int, ratio: float) -> float:
    """An upper bound on log E[ratio^Y], Y the candidate's among ``bad``; ``ratio`` > 1.

    Never above the binomial bound (Hoeffding 1963), and exact in mean and variance.
    """
    total = candidate + live
    mean = candidate * bad / total
    draws = min(candidate, bad)
    if draws - mean <= 0:
        return draws * math.log(ratio)
    variance = mean * (1 - bad / total) * live / max(1, total - 1)
    q = variance / (draws - mean)
    if q >= 1:
        return mean * (ratio - 1)
    free = (draws - mean) / (1 - q)
    return max(0.0, draws - free) * math.log(ratio) + free * math.log1p(q * (ratio - 1))
