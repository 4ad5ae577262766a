"""A logged model opened for conversion; nothing of it runs unless that is allowed."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.pins import other_release
from model_code.conversion.plan import Feature, Frame, NotConvertibleError, Number, Text

# Libraries whose types are known here; none of them runs code of a model's own.
TRUSTED_ROOTS = ("sklearn.", "numpy.", "scipy.", "pandas.", "lightgbm.", "xgboost.")
TRUSTED_TYPES = ("functools.partial", "collections.OrderedDict", "collections.defaultdict")
PICKLE_REASON = (
    "it is stored as a pickle, which could run anything; log it with "
    'serialization_format="skops", or package it with --allow-code'
)
FLOAT32 = ("float", "float32")


@dataclass(frozen=True)
class Opened:
    """``model`` in its library's own type; ``is_booster``: without scikit-learn's methods."""

    model: Any
    is_booster: bool = False


def open_model(folder: Path, *, allows_code: bool) -> Opened:
    """The model in MLflow's folder.

    Raises:
        NotConvertibleError: it has code of its own, is a pickle, or of no library known here.
    """
    import yaml

    flavors: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]
    pyfunc: dict[str, Any] = flavors["python_function"]
    loader = str(pyfunc.get("loader_module", ""))
    flavor: dict[str, Any] = flavors.get(loader.removeprefix("mlflow."), {})
    if pyfunc.get("code") or flavor.get("code"):
        raise NotConvertibleError("it brings code of its own (code_paths)")
    match loader:
        case "mlflow.sklearn":
            _refuse_other_release(folder)
            return Opened(_stored(folder, str(flavor["pickled_model"]), allows_code))
        case "mlflow.lightgbm":
            return _lightgbm(folder, str(flavor["data"]), allows_code)
        case "mlflow.xgboost":
            return _xgboost(folder, flavor)
        case _:
            raise NotConvertibleError(
                f"it is loaded by {loader or 'nothing'}; models of mlflow.sklearn, "
                "mlflow.lightgbm and mlflow.xgboost are converted"
            )


def _refuse_other_release(folder: Path) -> None:
    """What another release makes of a model cannot be what proves its conversion."""
    path = folder / "requirements.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    if other := other_release(lines, "scikit-learn"):
        raise NotConvertibleError(
            f"it was made with {other}; to convert it, train it with the release that is here"
        )


def _stored(folder: Path, name: str, allows_code: bool) -> Any:
    if name.endswith(".skops"):
        import skops.io

        path = folder / name
        needed = skops.io.get_untrusted_types(file=path)
        trusted = (*TRUSTED_ROOTS, *TRUSTED_TYPES)
        foreign = [kind for kind in needed if not kind.startswith(trusted)]
        if foreign:
            raise NotConvertibleError(f"it needs the types {', '.join(foreign)[:300]}")
        return skops.io.load(path, trusted=needed)
    if not allows_code:
        raise NotConvertibleError(PICKLE_REASON)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder)).get_raw_model()


def _lightgbm(folder: Path, name: str, allows_code: bool) -> Opened:
    if not name.endswith(".lgb"):
        return Opened(_stored(folder, name, allows_code))
    import lightgbm

    return Opened(lightgbm.Booster(model_file=str(folder / name)), is_booster=True)


def _xgboost(folder: Path, flavor: dict[str, Any]) -> Opened:
    import xgboost

    kind = str(flavor.get("model_class", "")).rpartition(".")[2]
    if kind not in {
        "Booster",
        "XGBClassifier",
        "XGBRegressor",
        "XGBRFClassifier",
        "XGBRFRegressor",
    }:
        raise NotConvertibleError(f"XGBoost's {kind or 'unknown type'}")
    model: Any = getattr(xgboost, kind)()
    model.load_model(str(folder / str(flavor["data"])))
    return Opened(model, is_booster=kind == "Booster")


def raw_frame(schema: dict[str, Any], model: Any, null: Any = math.nan) -> Frame:
    """The signature's columns in the order that the model was trained with.

    ``null`` is what the model is given for one in text.

    Raises:
        NotConvertibleError: a column is a date, or the model needs one that the signature lacks.
    """
    names: list[str] = schema["x-columns"]
    tensor: str = schema.get("x-tensor", "")
    if tensor == "float16":
        raise NotConvertibleError("it takes float16")
    features: dict[str, Feature] = {}
    for place, name in enumerate(names):
        kind = schema["properties"][name]
        form = tensor or kind.get("format", "")
        if form == "date-time":
            raise NotConvertibleError(f"column {name!r} is a date and time")
        if kind["type"] == "string":
            features[name] = Text(place, null)
        else:
            features[name] = Number(place, (("float32", 0.0),) if form in FLOAT32 else ())
    order = names if tensor else _trained_order(model, names)
    chosen = tuple(features[name] for name in order)
    return Frame(chosen, is_float32=bool(chosen) and all(map(_is_float32, chosen)))


def _is_float32(feature: Feature) -> bool:
    return isinstance(feature, Number) and bool(feature.steps)


def _trained_order(model: Any, names: list[str]) -> list[str]:
    """By the names that the model remembers, where these are the signature's."""
    trained = getattr(model, "feature_names_in_", None)
    if trained is None:
        return names
    order = [str(name) for name in trained]
    if set(order) <= set(names):
        return order
    lacking = sorted(set(order) - set(names))
    raise NotConvertibleError(f"the signature lacks the columns {', '.join(lacking)[:200]}")
