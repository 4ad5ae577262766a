"""Small fitted models for tests of conversion, one function for each entry of the docs' table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

ROWS = 150


@dataclass(frozen=True)
class Made:
    """A fitted model with rows as its requests bring them; ``flavor`` is MLflow's module."""

    model: Any
    rows: Any
    output: str = "predict"
    flavor: str = "sklearn"


@cache
def numbers() -> tuple[Any, Any, Any, Any]:
    """Rows of numbers; a binary target, one of three texts, and a positive number."""
    source = np.random.default_rng(1)
    rows = pd.DataFrame(source.normal(size=(ROWS, 4)) * [1, 10, 0.1, 5], columns=list("abcd"))
    score = rows["a"] + rows["b"] / 10 - rows["c"] * 5 + source.normal(size=ROWS) / 2
    three = pd.cut(score, 3, labels=["low", "mid", "high"]).astype("object")
    return rows, (score > 0).astype("int64"), three, np.exp(score / 3)


@cache
def gaps() -> Any:
    """The same rows with values missing."""
    rows = numbers()[0]
    return rows.mask(np.random.default_rng(2).random(rows.shape) < 0.15)


@cache
def people() -> tuple[Any, Any, Any]:
    """Rows of numbers, text and truth, some missing; a target of text and one of numbers."""
    source = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "age": source.integers(18, 90, ROWS),
            "pay": source.lognormal(10, 1, ROWS),
            "city": source.choice(["Rome", "Bern", "Zürich"], ROWS),
            "kind": pd.Series(
                [(None, "a", "b")[i] for i in source.integers(0, 3, ROWS)], dtype=object
            ),
            "member": source.random(ROWS) < 0.3,
        }
    ).astype({"city": "object", "kind": "object"})
    rows.loc[source.random(ROWS) < 0.1, "pay"] = np.nan
    is_yes = (rows["age"] > 40) ^ (rows["city"] == "Rome")
    return rows, np.where(is_yes, "yes", "no"), np.exp(rows["age"] / 50) + is_yes


def classifier(model: Any, output: str = "both") -> Made:
    rows, target, _, _ = numbers()
    return Made(model.fit(rows, target), rows, output)


def texts(model: Any, output: str = "both") -> Made:
    rows, _, target, _ = numbers()
    return Made(model.fit(rows, target), rows, output)


def regressor(model: Any) -> Made:
    rows, _, _, target = numbers()
    return Made(model.fit(rows, target), rows)


def on_gaps(model: Any, output: str = "predict_proba") -> Made:
    return Made(model.fit(gaps(), numbers()[1]), gaps(), output)


def on_people(
    model: Any, categories: Any, values: Any = "passthrough", *, is_number: bool = False
) -> Made:
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    rows, labels, target = people()
    columns = make_column_transformer(
        (categories, ["city", "kind"]), (values, ["age", "pay"]), remainder="passthrough"
    )
    made = make_pipeline(columns, model).fit(rows, target if is_number else labels)
    return Made(made, rows, "predict" if is_number else "predict_proba")


def linear() -> list[Made]:
    from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge

    models = [LinearRegression(), Ridge(), Lasso(0.01), ElasticNet(0.01)]
    return [regressor(model) for model in models]


def logistic() -> list[Made]:
    from sklearn.linear_model import LogisticRegression

    of_rest = LogisticRegression(solver="liblinear")
    return [classifier(of_rest), classifier(LogisticRegression()), texts(LogisticRegression())]


def generalised() -> list[Made]:
    from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor

    return [regressor(m) for m in (PoissonRegressor(), GammaRegressor(), TweedieRegressor())]


def labels_alone() -> list[Made]:
    from sklearn.linear_model import Perceptron, RidgeClassifier
    from sklearn.svm import LinearSVC

    return [
        classifier(LinearSVC(), "predict"),
        texts(RidgeClassifier(), "predict"),
        texts(Perceptron(), "predict"),
    ]


def descent() -> list[Made]:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    model = SGDClassifier(loss="log_loss", random_state=0)
    return [texts(model), regressor(SGDRegressor(random_state=0, eta0=1e-5))]


def trees() -> list[Made]:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    return [
        texts(DecisionTreeClassifier(random_state=0)),
        regressor(DecisionTreeRegressor(random_state=0)),
    ]


def forests() -> list[Made]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return [
        classifier(RandomForestClassifier(8, random_state=0)),
        texts(RandomForestClassifier(8, random_state=0)),
        regressor(RandomForestRegressor(8, random_state=0)),
    ]


def extra_trees() -> list[Made]:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    return [
        classifier(ExtraTreesClassifier(5, random_state=0)),
        regressor(ExtraTreesRegressor(5, random_state=0)),
    ]


