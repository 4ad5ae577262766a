"""Tries one engine after the other; the first that is right on every row is taken."""

from __future__ import annotations

from pathlib import Path

from contracts.engine import OUTPUTS
from contracts.package import Conversion
from inference.formats.frames import null_of
from inference.formats.signature import Signature
from model_code.conversion.candidate import Candidate
from model_code.conversion.child import Task
from model_code.conversion.loading import Opened, open_model, raw_frame
from model_code.conversion.plan import Frame, NotConvertibleError
from scripts.proving.answers import merges
from scripts.proving.compare import Failed
from scripts.proving.proof import RejectedError, Truth, prove
from scripts.proving.rows import RowMaker
from scripts.proving.truth import truth_of


def judge(task: Task) -> tuple[Conversion, Candidate | None]:
    """The verdict, and the engine; without one where the model is served as it is.

    Raises:
        LackingOutputError: the model cannot answer so at all.
    """
    signature = Signature.from_schema(task.schema)
    try:
        opened = open_model(Path(task.model_dir), allows_code=task.allows_code)
        truth = truth_of(opened, task, signature)
    except NotConvertibleError as problem:
        return Conversion(reason=str(problem)), None
    maker = RowMaker(task, signature, truth)
    if task.output not in OUTPUTS:
        return _fallback(maker, truth, opened, [f"it answers by {task.output}"]), None
    if task.has_params and task.engine != "sklearn":
        # MLflow's wrapper of scikit-learn leaves them out, that of XGBoost and others does not.
        reason = "its signature has params, by which it may answer otherwise"
        return _fallback(maker, truth, opened, [reason]), None
    reasons: list[str] = []
    for make in (_own, _exported):
        try:
            candidates = make(opened, task)
        except NotConvertibleError as problem:
            reasons.append(str(problem))
            continue
        except Exception as problem:  # noqa: BLE001 a fitted model may hold anything
            reasons.append(f"{type(problem).__name__}: {problem}"[:200])
            continue
        for candidate in candidates:
            try:
                groups = maker.groups(opened.model, candidate.points)
                return prove(candidate, truth, signature, groups, maker.rows_from), candidate
            except RejectedError as problem:
                reasons.append(str(problem))
    return _fallback(maker, truth, opened, reasons), None


def _frame(opened: Opened, task: Task) -> Frame:
    return raw_frame(task.schema, opened.model, null_of(opened.model))


def _own(opened: Opened, task: Task) -> list[Candidate]:
    """By our own engines."""
    from model_code.conversion.estimators import booster_alone, candidate

    own = booster_alone if opened.is_booster else candidate
    return [own(opened.model, _frame(opened, task), task.output)]


def _exported(opened: Opened, task: Task) -> list[Candidate]:
    """By skl2onnx."""
    from model_code.conversion.exported import exports

    if opened.is_booster:
        return []
    return exports(opened.model, _frame(opened, task), task.output)


def _fallback(maker: RowMaker, truth: Truth, opened: Opened, reasons: list[str]) -> Conversion:
    """The model itself; asked alone and together, so that the server knows whether to merge."""
    rows = maker.few(opened.model)
    failed = [answer for answer in truth.answers(rows) if isinstance(answer, Failed)]
    is_hopeless = len(failed) == rows.rows
    if is_hopeless:
        # It may answer others; but nothing is known of what it makes of several requests' rows.
        reasons.append(f"the model itself fails on rows like its signature's: {failed[0].error}")
    return Conversion(
        reason="; ".join(dict.fromkeys(reasons))[:1000],
        rows=rows.rows,
        rows_from=maker.rows_from,
        merges=not is_hopeless and merges(truth.answers.engine, rows),
    )
