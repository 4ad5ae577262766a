"""scikit-learn's trees, forests and boosted trees as flat trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_code.conversion.plan import Frame, NotConvertibleError
from model_code.conversion.preprocessing import transformed
from model_code.conversion.trees import LEAF, Ensemble, Members, Tree

Array = Any


def averaged(trees: Sequence[Any], classes: int) -> Ensemble:
    """Decision trees whose values are averaged; ``classes`` is 0 for numbers.

    Of two classes, only the second's share is summed. Sums are divided last, as scikit-learn does,
    so that ties of votes stay ties.
    """
    targets = [0] if classes == 0 else [1] if classes == 2 else list(range(classes))
    flat = [
        _tree(tree.tree_, _shares(tree.tree_, column, classes), target)
        for tree in trees
        for target, column in enumerate(targets)
    ]
    takes_null = bool(trees[0].__sklearn_tags__().input_tags.allow_nan)
    return Ensemble(
        tuple(flat),
        np.zeros(len(targets)),
        divisor=float(len(trees)),
        is_float32=True,
        takes_null=takes_null,
    )


def _shares(tree: Any, column: int, classes: int) -> Array:
    values = tree.value[:, 0, :]
    if classes == 0:
        return values[:, 0]
    return values[:, column] / values.sum(axis=1)


def _tree(tree: Any, value: Array, target: int = 0) -> Tree:
    is_leaf = tree.children_left == -1
    return Tree(
        np.where(is_leaf, 0, tree.feature),
        np.where(is_leaf, 0.0, tree.threshold),
        np.where(is_leaf, LEAF, tree.children_left),
        np.where(is_leaf, LEAF, tree.children_right),
        np.asarray(tree.missing_go_to_left).astype(bool),
        value,
        target,
    )


def gradient_boosted(model: Any, features: int) -> Ensemble:
    """``GradientBoosting``: one tree a stage and class, times the learning rate."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    init = model.init_
    if not (isinstance(init, str) and init == "zero") and not isinstance(
        init, DummyClassifier | DummyRegressor
    ):
        raise NotConvertibleError(f"GradientBoosting(init={type(init).__name__})")
    # Its first guess knows no row: with the trees of no stage taken away, it is what is left.
    row = np.zeros((1, features), dtype=np.float32)
    base = np.array(model._raw_predict_init(row)[0], dtype=np.float64)
    rate = float(model.learning_rate)
    trees = [
        _tree(tree.tree_, tree.tree_.value[:, 0, 0] * rate, target)
        for stage in model.estimators_
        for target, tree in enumerate(stage)
    ]
    return Ensemble(tuple(trees), base, is_float32=True, takes_null=False)


def histogram_boosted(model: Any, frame: Frame) -> tuple[Frame, Ensemble]:
    """``HistGradientBoosting``, with its own encoding of categories; the frame that it needs."""
    if model._preprocessor is not None:
        # It puts the encoded categories before the numbers, as its trees count them.
        frame = transformed(model._preprocessor, frame)
    members = Members(frame)
    trees = [
        _histogram_tree(predictor, members, target)
        for stage in model._predictors
        for target, predictor in enumerate(stage)
    ]
    base = np.array(model._baseline_prediction, dtype=np.float64).reshape(-1)
    return members.frame, Ensemble(tuple(trees), base)


def _histogram_tree(predictor: Any, members: Members, target: int) -> Tree:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    feature = np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.int64)
    threshold = np.where(is_leaf, 0.0, nodes["num_threshold"])
    null_is_yes = nodes["missing_go_to_left"].astype(bool)
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf):
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        codes = members.looked(int(feature[node])).values
        is_yes = _in_bitset(bits, codes, default=bool(null_is_yes[node]))
        feature[node] = members.feature(int(feature[node]), is_yes)
        threshold[node] = 0.5
    return Tree(
        feature,
        threshold,
        np.where(is_leaf, LEAF, nodes["left"].astype(np.int64)),
        np.where(is_leaf, LEAF, nodes["right"].astype(np.int64)),
        null_is_yes,
        nodes["value"],
        target,
    )


def _in_bitset(bits: Array, codes: Array, *, default: bool) -> Array:
    """Whether each code is in the set; NaN and what is below 0 goes the ``default`` way."""
    is_code = np.isfinite(codes) & (codes >= 0)
    whole = np.where(is_code, codes, 0).astype(np.int64)
    is_in = (bits[whole // 32] >> (whole % 32).astype(np.uint32)) & 1
    return np.where(is_code, is_in.astype(bool), default)