def forests_on_gaps() -> list[Made]:
    from sklearn.ensemble import RandomForestClassifier

    return [on_gaps(RandomForestClassifier(8, random_state=0))]


def boosted() -> list[Made]:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    small: dict[str, Any] = {"n_estimators": 8, "random_state": 0}
    return [
        classifier(GradientBoostingClassifier(**small)),
        classifier(GradientBoostingClassifier(loss="exponential", **small)),
        texts(GradientBoostingClassifier(**small)),
        regressor(GradientBoostingRegressor(**small)),
    ]


def histograms() -> list[Made]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return [
        on_gaps(HistGradientBoostingClassifier(max_iter=5), "both"),
        texts(HistGradientBoostingClassifier(max_iter=5)),
        regressor(HistGradientBoostingRegressor(max_iter=5)),
    ]


def log_links() -> list[Made]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    losses = ("poisson", "gamma")
    return [regressor(HistGradientBoostingRegressor(max_iter=5, loss=loss)) for loss in losses]


def categorical_histograms() -> list[Made]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.preprocessing import OrdinalEncoder

    own: dict[str, Any] = {"max_iter": 8, "categorical_features": [0, 1], "min_samples_leaf": 5}
    unknown = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return [
        on_people(HistGradientBoostingClassifier(**own), unknown),
        on_people(
            HistGradientBoostingRegressor(loss="poisson", **own), OrdinalEncoder(), is_number=True
        ),
    ]


def lightgbm_models() -> list[Made]:
    import lightgbm

    rows, target, three, positive = numbers()
    quiet: dict[str, Any] = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    own: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1, "verbose": -1}

    def booster(objective: str, data: Any, wanted: Any) -> Made:
        dataset = lightgbm.Dataset(data, wanted, params={"verbose": -1})
        made = lightgbm.train({"objective": objective, **quiet}, dataset, 5)
        return Made(made, data, flavor="lightgbm")

    return [
        booster("binary", gaps(), target),
        booster("binary", rows, target),
        booster("tweedie", rows, positive),
        Made(lightgbm.LGBMClassifier(**own).fit(rows, three), rows, flavor="lightgbm"),
        Made(lightgbm.LGBMRegressor(**own).fit(rows, positive), rows, flavor="lightgbm"),
    ]


def xgboost_models() -> list[Made]:
    import xgboost

    rows, target, _, positive = numbers()
    own: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1}
    quiet: dict[str, Any] = {"objective": "binary:logistic", "nthread": 1}
    booster = xgboost.train(quiet, xgboost.DMatrix(gaps(), target), 5)
    models = [
        xgboost.XGBClassifier(**own).fit(gaps(), target),
        xgboost.XGBClassifier(**own).fit(rows, target + (positive > 2)),
        xgboost.XGBRegressor(**own).fit(rows, positive),
        xgboost.XGBRegressor(objective="count:poisson", **own).fit(rows, positive),
        booster,
    ]
    return [Made(model, gaps(), flavor="xgboost") for model in models]


def scaled() -> list[Made]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    return [
        classifier(make_pipeline(StandardScaler(), LogisticRegression())),
        regressor(make_pipeline(MinMaxScaler(clip=True), Ridge())),
        regressor(make_pipeline(MaxAbsScaler(), Ridge())),
        regressor(make_pipeline(RobustScaler(), Ridge())),
    ]


def imputed() -> list[Made]:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return [
        on_gaps(make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())),
        on_gaps(make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression())),
        on_gaps(make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression())),
    ]


def one_hot() -> list[Made]:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    values = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoders = [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(drop="first", sparse_output=False),
        OneHotEncoder(min_frequency=0.35, handle_unknown="infrequent_if_exist"),
        make_pipeline(
            SimpleImputer(missing_values=None, strategy="most_frequent"),
            OneHotEncoder(handle_unknown="ignore"),
        ),
    ]
    return [on_people(LogisticRegression(), encoder, values) for encoder in encoders]


def composed() -> list[Made]:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    rows, labels, _ = people()
    both = FeatureUnion([("log", FunctionTransformer(np.log1p)), ("plain", StandardScaler())])
    columns = ColumnTransformer(
        [("values", both, ["age"]), ("member", OneHotEncoder(), ["member"])], remainder="drop"
    )
    made = make_pipeline(columns, LogisticRegression()).fit(rows, labels)
    return [Made(made, rows, "predict_proba")]


def tied() -> list[Made]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = numbers()[0].round(0)
    made = make_pipeline(StandardScaler(), RandomForestClassifier(8, random_state=0))
    return [Made(made.fit(rows, numbers()[1]), rows, "predict_proba")]


