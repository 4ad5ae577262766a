"""Trees of any library as flat arrays, and those as one ``TreeEnsemble`` graph of doubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from contracts.engine import FOREST, Answer, EngineFile
from model_code.conversion.candidate import Candidate
from model_code.conversion.plan import (
    Frame,
    Looked,
    NotConvertibleError,
    Number,
    backwards,
    lay_out,
)

Array = Any
MAX_NODES = 20_000_000
LESS_OR_EQUAL, LESS = 0, 1
LEAF = -1


@dataclass(frozen=True)
class Tree:
    """A tree's nodes, the root first; ``yes`` is where ``value <= threshold`` leads.

    ``yes`` and ``no`` are node numbers, LEAF for a leaf. ``null_is_yes``: where a null goes.
    ``value``: of a leaf, for the score number ``target``.
    """

    feature: Array
    threshold: Array
    yes: Array
    no: Array
    null_is_yes: Array
    value: Array
    target: int = 0


@dataclass(frozen=True)
class Ensemble:
    """Scores are (sum of the trees' leaves + ``base``) / ``divisor``."""

    trees: tuple[Tree, ...]
    base: Array
    divisor: float = 1.0
    mode: int = LESS_OR_EQUAL
    is_float32: bool = False
    takes_null: bool = True


def forest(frame: Frame, ensemble: Ensemble, answer: Answer) -> Candidate:
    """The frame's features through the trees."""
    if sum(len(tree.feature) for tree in ensemble.trees) > MAX_NODES:
        raise NotConvertibleError(f"more than {MAX_NODES:,} nodes")
    layout = lay_out(frame)
    place = np.empty(len(layout.order), dtype=np.int64)
    place[list(layout.order)] = np.arange(len(layout.order))
    base = np.array(ensemble.base, dtype=np.float64, ndmin=1).copy()
    grown: list[Tree] = []
    for tree in ensemble.trees:
        if tree.yes[0] == LEAF:
            base[tree.target] += tree.value[0]
        else:
            grown.append(replace(tree, feature=place[tree.feature]))
    graph = graph_of(grown or [_stump()], len(layout.order), len(base), ensemble.mode)
    arrays = {**layout.arrays, "base": base, "divisor": np.array([ensemble.divisor])}
    file = EngineFile(
        FOREST,
        answer,
        layout.blocks,
        layout.lookups,
        is_float32=ensemble.is_float32,
        takes_null=ensemble.takes_null,
    )
    return Candidate(file, arrays, graph, _points(frame, ensemble))


def _stump() -> Tree:
    """A tree that adds nothing: a graph needs one, where every tree of the model is one leaf."""
    zeros = np.zeros(3)
    children = np.array([1, LEAF, LEAF]), np.array([2, LEAF, LEAF])
    return Tree(zeros.astype(np.int64), zeros, *children, zeros.astype(bool), zeros)


def _points(frame: Frame, ensemble: Ensemble) -> dict[int, Array]:
    """For each column, the values at which a tree turns, taken back through the steps."""
    by_feature: dict[int, list[Array]] = {}
    for tree in ensemble.trees:
        inner = tree.yes != LEAF
        for feature in np.unique(tree.feature[inner]):
            of_it = inner & (tree.feature == feature)
            by_feature.setdefault(int(feature), []).append(tree.threshold[of_it])
    points: dict[int, list[Array]] = {}
    for number, thresholds in by_feature.items():
        feature = frame.features[number]
        if isinstance(feature, Number):
            distinct = np.unique(np.concatenate(thresholds))
            points.setdefault(feature.column, []).append(backwards(feature.steps, distinct))
    return {column: np.unique(np.concatenate(parts)) for column, parts in points.items()}


def graph_of(trees: Sequence[Tree], features: int, targets: int, mode: int) -> bytes:
    """An ONNX model of one ``TreeEnsemble`` (ai.onnx.ml 5): ``x`` double to sums, double.

    Source of the attributes: onnx.ai, ai.onnx.ml, TreeEnsemble, version 5.
    """
    from onnx import TensorProto, helper, numpy_helper

    flat = _flat(trees)
    tensors = {
        "nodes_splits": flat.splits,
        "nodes_modes": np.full(len(flat.splits), mode, dtype=np.uint8),
        "leaf_weights": flat.weights,
    }
    attributes: dict[str, Any] = {
        "n_targets": targets,
        "aggregate_function": 1,
        "post_transform": 0,
        "tree_roots": flat.roots,
        **{name: values.tolist() for name, values in flat.integers.items()},
        **{name: numpy_helper.from_array(values, name) for name, values in tensors.items()},
    }
    node = helper.make_node("TreeEnsemble", ["x"], ["sums"], domain="ai.onnx.ml", **attributes)
    double = TensorProto.DOUBLE
    graph = helper.make_graph(
        [node],
        "forest",
        [helper.make_tensor_value_info("x", double, [None, features])],
        [helper.make_tensor_value_info("sums", double, [None, targets])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return model.SerializeToString(deterministic=True)


@dataclass(frozen=True)
class _Flat:
    roots: list[int]
    splits: Array
    weights: Array
    integers: dict[str, Array]


def _flat(trees: Sequence[Tree]) -> _Flat:
    """Inner nodes and leaves of all trees, numbered one after the other, as the graph has them."""
    parts: dict[str, list[Array]] = {}
    roots: list[int] = []
    splits: list[Array] = []
    weights: list[Array] = []
    nodes = leaves = 0
    for tree in trees:
        is_leaf = tree.yes == LEAF
        number = np.where(is_leaf, leaves + np.cumsum(is_leaf), nodes + np.cumsum(~is_leaf)) - 1
        inner = ~is_leaf
        roots.append(nodes)
        for name, values in (
            ("nodes_featureids", tree.feature[inner]),
            ("nodes_truenodeids", number[tree.yes[inner]]),
            ("nodes_trueleafs", is_leaf[tree.yes[inner]]),
            ("nodes_falsenodeids", number[tree.no[inner]]),
            ("nodes_falseleafs", is_leaf[tree.no[inner]]),
            ("nodes_missing_value_tracks_true", tree.null_is_yes[inner]),
            ("leaf_targetids", np.full(is_leaf.sum(), tree.target)),
        ):
            parts.setdefault(name, []).append(values.astype(np.int64))
        splits.append(tree.threshold[inner].astype(np.float64))
        weights.append(tree.value[is_leaf].astype(np.float64))
        nodes += int(inner.sum())
        leaves += int(is_leaf.sum())
    integers = {name: np.concatenate(values) for name, values in parts.items()}
    return _Flat(roots, np.concatenate(splits), np.concatenate(weights), integers)


class Members:
    """Splits by sets of categories, each as a feature of its own that is 0 where the set leads."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._extra: list[Looked] = []
        self._known: dict[tuple[int, bytes], int] = {}

    def feature(self, number: int, is_yes: Array) -> int:
        """The feature for looked-up feature ``number``; ``is_yes`` stands beside its values."""
        key = (number, is_yes.tobytes())
        if key not in self._known:
            looked = self.looked(number)
            self._known[key] = len(self._frame.features) + len(self._extra)
            self._extra.append(replace(looked, values=np.where(is_yes, 0.0, 1.0)))
        return self._known[key]

    def looked(self, number: int) -> Looked:
        """Raises NotConvertibleError where the feature is no encoded category."""
        feature = self._frame.features[number]
        if not isinstance(feature, Looked):
            raise NotConvertibleError("a split by category on a number that was never encoded")
        return feature

    @property
    def frame(self) -> Frame:
        return Frame((*self._frame.features, *self._extra))
