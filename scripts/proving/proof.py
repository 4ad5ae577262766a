"""Compares a candidate with the model on every row; one difference rejects it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contracts.engine import Answer
from contracts.package import Conversion
from inference.engines import Engine
from inference.engines.loading import load_engine
from inference.errors import PackageRefusedError
from inference.formats.frames import LABEL, PROBABILITIES
from inference.formats.signature import Signature
from model_code.conversion.candidate import Candidate
from scripts.proving.answers import Group, Native, ask, merges, part
from scripts.proving.compare import (
    NAMED_RATIOS,
    TOLERANCE,
    Scale,
    extent,
    is_tie,
    named,
    ratio,
)

MERGED_ROWS = 512
SHARES_OUTPUT = "predict_proba"


class RejectedError(Exception):
    """The candidate answers a row differently, or cannot be loaded."""


@dataclass(frozen=True)
class Truth:
    """The model itself: what it answers, and the probabilities behind it, where it has any."""

    answers: Native
    shares: Native | None


def prove(
    candidate: Candidate, truth: Truth, signature: Signature, groups: list[Group], rows_from: str
) -> Conversion:
    """The verdict of a candidate that is right on every row.

    Raises:
        RejectedError: it is not.
    """
    engine = _loaded(candidate, signature)
    sharing = _sharing(candidate, truth, signature)
    scale = Scale(_is_probability(candidate), extent(truth.answers(groups[0].rows)))
    worst, kind = -1.0, ""
    for group in groups:
        found = _worst(engine, sharing, truth, group, scale, candidate.file.answer)
        if named(found) > worst:
            worst, kind = named(found), group.what
    rows = sum(group.rows.rows for group in groups)
    return Conversion(
        engine=candidate.file.engine,
        merges=all(merges(engine, _first(group)) for group in groups[:3]),
        rows=rows,
        rows_from=rows_from,
        tolerance=dict(TOLERANCE),
        worst={"row": kind, "share_of_tolerance_at_most": max(worst, NAMED_RATIOS[0])},
    )


def _first(group: Group) -> Any:
    return part(group.rows, 0, min(group.rows.rows, MERGED_ROWS))


def _is_probability(candidate: Candidate) -> bool:
    answer = candidate.file.answer
    return bool(answer.classes) or answer.link == "sigmoid"


def _loaded(candidate: Candidate, signature: Signature) -> Engine:
    with tempfile.TemporaryDirectory(prefix="slipway-engine-") as scratch:
        candidate.write(Path(scratch) / "engine")
        try:
            return load_engine(Path(scratch) / "engine", signature, merges=False)
        except PackageRefusedError as error:
            reason = str(error).partition(" cannot be loaded ")[2].partition("; package")[0]
            raise RejectedError(f"its conversion cannot be loaded {reason[:300]}") from error


def _sharing(candidate: Candidate, truth: Truth, signature: Signature) -> Engine | None:
    """The candidate answering probabilities, so that labels are not all that is compared."""
    answer = candidate.file.answer
    if truth.shares is None or answer.output == SHARES_OUTPUT or "decision" in answer.link:
        return None
    shares = replace(candidate.file, answer=replace(answer, output=SHARES_OUTPUT))
    return _loaded(replace(candidate, file=shares), signature)


def _worst(
    engine: Engine,
    sharing: Engine | None,
    truth: Truth,
    group: Group,
    scale: Scale,
    answer: Answer,
) -> float:
    native, converted = truth.answers(group.rows), ask(engine, group.rows)
    shares: list[Any] | None = None
    worst = 0.0
    if truth.shares is not None and answer.output != SHARES_OUTPUT:
        shares = truth.shares(group.rows)
        if sharing is not None:
            worst = _largest(group, shares, ask(sharing, group.rows), scale, lambda _: False)
    threshold = _threshold(answer)

    def excused(row: int) -> bool:
        return shares is not None and is_tie(shares[row], threshold)

    return max(worst, _largest(group, native, converted, scale, excused))


def _threshold(answer: Answer) -> tuple[int, float] | None:
    """The tuned threshold on a probability; None where the largest probability wins."""
    if len(answer.classes) != 2 or answer.on != "probability" or answer.threshold == 0.5:
        return None
    return answer.positive, answer.threshold


def _largest(
    group: Group,
    native: list[Any],
    converted: list[Any],
    scale: Scale,
    excused: Callable[[int], bool],
) -> float:
    worst = 0.0
    for row, (one, other) in enumerate(zip(native, converted, strict=True)):
        if isinstance(one, dict) and isinstance(other, dict):
            found = ratio(one[PROBABILITIES], other[PROBABILITIES], scale)
            label = ratio(one[LABEL], other[LABEL], scale)
            found = max(found, 0.0 if label > 1 and excused(row) else label)
        else:
            found = ratio(one, other, scale)
            if found > 1 and not isinstance(one, float) and excused(row):
                found = 0.0
        if found > 1:
            raise RejectedError(
                f"the conversion answers {group.what} (row {row}) with "
                f"{str(other)[:100]}, the model with {str(one)[:100]}"
            )
        worst = max(worst, found)
    return worst