def narrow() -> list[Made]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    rows = numbers()[0].astype("float32")
    forest = RandomForestClassifier(8, random_state=0)
    array = rows.to_numpy()
    return [
        Made(make_pipeline(scaler, forest).fit(data, numbers()[1]), data, "predict_proba")
        for scaler, data in ((StandardScaler(), rows), (MinMaxScaler(), array))
    ]


def encoded_forests() -> list[Made]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

    other: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    forest = RandomForestClassifier(8, random_state=0)
    number = RandomForestRegressor(8, random_state=0)
    return [
        on_people(forest, OrdinalEncoder(**other)),
        on_people(forest, TargetEncoder(random_state=0)),
        on_people(number, OneHotEncoder(handle_unknown="ignore"), is_number=True),
    ]


def large_numbers() -> list[Made]:
    from sklearn.ensemble import RandomForestRegressor

    source = np.random.default_rng(5)
    rows = pd.DataFrame({"id": source.integers(2**40, 2**40 + 900, ROWS)})
    return [Made(RandomForestRegressor(8, random_state=0).fit(rows, source.random(ROWS)), rows)]


def thresholds() -> list[Made]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

    rows, target, _, _ = numbers()
    words = np.where(target == 1, "late", "in time")
    tuned = TunedThresholdClassifierCV(LogisticRegression(), cv=2, random_state=0)
    late = FixedThresholdClassifier(LogisticRegression(), threshold=0.8, pos_label="in time")
    score = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.7, response_method="decision_function"
    )
    return [
        classifier(tuned),
        Made(late.fit(rows, words), rows, "both"),
        classifier(score, "predict"),
    ]


def searches() -> list[Made]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0]}
    return [
        classifier(GridSearchCV(model, grid, cv=2)),
        classifier(RandomizedSearchCV(model, grid, cv=2, n_iter=1, random_state=0)),
    ]


def support_vectors() -> list[Made]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    return [
        classifier(make_pipeline(StandardScaler(), SVC()), "predict"),
        regressor(make_pipeline(StandardScaler(), SVR())),
    ]


def other_kinds() -> list[Made]:
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    net = MLPClassifier((4,), max_iter=20, random_state=0)
    return [
        classifier(make_pipeline(StandardScaler(), net)),
        texts(GaussianNB()),
        classifier(AdaBoostClassifier(n_estimators=3, random_state=0)),
    ]


def calibrated() -> list[Made]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression

    return [classifier(CalibratedClassifierCV(LogisticRegression(), cv=2), "predict_proba")]


def calibrated_forest() -> list[Made]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(5, random_state=0)
    return [classifier(CalibratedClassifierCV(forest, cv=2), "predict_proba")]


def neighbours() -> list[Made]:
    from sklearn.neighbors import KNeighborsClassifier

    return [classifier(KNeighborsClassifier(), "predict_proba")]


