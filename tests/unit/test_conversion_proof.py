"""The proof has teeth: what answers differently, even at one threshold, is rejected."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from inference.formats.frames import null_of
from inference.formats.signature import Signature
from model_code.conversion.candidate import Candidate
from model_code.conversion.child import Task
from model_code.conversion.estimators import candidate
from model_code.conversion.exported import exports
from model_code.conversion.loading import open_model, raw_frame
from model_code.mlmodel import inputs_of
from scripts.proving.compare import Failed, Scale, is_tie, named, ratio
from scripts.proving.proof import RejectedError, prove
from scripts.proving.rows import RowMaker
from scripts.proving.truth import truth_of
from tests.unit import conversion_models as models

PROBABILITIES, NUMBERS = Scale(True), Scale(False, extent=10.0)


@pytest.mark.parametrize(
    ("native", "converted", "scale", "wanted"),
    [
        (0.5, 0.5, PROBABILITIES, 0.0),
        (0.5, 0.500009, PROBABILITIES, 0.9),
        (0.5, 0.500011, PROBABILITIES, 1.1),
        (100.0, 100.004, NUMBERS, 0.8),
        (100.0, 100.006, NUMBERS, 1.2),
        (0.0, 0.000009, NUMBERS, 0.9),
        (0.0, 0.000011, NUMBERS, 1.1),
        ([0.5, 0.5], [0.5, 0.500005], PROBABILITIES, 0.5),
        ("yes", "yes", PROBABILITIES, 0.0),
        ("yes", "no", PROBABILITIES, math.inf),
        (1, 1.0, PROBABILITIES, math.inf),
        (1, True, PROBABILITIES, math.inf),
        (None, None, NUMBERS, 0.0),
        (1.0, None, NUMBERS, math.inf),
        ([0.5, 0.5], [1.0], PROBABILITIES, math.inf),
        (Failed("a"), Failed("b"), NUMBERS, 0.0),
        (Failed("a"), 1.0, NUMBERS, math.inf),
        (1.0, Failed("a"), NUMBERS, math.inf),
    ],
)
def test_a_difference_is_a_share_of_its_tolerance(
    native: Any, converted: Any, scale: Scale, wanted: float
) -> None:
    assert ratio(native, converted, scale) == pytest.approx(wanted, rel=1e-3)


def test_a_label_may_be_the_other_one_only_where_the_model_can_hardly_decide() -> None:
    assert is_tie([0.5, 0.500005], None)
    assert not is_tie([0.5, 0.50002], None)
    assert is_tie([0.2999951, 0.7000049], (1, 0.7))
    assert not is_tie([0.5, 0.5], (1, 0.7))
    assert not is_tie(Failed("no"), None)


def test_the_manifest_names_bounds_that_no_last_digit_moves() -> None:
    assert [named(found) for found in (0.0, 3e-9, 4e-9, 0.02, 0.9)] == [0.0, 1e-6, 1e-6, 0.1, 1.0]


class Case:
    """A model stored, opened and ready to be compared with."""

    def __init__(self, made: models.Made, folder: Path) -> None:
        models.save(made, folder)
        schema = inputs_of(folder)
        self.opened = open_model(folder, allows_code=False)
        task = Task(str(folder), schema, made.output, "sklearn")
        self.signature = Signature.from_schema(schema)
        self.frame = raw_frame(schema, self.opened.model, null_of(self.opened.model))
        self.truth = truth_of(self.opened, task, self.signature)
        self.maker = RowMaker(task, self.signature, self.truth)
        self.output = made.output

    def own(self) -> Candidate:
        return candidate(self.opened.model, self.frame, self.output)

    def prove(self, made: Candidate) -> str:
        groups = self.maker.groups(self.opened.model, made.points)
        return prove(made, self.truth, self.signature, groups, "").engine


def nudged_weight(made: Candidate) -> Candidate:
    weights = made.arrays["weights"].copy()
    weights[0, 0] *= 1.001
    return replace(made, arrays={**made.arrays, "weights": weights})


def other_order(made: Candidate) -> Candidate:
    classes = made.file.answer.classes[::-1]
    return replace(made, file=replace(made.file, answer=replace(made.file.answer, classes=classes)))


def nudged_table(made: Candidate) -> Candidate:
    table = made.arrays["lookup0"].copy()
    table[-1] += 0.01  # a category never seen
    return replace(made, arrays={**made.arrays, "lookup0": table})


def nudged_fill(made: Candidate) -> Candidate:
    return replace(made, arrays={**made.arrays, "block0.0": made.arrays["block0.0"] + 0.1})


def takes_null(made: Candidate) -> Candidate:
    return replace(made, file=replace(made.file, takes_null=True))


def nudged_threshold(made: Candidate) -> Candidate:
    """The root's threshold of the first tree, one float32 further."""
    graph = onnx.load_from_string(made.graph)
    for attribute in graph.graph.node[0].attribute:
        if attribute.name == "nodes_splits":
            splits = numpy_helper.to_array(attribute.t).copy()
            splits[0] = np.nextafter(np.float32(splits[0]), np.float32(np.inf))
            attribute.t.CopyFrom(numpy_helper.from_array(splits, "nodes_splits"))
    return replace(made, graph=graph.SerializeToString())


