"""``slipway train``: fit on flights, judge on a later month, register in MLflow."""

# pandas' own types say Series | DataFrame where a selection is one of them.
# pyright: reportReturnType=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportAssignmentType=false

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from model_code import flights
from model_code.errors import TrainingError, TrainingOptionsError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

DEFAULT_MODEL = "flight-delay"
ESTIMATORS = ("logreg", "hgb", "forest")


@dataclass(frozen=True)
class TrainingOptions:
    """What decides a training; the same options give the same model.

    ``sample`` is the most rows to train on, None for all. ``airports`` restricts training *and*
    evaluation to flights from these. ``strict_categories`` makes the model refuse a carrier, origin
    or destination that it never saw, where others would treat it as none of the known ones.
    """

    model: str = DEFAULT_MODEL
    estimator: str = "logreg"
    train_months: tuple[int, ...] = (1, 2, 3, 4)
    evaluate_month: int = 5
    sample: int | None = 20_000
    airports: tuple[str, ...] = flights.AIRPORTS
    strict_categories: bool = False
    seed: int = 0

    def check(self) -> None:
        """Refuse what cannot be trained, all problems at once."""
        problems: list[str] = []
        if self.estimator not in ESTIMATORS:
            problems.append(f"estimator is {self.estimator!r}; one of {', '.join(ESTIMATORS)}")
        if self.train_months and self.evaluate_month <= max(self.train_months):
            problems.append(
                f"evaluate-month is {self.evaluate_month}; a month after the training months "
                f"({max(self.train_months)}), so that the model is judged on what it has not seen"
            )
        if unknown := sorted(set(self.airports) - set(flights.AIRPORTS)):
            problems.append(f"airports has {unknown}; some of {', '.join(flights.AIRPORTS)}")
        if self.sample is not None and self.sample < 100:
            problems.append(f"sample is {self.sample}; at least 100 rows are needed")
        if problems:
            raise TrainingOptionsError("; ".join(problems))


@dataclass(frozen=True)
class TrainingResult:
    model: str
    version: str
    run_id: str
    rows: int
    metrics: dict[str, float]
    seconds: float
    options: dict[str, Any] = field(default_factory=dict[str, Any])


def train(options: TrainingOptions, tracking_uri: str) -> TrainingResult:
    """Fit, evaluate, log and register; the new version gets the alias ``challenger``."""
    from model_code import registry

    options.check()
    began = time.monotonic()
    training = _rows(options, options.train_months, options.sample)
    evaluation = _rows(options, (options.evaluate_month,), None)
    features = list(flights.FEATURES)
    pipeline = build_pipeline(options).fit(training[features], training[flights.TARGET])
    metrics = evaluate(pipeline, evaluation)
    logged = registry.log_sklearn(
        tracking_uri,
        options.model,
        pipeline,
        example=evaluation.loc[_scorable(pipeline, evaluation), features],
        params={k: v for k, v in asdict(options).items() if k != "model"},
        metrics=metrics,
        predict_fn="predict_proba",
    )
    seconds = time.monotonic() - began
    return TrainingResult(
        options.model,
        logged.version,
        logged.run_id,
        len(training),
        metrics,
        seconds,
        asdict(options),
    )


def _rows(options: TrainingOptions, months: tuple[int, ...], sample: int | None) -> pd.DataFrame:
    frame = flights.load_flights(months)
    frame = frame[frame["origin"].isin(options.airports)]
    if sample is not None and sample < len(frame):
        frame = frame.sample(n=sample, random_state=options.seed)
    return frame.reset_index(drop=True)


def build_pipeline(options: TrainingOptions) -> Pipeline:
    """Preprocessing and estimator in one object, so that a request is a raw row."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    unknown = "error" if options.strict_categories else "ignore"
    numbers = [*flights.SCHEDULE, *flights.WEATHER]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (
                "categories",
                OneHotEncoder(handle_unknown=unknown, sparse_output=False),
                list(flights.CATEGORIES),
            ),
        ]
    )
    return make_pipeline(columns, _estimator(options))


def _estimator(options: TrainingOptions) -> Any:
    match options.estimator:
        case "logreg":
            from sklearn.linear_model import LogisticRegression

            return LogisticRegression(max_iter=500)
        case "hgb":
            from sklearn.ensemble import HistGradientBoostingClassifier

            return HistGradientBoostingClassifier(max_iter=100, random_state=options.seed)
        case "forest":
            from sklearn.ensemble import RandomForestClassifier

            return RandomForestClassifier(
                n_estimators=100, min_samples_leaf=20, random_state=options.seed
            )
        case other:
            raise TrainingError(f"estimator is {other!r}; one of {', '.join(ESTIMATORS)}")


def evaluate(pipeline: Pipeline, frame: pd.DataFrame) -> dict[str, float]:
    """Quality on the rows of ``frame`` that the model can answer, and the share that it cannot."""
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

    scorable = _scorable(pipeline, frame)
    unscorable_share = 1 - float(scorable.mean())
    frame = frame[scorable]
    truth = frame[flights.TARGET]
    late = pipeline.predict_proba(frame[list(flights.FEATURES)])[:, 1]
    return {
        "auc": float(roc_auc_score(truth, late)),
        "log_loss": float(log_loss(truth, late)),
        "brier": float(brier_score_loss(truth, late)),
        "accuracy": float(accuracy_score(truth, late > 0.5)),
        "positive_rate": float(truth.mean()),
        "evaluation_rows": float(len(frame)),
        "unscorable_share": unscorable_share,
    }


def _scorable(pipeline: Pipeline, frame: pd.DataFrame) -> pd.Series:
    """Which rows a model with strict categories can answer at all; every row for any other."""
    import pandas as pd

    encoder = pipeline[0].named_transformers_["categories"]
    known = pd.Series(True, index=frame.index)
    if encoder.handle_unknown == "error":
        for column, categories in zip(flights.CATEGORIES, encoder.categories_, strict=True):
            known &= frame[column].isin(categories)
    return known
