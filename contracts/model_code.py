"""What of a logged model runs code or a pickle when it is loaded; a pure look at its files.

Also read, as a file, by the process of a native model: any Python from 3.9 on must run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CODE_MODEL = "mlflow.pyfunc.loaders.code_model"
PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill")
# Loaders that read data and no code from files with these endings, as long as nothing else is said.
DATA_FILES = {
    "mlflow.sklearn": (".skops",),
    "mlflow.lightgbm": (".lgb", ".skops"),
    "mlflow.xgboost": (".ubj", ".json", ".xgb"),
}
# Types whose code comes with these libraries; nothing of a user's own.
KNOWN_TYPES = (
    *("sklearn.", "numpy.", "scipy.", "pandas.", "lightgbm.", "xgboost."),
    *("functools.partial", "collections.OrderedDict", "collections.defaultdict"),
)


def code_in_model(mlmodel: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Why loading it runs what it brings, a reason each; empty where it only reads data.

    ``mlmodel`` is what the file ``MLmodel`` says, ``names`` are the model's files below its folder.
    """
    flavors = mlmodel.get("flavors") or {}
    pyfunc = flavors.get("python_function") or {}
    loader = str(pyfunc.get("loader_module", ""))
    own = flavors.get(loader.replace("mlflow.", "", 1)) or {}
    reasons = [
        f"{folder}/ (code_paths)"
        for folder in dict.fromkeys(str(f["code"]) for f in (pyfunc, own) if f.get("code"))
    ]
    if loader == CODE_MODEL:
        script = str(pyfunc.get("model_code_path", "")).rpartition("/")[2]
        reasons.append(f"{script} (a model from code)")
    reasons += [f"{name} (a pickle)" for name in sorted(names) if name.lower().endswith(PICKLES)]
    return reasons or _unknown(loader, pyfunc, own)


def _unknown(loader: str, pyfunc: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Reasons against a model without code or pickles in sight."""
    keys = ("data", "model_path", "pickled_model")
    data = {str(flavor[key]) for flavor in (pyfunc, own) for key in keys if flavor.get(key)}
    endings = DATA_FILES.get(loader, ())
    if not data or not all(name.endswith(endings or "\0") for name in data):
        return [f"MLmodel (whatever {loader or 'its loader'} loads)"]
    kind = str(own.get("model_class") or "")
    if kind and not kind.startswith(KNOWN_TYPES):
        return [f"MLmodel (the class {kind})"]
    types = [str(name) for name in own.get("skops_trusted_types") or ()]
    foreign = [n for n in types if not n.startswith(KNOWN_TYPES)]
    return [f"{sorted(data)[0]} (the types {', '.join(foreign)})"] if foreign else []
