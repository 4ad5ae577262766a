"""Which estimator becomes which engine: pipelines, thresholds and searches taken apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from contracts.engine import Answer
from model_code.conversion import boosters, sklearn_trees
from model_code.conversion.candidate import Candidate
from model_code.conversion.linear import linear
from model_code.conversion.plan import Frame, NotConvertibleError
from model_code.conversion.preprocessing import transformed
from model_code.conversion.trees import forest

LOGISTIC = ("LogisticRegression", "LogisticRegressionCV")
DECISIONS = ("RidgeClassifier", "RidgeClassifierCV", "LinearSVC", "Perceptron", "SGDClassifier")
NUMBERS = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "ElasticNet",
    "ElasticNetCV", "BayesianRidge", "ARDRegression", "HuberRegressor", "TheilSenRegressor",
    "SGDRegressor", "LinearSVR", "QuantileRegressor", "Lars", "LassoLarsCV", "LassoLarsIC",
    "OrthogonalMatchingPursuit",
)  # fmt: skip
GENERALISED = ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")
AVERAGED = (
    "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier",
    "ExtraTreeRegressor", "RandomForestClassifier", "RandomForestRegressor",
    "ExtraTreesClassifier", "ExtraTreesRegressor",
)  # fmt: skip
BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
HISTOGRAMS = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
THRESHOLDS = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")


def candidate(model: Any, frame: Frame, output: str) -> Candidate:
    """The model on the frame of its columns, by an engine of ours.

    Raises:
        NotConvertibleError: a part of it is unknown here.
    """
    kind = type(model).__name__
    if not type(model).__module__.startswith(("sklearn.", "lightgbm.", "xgboost.")):
        raise NotConvertibleError(f"{kind}, a type of {type(model).__module__.partition('.')[0]}")
    if kind in SEARCHES:
        return candidate(model.best_estimator_, frame, output)
    if kind in THRESHOLDS:
        inner = getattr(model, "estimator_", model.estimator)
        return _with_threshold(model, inner, candidate(inner, frame, output))
    if kind == "FrozenEstimator":
        return candidate(model.estimator, frame, output)
    if kind == "Pipeline":
        for _, step in model.steps[:-1]:
            frame = transformed(step, frame)
        last = model.steps[-1][1]
        return candidate(last, frame, output)
    if getattr(model, "n_outputs_", 1) != 1 or isinstance(getattr(model, "classes_", None), list):
        raise NotConvertibleError(f"{kind} with several outputs")
    for kinds, make in _KNOWN:
        if kind in kinds:
            return make(model, frame, output)
    raise NotConvertibleError(f"the estimator {kind}")


def _classes(model: Any) -> tuple[Any, ...]:
    found: list[Any] = model.classes_.tolist()
    if not all(isinstance(label, str | int | float | bool) for label in found):
        raise NotConvertibleError("labels that are neither text nor numbers")
    return tuple(found)


def _with_threshold(model: Any, inner: Any, made: Candidate) -> Candidate:
    """A tuned threshold: the positive class where its score reaches it."""
    answer = made.file.answer
    if len(answer.classes) != 2:
        raise NotConvertibleError(f"{type(model).__name__} on {len(answer.classes)} classes")
    asked: Any = model._get_response_method()
    methods: list[str] = [asked] if isinstance(asked, str) else list(asked)
    is_score = next(name for name in methods if hasattr(inner, name)) == "decision_function"
    scorer: Any = getattr(model, "_curve_scorer", None)
    label: Any = model.pos_label if scorer is None else scorer._get_pos_label()
    positive = 1 if label is None else list(answer.classes).index(label)
    fixed: Any = getattr(model, "best_threshold_", None)
    threshold: Any = model.threshold if fixed is None else fixed
    if threshold == "auto":
        threshold = 0.0 if is_score else 0.5
    answer = replace(
        answer,
        threshold=float(threshold),
        on="score" if is_score else "probability",
        is_inclusive=True,
        positive=positive,
    )
    return replace(made, file=replace(made.file, answer=answer))


def _logistic(model: Any, frame: Frame, output: str) -> Candidate:
    classes = _classes(model)
    is_rest = getattr(model, "multi_class", "") == "ovr" or model.solver == "liblinear"
    link = "sigmoid" if len(classes) == 2 else "sigmoids" if is_rest else "softmax"
    answer = Answer(output, link, classes, threshold=0.0, on="score")
    return linear(frame, model.coef_, model.intercept_, answer)


def _decision(model: Any, frame: Frame, output: str) -> Candidate:
    classes = _classes(model)
    is_binary = len(classes) == 2
    link = "decision" if is_binary else "decisions"
    if getattr(model, "loss", "") == "log_loss":
        link = "sigmoid" if is_binary else "sigmoids"
    if output != "predict" and link in {"decision", "decisions"}:
        raise NotConvertibleError(f"{type(model).__name__} has no probabilities")
    answer = Answer(output, link, classes, threshold=0.0, on="score")
    return linear(frame, model.coef_, model.intercept_, answer)


def _number(model: Any, frame: Frame, output: str) -> Candidate:
    coefficients = np.asarray(model.coef_)
    if coefficients.ndim > 1 and coefficients.shape[0] != 1:
        raise NotConvertibleError(f"{type(model).__name__} with several outputs")
    intercept = np.ravel(model.intercept_)
    return linear(frame, coefficients.reshape(1, -1), intercept, Answer(output, "identity"))


def _generalised(model: Any, frame: Frame, output: str) -> Candidate:
    link = type(model._base_loss.link).__name__
    if link not in {"LogLink", "IdentityLink"}:
        raise NotConvertibleError(f"{type(model).__name__} with {link}")
    answer = Answer(output, "exp" if link == "LogLink" else "identity")
    return linear(frame, model.coef_, [float(model.intercept_)], answer)


def _averaged(model: Any, frame: Frame, output: str) -> Candidate:
    trees = getattr(model, "estimators_", None) or [model]
    classes = _classes(model) if hasattr(model, "classes_") else ()
    if len(classes) == 1:
        raise NotConvertibleError("one class only")
    ensemble = sklearn_trees.averaged(trees, len(classes))
    link = "identity" if not classes else "share" if len(classes) == 2 else "shares"
    return forest(frame, ensemble, Answer(output, link, classes))


def _boosted(model: Any, frame: Frame, output: str) -> Candidate:
    ensemble = sklearn_trees.gradient_boosted(model, len(frame.features))
    if not hasattr(model, "classes_"):
        return forest(frame, ensemble, Answer(output, "identity"))
    classes = _classes(model)
    if model.loss == "exponential":
        # Its probabilities are those of twice the score.
        ensemble = replace(ensemble, divisor=0.5)
    answer = _of_scores(classes, output, is_inclusive=True)
    return forest(frame, ensemble, answer)


def _histograms(model: Any, frame: Frame, output: str) -> Candidate:
    frame, ensemble = sklearn_trees.histogram_boosted(model, frame)
    if hasattr(model, "classes_"):
        return forest(frame, ensemble, _of_scores(_classes(model), output))
    link = type(model._loss.link).__name__
    if link not in {"LogLink", "IdentityLink"}:
        raise NotConvertibleError(f"{type(model).__name__} with {link}")
    return forest(frame, ensemble, Answer(output, "exp" if link == "LogLink" else "identity"))


def _of_scores(classes: tuple[Any, ...], output: str, *, is_inclusive: bool = False) -> Answer:
    if len(classes) != 2:
        return Answer(output, "softmax", classes)
    return Answer(output, "sigmoid", classes, threshold=0.0, on="score", is_inclusive=is_inclusive)


def _lightgbm(model: Any, frame: Frame, output: str) -> Candidate:
    made = boosters.lightgbm(model.booster_, frame)
    return _booster(model, made, output)


def _xgboost(model: Any, frame: Frame, output: str) -> Candidate:
    limit = getattr(model, "best_iteration", None) if _stopped_early(model) else None
    made = boosters.xgboost(model.get_booster(), frame, limit)
    return _booster(model, made, output)


def _stopped_early(model: Any) -> bool:
    return getattr(model, "early_stopping_rounds", None) is not None


def _booster(model: Any, made: boosters.Boosted, output: str) -> Candidate:
    """A booster behind scikit-learn's methods: labels by the largest probability."""
    if not hasattr(model, "predict_proba"):
        return forest(made.frame, made.ensemble, Answer(output, made.link))
    answer = Answer(output, made.link, _classes(model))
    return forest(made.frame, made.ensemble, answer)


