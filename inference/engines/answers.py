"""From a model's scores to one JSON value a row: numbers, labels with their type, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from contracts.engine import BINARY_LINKS, CLASS_LINKS, NUMBER_LINKS, OUTPUTS, Answer
from inference.formats.encoding import Predictions, listed
from inference.formats.frames import both

# From so many rows on, an array is quicker made and encoded than a list.
MANY_ROWS = 128

Scores = Any  # float64, (rows,) for numbers and two classes, (rows, classes) for more


def answering(answer: Answer) -> Callable[[Scores], Predictions]:
    """What turns scores into answers: a list, or an array where many rows have numbers.

    One row gives the same digits whatever comes beside it: few rows are answered one by one in
    Python, which is quicker for them, and many with the same operations and the same exponential,
    since numpy's own differs from it in the last digit.
    """
    if answer.output not in OUTPUTS:
        raise ValueError(f"output is {answer.output!r}; one of {', '.join(OUTPUTS)} is needed")
    if answer.link in NUMBER_LINKS and not answer.classes:
        return _NUMBERS[answer.link]
    if answer.link in BINARY_LINKS and len(answer.classes) == 2:
        return _two_classes(answer)
    if answer.link in CLASS_LINKS:
        return _many_classes(answer)
    raise ValueError(f"link {answer.link!r} is unknown with {len(answer.classes)} classes")


def array_of_many(values: Scores) -> Predictions:
    """A list, or from :data:`MANY_ROWS` on the array itself."""
    return values.tolist() if len(values) < MANY_ROWS else np.ascontiguousarray(values)


def _numbers(scores: Scores) -> Predictions:
    if len(scores) >= MANY_ROWS and np.isfinite(scores).all():
        return array_of_many(scores)
    return [value if math.isfinite(value) else None for value in scores.tolist()]


def _exponentials(scores: Scores) -> Predictions:
    with np.errstate(over="ignore"):
        return _numbers(np.exp(scores))


def _sigmoid_each(scores: Scores) -> Predictions:
    if len(scores) >= MANY_ROWS:
        return sigmoids(scores)
    return [sigmoid(score) for score in scores.tolist()]


def sigmoid(score: float) -> float:
    """1 / (1 + e^-score), without an overflow on either side."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    power = math.exp(score)
    return power / (1.0 + power)


def sigmoids(scores: Scores) -> Scores:
    """:func:`sigmoid` of each, bit by bit.

    Of a complex number without an imaginary part numpy takes the C library's exponential, as
    ``math`` does (C11, G.6.3.1: its real part is exp(x)), in a quarter of the time.
    """
    powers = np.exp(-np.abs(scores) + 0j).real
    return np.where(scores >= 0, 1.0, powers) / (1.0 + powers)


_NUMBERS: dict[str, Callable[[Scores], Predictions]] = {
    "identity": _numbers,
    "exp": _exponentials,
    "sigmoid": _sigmoid_each,
}


def _two_classes(answer: Answer) -> Callable[[Scores], Predictions]:
    first, second = answer.classes
    other = first if answer.positive == 1 else second
    chosen = answer.classes[answer.positive]
    share: Callable[[float], float] = sigmoid if answer.link == "sigmoid" else float
    threshold, is_inclusive = answer.threshold, answer.is_inclusive
    on_score = answer.on == "score" or answer.link == "decision"

    def label(score: float) -> Any:
        value = score if on_score else share(score)
        if answer.positive == 0:
            value = -value if on_score else 1.0 - value
        return chosen if value > threshold or (is_inclusive and value == threshold) else other

    def labels(scores: Scores) -> list[Any]:
        return [label(score) for score in scores.tolist()]

    def probabilities(scores: Scores) -> Predictions:
        if len(scores) >= MANY_ROWS:
            ones = sigmoids(scores) if answer.link == "sigmoid" else scores
            return np.stack((1.0 - ones, ones), axis=1)
        return [[1.0 - one, one] for one in map(share, scores.tolist())]

    return _chosen(answer, labels, probabilities)


def _many_classes(answer: Answer) -> Callable[[Scores], Predictions]:
    classes = answer.classes
    shares = _SHARES[answer.link]

    def labels(scores: Scores) -> list[Any]:
        return [classes[i] for i in scores.argmax(axis=1).tolist()]

    def probabilities(scores: Scores) -> Predictions:
        return array_of_many(shares(scores))

    return _chosen(answer, labels, probabilities)


def _softmax(scores: Scores) -> Scores:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _sigmoids(scores: Scores) -> Scores:
    """One against the rest: each class's own sigmoid, made to sum to 1."""
    with np.errstate(over="ignore"):
        ones = 1.0 / (1.0 + np.exp(-scores))
    total = ones.sum(axis=1, keepdims=True)
    return np.where(total == 0, 1.0 / scores.shape[1], ones / np.where(total == 0, 1.0, total))


_SHARES: dict[str, Callable[[Scores], Scores]] = {
    "softmax": _softmax,
    "shares": lambda scores: scores,
    "sigmoids": _sigmoids,
    "decisions": lambda scores: scores,
}


def _chosen(
    answer: Answer,
    labels: Callable[[Scores], list[Any]],
    probabilities: Callable[[Scores], Predictions],
) -> Callable[[Scores], Predictions]:
    if answer.output == "predict":
        return labels
    if answer.link in {"decision", "decisions"}:
        raise ValueError("the model has no probabilities")
    if answer.output == "predict_proba":
        return probabilities
    return lambda scores: both(labels(scores), listed(probabilities(scores)))