def other_null_way(made: Candidate) -> Candidate:
    graph = onnx.load_from_string(made.graph)
    for attribute in graph.graph.node[0].attribute:
        if attribute.name == "nodes_missing_value_tracks_true":
            attribute.ints[:] = [1 - way for way in attribute.ints]
    return replace(made, graph=graph.SerializeToString())


def stump() -> models.Made:
    from sklearn.tree import DecisionTreeClassifier

    return models.classifier(DecisionTreeClassifier(max_depth=1, random_state=0), "predict")


def tuned() -> models.Made:
    return models.thresholds()[1]


def forgets_threshold(made: Candidate) -> Candidate:
    answer = replace(made.file.answer, threshold=0.5)
    return replace(made, file=replace(made.file, answer=answer))


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: models.logistic()[1], nudged_weight),
        (lambda: models.logistic()[2], other_order),
        (lambda: models.one_hot()[0], nudged_table),
        (lambda: models.imputed()[0], nudged_fill),
        (lambda: models.forests_on_gaps()[0], other_null_way),
        (stump, nudged_threshold),
        (tuned, forgets_threshold),
    ],
)
def test_what_answers_differently_is_rejected(
    make: Callable[[], models.Made], change: Callable[[Candidate], Candidate], tmp_path: Path
) -> None:
    case = Case(make(), tmp_path / "model")
    right = case.own()
    assert case.prove(right) == right.file.engine
    with pytest.raises(RejectedError, match=r"answers a (drawn )?row"):
        case.prove(change(right))


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.log_links()[0],
        lambda: models.forests_on_gaps()[0],
        lambda: models.categorical_histograms()[0],
        lambda: models.categorical_histograms()[1],
        lambda: models.tied()[0],
        lambda: models.encoded_forests()[0],
        lambda: models.calibrated_forest()[0],
    ],
    ids=[
        "log",
        "gaps",
        "categories",
        "log and categories",
        "tied",
        "ordinal",
        "calibrated",
    ],
)
def test_what_skl2onnx_is_known_to_convert_wrongly_is_rejected(
    make: Callable[[], models.Made], tmp_path: Path
) -> None:
    case = Case(make(), tmp_path / "model")
    made = exports(case.opened.model, case.frame, case.output)
    assert made, "skl2onnx refused it, so this proves nothing"
    for one in made:
        with pytest.raises(RejectedError, match=r"answers|cannot be loaded"):
            case.prove(one)


def test_a_candidate_that_cannot_be_loaded_is_rejected_with_the_reason(tmp_path: Path) -> None:
    case = Case(models.trees()[1], tmp_path / "model")
    with pytest.raises(RejectedError, match="its conversion cannot be loaded"):
        case.prove(replace(case.own(), graph=b"no graph"))


def test_every_threshold_comes_with_its_neighbours_in_float32(tmp_path: Path) -> None:
    case = Case(stump(), tmp_path / "model")
    made = case.own()
    ((column, points),) = made.points.items()
    groups = case.maker.groups(case.opened.model, made.points)
    (at,) = [group for group in groups if group.what == "a row at a tree's threshold"]
    values = set(at.rows.columns[case.signature.names[column]])
    narrow = np.float32(points[0])
    infinity = np.float32(np.inf)
    around = {float(np.nextafter(narrow, -infinity)), float(np.nextafter(narrow, infinity))}
    assert values == {float(points[0]), float(narrow), *around}


def test_the_rows_hold_nulls_unseen_categories_and_large_numbers(tmp_path: Path) -> None:
    case = Case(models.one_hot()[0], tmp_path / "model")
    groups = {g.what: g.rows for g in case.maker.groups(case.opened.model, {})}
    assert groups["a drawn row"].rows >= 1000
    assert None in groups["a row with a null"].columns["kind"]
    assert "" in groups["a row with an empty text"].columns["city"]
    assert "never seen before" in groups["a row with a category never seen"].columns["city"]
    assert 1e30 in groups["a row with 1e+30 in one column"].columns["pay"]
    assert 2**24 + 1 in groups["a row with 1.67772e+07 in one column"].columns["age"]