def _parts() -> list[tuple[str, Any]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    return [("a", LogisticRegression()), ("b", DecisionTreeClassifier(random_state=0))]


def stacked() -> list[Made]:
    from sklearn.ensemble import StackingClassifier

    return [classifier(StackingClassifier(_parts(), cv=2), "predict_proba")]


def voting() -> list[Made]:
    from sklearn.ensemble import VotingClassifier

    return [classifier(VotingClassifier(_parts(), voting="soft"), "predict_proba")]


def several_outputs() -> list[Made]:
    from sklearn.ensemble import RandomForestRegressor

    rows, _, _, target = numbers()
    model = RandomForestRegressor(3, random_state=0).fit(rows, np.column_stack([target, -target]))
    return [Made(model, rows)]


def dates() -> list[Made]:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    rows = numbers()[0].assign(day=pd.date_range("2020-01-01", periods=ROWS))
    columns = make_column_transformer(("passthrough", list("abcd")), remainder="drop")
    return [Made(make_pipeline(columns, Ridge()).fit(rows, numbers()[3]), rows)]


def words() -> list[Made]:
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows, labels, _ = people()
    columns = make_column_transformer((TfidfVectorizer(), "city"), remainder="drop")
    return [Made(make_pipeline(columns, LogisticRegression()).fit(rows, labels), rows)]


def odd_lightgbm() -> list[Made]:
    import lightgbm

    rows = numbers()[0].assign(kind=np.arange(ROWS) % 5)
    target = numbers()[1] ^ (rows["kind"] == 2)
    quiet: dict[str, Any] = {"objective": "binary", "verbose": -1, "num_threads": 1}
    quiet |= {"min_data_in_leaf": 2, "cat_smooth": 0.1, "cat_l2": 0.1, "min_data_per_group": 2}
    by_kind = lightgbm.Dataset(
        rows, target, categorical_feature=["kind"], params={"verbose": -1}, free_raw_data=False
    )
    lines = lightgbm.Dataset(rows, target, params={"verbose": -1, "linear_tree": True})
    return [
        Made(lightgbm.train(quiet, by_kind, 5), rows, flavor="lightgbm"),
        Made(lightgbm.train({**quiet, "linear_tree": True}, lines, 5), rows, flavor="lightgbm"),
    ]


def linear_xgboost() -> list[Made]:
    import xgboost

    rows, _, _, target = numbers()
    model = xgboost.XGBRegressor(booster="gblinear", n_estimators=3, n_jobs=1).fit(rows, target)
    return [Made(model, rows, flavor="xgboost")]


def pickled() -> list[Made]:
    from sklearn.linear_model import Ridge

    return [Made(Ridge().fit(numbers()[0], numbers()[3]), numbers()[0], flavor="pickle")]


def own_code() -> list[Made]:
    from mlflow.pyfunc import PythonModel

    class Doubled(PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input["a"] * 2

    return [Made(Doubled(), numbers()[0], flavor="pyfunc")]


TABLE: dict[str, Callable[[], list[Made]]] = {
    "`LogisticRegression`": logistic,
    "`LinearRegression`, `Ridge`, `Lasso`, `ElasticNet`": linear,
    "`PoissonRegressor`, `GammaRegressor`, `TweedieRegressor`": generalised,
    "`LinearSVC`, `RidgeClassifier`, `Perceptron`": labels_alone,
    "`SGDClassifier`, `SGDRegressor`": descent,
    "`DecisionTreeClassifier`, `DecisionTreeRegressor`": trees,
    "`RandomForestClassifier`, `RandomForestRegressor`": forests,
    "`ExtraTreesClassifier`, `ExtraTreesRegressor`": extra_trees,
    "forests trained on missing values": forests_on_gaps,
    "`GradientBoostingClassifier`, `GradientBoostingRegressor`": boosted,
    "`HistGradientBoostingClassifier`, `HistGradientBoostingRegressor`": histograms,
    "`HistGradientBoostingRegressor` with a log link": log_links,
    "`HistGradientBoosting…` with categorical features": categorical_histograms,
    "LightGBM's `Booster`, `LGBMClassifier`, `LGBMRegressor`": lightgbm_models,
    "XGBoost's `Booster`, `XGBClassifier`, `XGBRegressor`": xgboost_models,
    "a `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler` or `RobustScaler` before these": scaled,
    "`SimpleImputer`, with or without indicator, before a linear model": imputed,
    "`OneHotEncoder` before a linear model": one_hot,
    "`ColumnTransformer`, `FeatureUnion`, `FunctionTransformer` of numpy's functions": composed,
    "a scaler before a forest, with tied values": tied,
    "a scaler in float32 before a forest": narrow,
    "`OneHotEncoder`, `OrdinalEncoder`, `TargetEncoder` before a forest": encoded_forests,
    "whole numbers above 2^24 before a forest": large_numbers,
    "`FixedThresholdClassifier`, `TunedThresholdClassifierCV`": thresholds,
    "`GridSearchCV`, `RandomizedSearchCV`": searches,
    "`SVC`, `SVR`": support_vectors,
    "`MLPClassifier`, `GaussianNB`, `AdaBoostClassifier`": other_kinds,
    "`CalibratedClassifierCV` of a linear model": calibrated,
    "`StackingClassifier`": stacked,
    "`CalibratedClassifierCV` of a forest": calibrated_forest,
    "`KNeighborsClassifier`": neighbours,
    "`VotingClassifier`": voting,
    "several outputs": several_outputs,
    "a column of dates and times": dates,
    "text taken apart (`TfidfVectorizer`)": words,
    "LightGBM with categories or linear trees": odd_lightgbm,
    "XGBoost's `gblinear`": linear_xgboost,
    "a pickle": pickled,
    "code of its own (pyfunc)": own_code,
}


def save(made: Made, folder: Any) -> None:
    """The model as MLflow's own function for it stores it."""
    import mlflow
    from mlflow.models import infer_signature

    own: dict[str, Any] = {
        "signature": infer_signature(made.rows.head() if hasattr(made.rows, "head") else made.rows),
        "pip_requirements": [],
    }
    if made.flavor in {"sklearn", "pickle"}:
        if made.flavor == "sklearn":
            own["skops_trusted_types"] = _types(made.model)
        else:
            own["serialization_format"] = "pickle"
        mlflow.sklearn.save_model(made.model, str(folder), **own)
    elif made.flavor == "pyfunc":
        mlflow.pyfunc.save_model(str(folder), python_model=made.model, **own)
    else:
        if made.flavor == "lightgbm" and hasattr(made.model, "fit"):
            own["skops_trusted_types"] = _types(made.model)
        getattr(mlflow, made.flavor).save_model(made.model, str(folder), **own)


def _types(model: Any) -> list[str]:
    import skops.io

    return skops.io.get_untrusted_types(data=skops.io.dumps(model))
