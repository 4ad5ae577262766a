"""LightGBM's and XGBoost's own descriptions of their trees as flat trees."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_code.conversion.plan import Frame, Looked, NotConvertibleError, Number
from model_code.conversion.trees import LEAF, LESS, Ensemble, Tree

LIGHTGBM_LINKS = {
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "sigmoids",
    "lambdarank": "identity",
}
# kZeroThreshold in LightGBM's include/LightGBM/meta.h, a float.
LIGHTGBM_ZERO = float(np.float32(1e-35))
XGBOOST_LINKS = {
    "reg:squarederror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "count:poisson": "exp",
    "reg:logistic": "sigmoid",
    "binary:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "rank:pairwise": "identity",
    "rank:ndcg": "identity",
}


@dataclass(frozen=True)
class Boosted:
    """``link`` as the engine names it; ``frame`` as the trees take it."""

    ensemble: Ensemble
    frame: Frame
    link: str


def lightgbm(booster: Any, frame: Frame) -> Boosted:
    """From ``Booster.dump_model()``.

    Raises:
        NotConvertibleError: linear trees, zero as missing, categories or an unknown objective.
    """
    dump: dict[str, Any] = booster.dump_model()
    objective, *settings = str(dump.get("objective", "")).split()
    link = LIGHTGBM_LINKS.get(objective)
    if link is None or "sqrt" in settings:
        raise NotConvertibleError(f"LightGBM's objective {dump.get('objective')!r}")
    targets = int(dump["num_tree_per_iteration"])
    kinds: dict[int, str] = {}
    trees = [
        _lightgbm_tree(info["tree_structure"], number % targets, kinds)
        for number, info in enumerate(dump["tree_info"])
    ]
    frame = replace(
        frame,
        features=tuple(
            _null_as_zero(feature) if kinds.get(number) == "None" else feature
            for number, feature in enumerate(frame.features)
        ),
    )
    divisor = len(trees) / targets if dump.get("average_output") else 1.0
    scale = [float(s.partition(":")[2]) for s in settings if s.startswith("sigmoid:")]
    if scale:
        divisor /= scale[0]
    ensemble = Ensemble(tuple(trees), np.zeros(targets), divisor)
    return Boosted(ensemble, frame, link)


def _null_as_zero(feature: Any) -> Any:
    """Trained without a missing value, LightGBM takes one for 0."""
    match feature:
        case Number():
            return replace(feature, steps=(*feature.steps, ("fill", 0.0)))
        case Looked():
            values = np.where(np.isnan(feature.values), 0.0, feature.values)
            return replace(feature, values=values)
        case _:
            return feature


class _Grower:
    """Flat arrays of one tree, filled node by node."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def add(self, *row: float) -> int:
        self.rows.append(list(row))
        return len(self.rows) - 1

    def tree(self, target: int) -> Tree:
        feature, threshold, yes, no, null_is_yes, value = np.array(self.rows).T
        whole = [part.astype(np.int64) for part in (feature, yes, no)]
        return Tree(
            whole[0], threshold, whole[1], whole[2], null_is_yes.astype(bool), value, target
        )


def _lightgbm_tree(root: dict[str, Any], target: int, kinds: dict[int, str]) -> Tree:
    grower = _Grower()

    def grow(node: dict[str, Any]) -> int:
        if node.get("leaf_coeff"):
            raise NotConvertibleError("LightGBM's linear trees")
        if "split_feature" not in node:
            return grower.add(0, 0, LEAF, LEAF, 0, float(node["leaf_value"]))
        if node["decision_type"] != "<=":
            raise NotConvertibleError("LightGBM's splits by category")
        if node["missing_type"] == "Zero":
            raise NotConvertibleError("LightGBM with zero_as_missing")
        kinds[int(node["split_feature"])] = str(node["missing_type"])
        threshold, default = _beyond_zero(float(node["threshold"])), bool(node["default_left"])
        here = grower.add(int(node["split_feature"]), threshold, 0, 0, default, 0)
        grower.rows[here][2] = grow(node["left_child"])
        grower.rows[here][3] = grow(node["right_child"])
        return here

    grow(root)
    return grower.tree(target)


def _beyond_zero(threshold: float) -> float:
    """LightGBM reads a number nearer to 0 than LIGHTGBM_ZERO as 0; a threshold there moves out."""
    if abs(threshold) > LIGHTGBM_ZERO:
        return threshold
    return LIGHTGBM_ZERO if threshold >= 0 else float(np.nextafter(-LIGHTGBM_ZERO, -np.inf))


def xgboost(booster: Any, frame: Frame, best_iteration: int | None = None) -> Boosted:
    """From ``Booster.save_raw("json")``; it works in float32, and asks ``value < threshold``.

    Raises:
        NotConvertibleError: no trees, categories, several outputs a leaf, or another objective.
    """
    learner: dict[str, Any] = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = str(learner["objective"]["name"])
    link = XGBOOST_LINKS.get(objective)
    if link is None:
        raise NotConvertibleError(f"XGBoost's objective {objective!r}")
    gradient: dict[str, Any] = learner["gradient_booster"]
    weights = None
    if gradient["name"] == "dart":
        weights = [float(weight) for weight in gradient["weight_drop"]]
        gradient = gradient["gbtree"]
    if "model" not in gradient or "trees" not in gradient["model"]:
        raise NotConvertibleError(f"XGBoost's booster {gradient['name']}")
    described: list[dict[str, Any]] = gradient["model"]["trees"]
    targets: list[int] = gradient["model"]["tree_info"]
    if best_iteration is not None:
        ends: list[int] = gradient["model"]["iteration_indptr"]
        described = described[: ends[best_iteration + 1]]
    parameters = learner["learner_model_param"]
    count = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    trees = [
        _xgboost_tree(tree, targets[number], 1.0 if weights is None else weights[number])
        for number, tree in enumerate(described)
    ]
    base = _base_scores(parameters["base_score"], count, link)
    ensemble = Ensemble(tuple(trees), base, mode=LESS, is_float32=True)
    return Boosted(ensemble, frame, link)


def _xgboost_tree(tree: dict[str, Any], target: int, weight: float) -> Tree:
    if int(tree["tree_param"].get("size_leaf_vector", "1")) > 1:
        raise NotConvertibleError("XGBoost's trees with several outputs a leaf")
    if tree.get("categories"):
        raise NotConvertibleError("XGBoost's splits by category")
    yes = np.array(tree["left_children"], dtype=np.int64)
    # What XGBoost reads back from its text is float32, for thresholds and leaves alike.
    conditions = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    return Tree(
        np.array(tree["split_indices"], dtype=np.int64),
        conditions,
        yes,
        np.array(tree["right_children"], dtype=np.int64),
        np.array(tree["default_left"]).astype(bool),
        np.where(yes == LEAF, conditions * weight, 0.0),
        target,
    )


def _base_scores(text: str, count: int, link: str) -> Any:
    """The first guess, which is written as an answer, on the scale of the scores."""
    found = json.loads(text) if text.startswith("[") else [float(text)]
    base = np.array(found, dtype=np.float64)
    if link == "sigmoid":
        base = np.log(base / (1 - base))
    elif link == "exp":
        base = np.log(base)
    return np.resize(base, count)
