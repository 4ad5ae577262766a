"""A converted model on disk: what ``slipway package`` writes below ``engine/``, for the server.

``engine.json`` (:class:`EngineFile`) says how an answer is made; ``arrays.npz`` holds its numbers
and ``model.onnx`` its graph, where it has one. Nothing in them is code, and none is ever unpickled.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from contracts.canonical import pretty_json
from contracts.fields import Fields

ENGINE_FOLDER = "engine"
ENGINE_FILE = "engine.json"
ARRAYS_FILE = "arrays.npz"
GRAPH_FILE = "model.onnx"
SCHEMA_VERSION = 1

LINEAR, FOREST, ONNX = "linear", "forest", "onnx"
CONVERTED = (LINEAR, FOREST, ONNX)
# Elementwise steps from a column's value to a feature's; those in ``STEPS_WITH`` take an array.
STEPS_WITH = ("fill", "sub", "div", "mul", "add", "least", "most")
STEPS_ALONE = ("float32", "is_missing", "log1p", "expm1", "log", "exp", "sqrt", "square", "abs")
NUMBER_LINKS = ("identity", "exp", "sigmoid")
BINARY_LINKS = ("sigmoid", "share", "decision")
CLASS_LINKS = ("softmax", "shares", "sigmoids", "decisions")
OUTPUTS = ("predict", "predict_proba", "both")
# What MLflow's pyfunc_predict_fn may name beside these, of scikit-learn models that are not
# converted; `score`, which it allows too, wants the true values.
LOGGED_OUTPUTS = ("predict_log_proba", "predict_joint_log_proba")


@dataclass(frozen=True)
class Block:
    """Features that are made alike of one column each: positions in the signature, and the steps.

    The array of step ``j`` of block ``i`` is ``block{i}.{j}``.
    """

    columns: tuple[int, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Lookup:
    """A column whose values are looked up: row ``k`` of array ``lookup{i}`` belongs to ``keys[k]``.

    ``missing`` and ``unknown`` are the rows of a null and of any other value; None refuses it.
    """

    column: int
    keys: tuple[str | float | bool, ...]
    missing: int | None
    unknown: int | None


@dataclass(frozen=True)
class Answer:
    """From scores to what is answered.

    ``link`` makes numbers or probabilities of scores; ``classes`` are the labels, none for numbers.
    A binary label is the class ``positive`` where its probability (or its score, for a threshold
    ``on`` it) is above ``threshold``, or equal to it where the threshold ``is_inclusive``.
    """

    output: str
    link: str
    classes: tuple[str | float | bool, ...] = ()
    threshold: float = 0.5
    on: str = "probability"
    is_inclusive: bool = False
    positive: int = 1


@dataclass(frozen=True)
class EngineFile:
    """``engine.json``.

    ``is_float32``: features are rounded to float32 before trees or graph see them.
    ``takes_null``: a feature may be NaN.
    """

    engine: str
    answer: Answer
    blocks: tuple[Block, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    is_float32: bool = False
    takes_null: bool = False

    def to_json(self) -> str:
        return pretty_json({"schema_version": SCHEMA_VERSION, **asdict(self)})

    @staticmethod
    def from_json(text: str, where: str = ENGINE_FILE) -> EngineFile:
        """Raises ContractError, or ValueError where it is no JSON."""
        fields = Fields(json.loads(text), where)
        fields.schema_version(SCHEMA_VERSION)
        return EngineFile(
            engine=fields.text("engine"),
            answer=_answer(fields.child("answer")),
            blocks=tuple(
                Block(_integers(block, "columns"), tuple(str(s) for s in block.items("steps")))
                for block in fields.children("blocks")
            ),
            lookups=tuple(_lookup(lookup) for lookup in fields.children("lookups")),
            is_float32=fields.flag("is_float32"),
            takes_null=fields.flag("takes_null"),
        )


def _answer(fields: Fields) -> Answer:
    return Answer(
        output=fields.text("output"),
        link=fields.text("link"),
        classes=tuple(fields.items("classes")),
        threshold=fields.number("threshold"),
        on=fields.text("on"),
        is_inclusive=fields.flag("is_inclusive"),
        positive=fields.integer("positive"),
    )


def _lookup(fields: Fields) -> Lookup:
    def row(key: str) -> int | None:
        return None if fields.raw.get(key) is None else fields.integer(key)

    keys: list[Any] = fields.items("keys")
    return Lookup(fields.integer("column"), tuple(keys), row("missing"), row("unknown"))


def _integers(fields: Fields, key: str) -> tuple[int, ...]:
    return tuple(int(value) for value in fields.items(key))
