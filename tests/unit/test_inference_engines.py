"""Converted engines as the server runs them: answers by row, refusals, files, imports."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.engine import CLASS_LINKS, Answer, Block, EngineFile, Lookup
from inference.engines.answers import MANY_ROWS, answering
from inference.engines.features import UnknownValueError
from inference.engines.loading import load_engine
from inference.errors import PackageRefusedError
from inference.formats.codecs import CSV, JSON, JSON_LINES, Decoded
from inference.formats.encoding import encode, listed
from inference.formats.signature import Column, Signature
from model_code.conversion.candidate import Candidate
from model_code.conversion.trees import Tree, graph_of

NUMBERS = Signature(tuple(Column(name, "number", "double", False) for name in "ab"), None)
MIXED = Signature((*NUMBERS.columns, Column("city", "string", "", True)), None)


def linear(answer: Answer) -> Candidate:
    file = EngineFile("linear", answer, (Block((0, 1), ()),))
    arrays = {"weights": np.array([[2.0, -1.0]]), "bias": np.array([0.5])}
    return Candidate(file, arrays)


def with_city(*, refuses: bool = False) -> Candidate:
    made = linear(Answer("predict", "identity"))
    lookup = Lookup(2, ("Bern", "Rome"), 2, None if refuses else 3)
    table = np.array([[10.0], [20.0], [30.0], [40.0]])
    return replace(
        made,
        file=replace(made.file, lookups=(lookup,)),
        arrays={**made.arrays, "lookup0": table},
    )


def forest(*, takes_null: bool) -> Candidate:
    """One tree: a <= 0.1 (in float32) or null is 1, else 2."""
    tree = Tree(
        np.array([0, 0, 0]),
        np.array([float(np.float32(0.1)), 0.0, 0.0]),
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.array([True, False, False]),
        np.array([0.0, 1.0, 2.0]),
    )
    file = EngineFile(
        "forest",
        Answer("predict", "identity"),
        (Block((0, 1), ()),),
        is_float32=True,
        takes_null=takes_null,
    )
    arrays = {"base": np.array([0.0]), "divisor": np.array([1.0])}
    return Candidate(file, arrays, graph_of([tree], 2, 1, 0))


def loaded(made: Candidate, folder: Path, signature: Signature = NUMBERS):
    made.write(folder / "engine")
    return load_engine(folder / "engine", signature, merges=True)


def rows(*values: tuple[float, ...]) -> Decoded:
    return Decoded({}, len(values), np.array(values, dtype=np.float64))


def test_a_matrix_and_columns_give_the_same_answers(tmp_path: Path) -> None:
    engine = loaded(linear(Answer("predict", "identity")), tmp_path)
    assert engine(rows((1, 2), (3, 4))) == [0.5, 2.5]
    assert engine(Decoded({"a": [1.0, 3], "b": [2.0, 4]}, 2)) == [0.5, 2.5]
    assert (engine.name, engine.is_quick, engine.takes_matrix) == ("linear", True, True)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (Answer("predict", "sigmoid", ("no", "yes"), 0.0, "score"), ["yes", "no"]),
        (Answer("predict", "sigmoid", (False, True), 0.0, "score"), [True, False]),
        (Answer("predict", "sigmoid", (3, 7), 0.9), [3, 3]),
        (Answer("predict", "sigmoid", (3, 7), 0.5, positive=0), [7, 3]),
        (Answer("predict", "decision", (1.0, 2.0), 0.0, "score"), [2.0, 1.0]),
        (Answer("predict", "sigmoid", (3, 7), 1.5, "score", is_inclusive=True), [7, 3]),
        (Answer("predict", "sigmoid", (3, 7), 1.5, "score"), [3, 3]),
    ],
)
def test_labels_keep_their_type_and_the_threshold_is_theirs(
    answer: Answer, wanted: list[Any], tmp_path: Path
) -> None:
    found = loaded(linear(answer), tmp_path)(rows((1, 1), (0, 2)))
    assert found == wanted
    assert [type(label) for label in found] == [type(label) for label in wanted]


def test_both_answers_the_label_beside_its_probabilities() -> None:
    answers = answering(Answer("both", "softmax", ("a", "b", "c")))(np.array([[0.0, 2.0, 1.0]]))
    assert answers[0]["predicted_label"] == "b"
    assert sum(answers[0]["probabilities"]) == pytest.approx(1)
    assert answers[0]["probabilities"][1] == pytest.approx(0.6652409557748219)


def test_scores_beyond_what_exp_holds_are_probabilities_still() -> None:
    scores = np.array([1000.0, -1000.0])
    made = answering(Answer("predict_proba", "sigmoid", (0, 1)))
    assert made(scores) == [[0.0, 1.0], [1.0, 0.0]]
    assert answering(Answer("predict", "exp"))(np.array([1.0, 1e6]))[1] is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.floats(-40, 40), st.sampled_from([0.0, -0.0, 1e3, -1e3, 0.9, math.nan])),
        min_size=3,
        max_size=9,
    ),
    st.sampled_from(
        [
            Answer("predict", "identity"),
            Answer("predict", "exp"),
            Answer("predict", "sigmoid"),
            Answer("predict_proba", "sigmoid", ("no", "yes")),
            Answer("predict_proba", "share", ("no", "yes")),
            Answer("both", "sigmoid", ("no", "yes")),
            Answer("predict_proba", "softmax", ("a", "b", "c")),
            Answer("predict_proba", "shares", ("a", "b", "c")),
            Answer("both", "sigmoids", ("a", "b", "c")),
        ]
    ),
    st.sampled_from([JSON, CSV, JSON_LINES]),
)
def test_many_rows_have_the_bytes_that_each_has_alone(
    scores: list[float], answer: Answer, kind: str
) -> None:
    rows = np.array(scores * 3 * MANY_ROWS)
    if answer.link in CLASS_LINKS:
        rows = rows.reshape(-1, 3)
    made = answering(answer)
    many = made(rows)
    alone = [value for row in range(len(rows)) for value in made(rows[row : row + 1])]
    assert encode(kind, many) == encode(kind, alone)
    assert repr(listed(many)) == repr(alone)


def test_many_numbers_stay_an_array() -> None:
    for answer in (Answer("predict", "sigmoid"), Answer("predict_proba", "sigmoid", (0, 1))):
        assert isinstance(answering(answer)(np.ones(MANY_ROWS)), np.ndarray)
        assert isinstance(answering(answer)(np.ones(MANY_ROWS - 1)), list)


def test_looked_up_categories_null_and_unknown(tmp_path: Path) -> None:
    engine = loaded(with_city(), tmp_path, MIXED)
    city = ["Bern", "Rome", None, "Oslo", ""]
    columns = {"a": [0.0] * 5, "b": [0.0] * 5, "city": city}
    assert engine(Decoded(columns, 5)) == [10.5, 20.5, 30.5, 40.5, 40.5]
    assert not engine.takes_matrix


def test_an_unknown_category_that_the_model_refuses_is_named(tmp_path: Path) -> None:
    engine = loaded(with_city(refuses=True), tmp_path, MIXED)
    columns = {"a": [0.0, 0.0], "b": [0.0, 0.0], "city": ["Bern", "Oslo"]}
    with pytest.raises(UnknownValueError) as caught:
        engine(Decoded(columns, 2))
    assert str(caught.value) == (
        "row 1, column 'city': 'Oslo' came, which the model never saw and refuses"
    )


def test_a_null_is_refused_where_the_model_refuses_it(tmp_path: Path) -> None:
    engine = loaded(linear(Answer("predict", "identity")), tmp_path / "l")
    with pytest.raises(ValueError, match="Input contains NaN, or a value that is too large"):
        engine(rows((1, 1), (np.nan, 1)))
    with pytest.raises(ValueError, match="NaN or a value too large for float32"):
        loaded(forest(takes_null=False), tmp_path / "f")(rows((np.nan, 1)))
    takes = loaded(forest(takes_null=True), tmp_path / "n")
    assert takes(rows((np.nan, 1), (0.2, 1))) == [1.0, 2.0]
    with pytest.raises(ValueError, match="infinity or a value too large for float32"):
        takes(rows((1e39, 1)))


def test_trees_compare_in_float32_where_the_model_does(tmp_path: Path) -> None:
    engine = loaded(forest(takes_null=True), tmp_path)
    narrow = np.float32(0.1)
    above = float(np.nextafter(narrow, np.float32(1)))
    assert engine(rows((0.1, 0), (float(narrow), 0), (above, 0), (0.1 + 1e-10, 0))) == [
        1.0,
        1.0,
        2.0,
        1.0,
    ]


finite = st.floats(-1e6, 1e6, width=64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=40), st.integers(0, 39))
def test_a_row_has_the_same_answer_whatever_comes_beside_it(
    tmp_path: Path, values: list[tuple[float, float]], place: int
) -> None:
    row = place % len(values)
    for name, made in (
        ("s", linear(Answer("predict_proba", "sigmoid", (0, 1)))),
        ("f", forest(takes_null=True)),
    ):
        folder = tmp_path / name
        if not folder.exists():
            made.write(folder)
        engine = load_engine(folder, NUMBERS, merges=True)
        assert repr(engine(rows(*values))[row]) == repr(engine(rows(values[row]))[0])


def spoiled(folder: Path, name: str, data: bytes) -> str:
    (folder / "engine" / name).write_bytes(data)
    with pytest.raises(PackageRefusedError) as caught:
        load_engine(folder / "engine", NUMBERS, merges=True)
    return str(caught.value)


def test_files_that_are_not_what_they_should_be_are_refused_with_the_remedy(
    tmp_path: Path,
) -> None:
    forest(takes_null=True).write(tmp_path / "engine")
    pickled = np.array([object()], dtype=object)
    np.savez(tmp_path / "pickled.npz", base=pickled, divisor=np.array([1.0]))
    good = json.loads((tmp_path / "engine" / "engine.json").read_text())
    for name, data, said in (
        ("model.onnx", b"no graph", "cannot be loaded"),
        ("arrays.npz", (tmp_path / "pickled.npz").read_bytes(), "allow_pickle=False"),
        ("arrays.npz", b"no zip", "cannot be loaded"),
        ("engine.json", b"{", "cannot be loaded"),
        ("engine.json", json.dumps({**good, "schema_version": 9}).encode(), "schema_version is 9"),
        (
            "engine.json",
            json.dumps({**good, "engine": "magic"}).encode(),
            "engine is 'magic'; this server knows linear, forest, onnx",
        ),
    ):
        found = spoiled(tmp_path, name, data)
        assert said in found
        assert found.endswith("package the model again with this version of Slipway")


@pytest.mark.parametrize("kind", ["linear", "forest"])
def test_a_converted_model_answers_without_the_model_s_libraries(kind: str, tmp_path: Path) -> None:
    made = with_city() if kind == "linear" else forest(takes_null=True)
    made.write(tmp_path / "engine")
    program = """
import sys
from pathlib import Path
from inference.formats.codecs import Decoded
from inference.engines.loading import load_engine
from inference.formats.signature import Column, Signature
import inference.predictor
import inference.server
columns = [Column(name, "number", "double", False) for name in "ab"]
signature = Signature((*columns, Column("city", "string", "", True)), None)
engine = load_engine(Path(sys.argv[1]), signature, merges=True)
print(engine(Decoded({"a": [1.0], "b": [1.0], "city": ["Bern"]}, 1)))
heavy = {"pandas", "sklearn", "mlflow", "skops", "scipy", "onnx", "model_code", "scripts"}
heavy |= {"importlib.metadata", "email", "tarfile"}  # 3 MB, and a tenth of the start
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "engine")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[11.5]" if kind == "linear" else "[2.0]", "[]"]