Make = Callable[[Any, Frame, str], Candidate]
_KNOWN: tuple[tuple[tuple[str, ...], Make], ...] = (
    (LOGISTIC, _logistic),
    (DECISIONS, _decision),
    (NUMBERS, _number),
    (GENERALISED, _generalised),
    (AVERAGED, _averaged),
    (BOOSTED, _boosted),
    (HISTOGRAMS, _histograms),
    (("LGBMClassifier", "LGBMRegressor"), _lightgbm),
    (("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"), _xgboost),
)


def booster_alone(booster: Any, frame: Frame, output: str) -> Candidate:
    """A booster as MLflow logs it without scikit-learn's methods: its own ``predict``."""
    is_lightgbm = type(booster).__module__.startswith("lightgbm.")
    made = boosters.lightgbm(booster, frame) if is_lightgbm else boosters.xgboost(booster, frame)
    link = made.link
    if link in {"sigmoid", "softmax", "sigmoids"}:
        # It answers the second class's probability alone, or a list of them.
        count = len(made.ensemble.base)
        classes = tuple(range(count)) if count > 1 else ()
        alone = Answer("predict_proba" if count > 1 else output, link, classes)
        return forest(made.frame, made.ensemble, alone)
    return forest(made.frame, made.ensemble, Answer(output, link))
