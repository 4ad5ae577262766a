"""MLflow's own scoring server, without its web framework: what it makes of a body."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

# (name, MLflow's type, required)
MlflowColumn = tuple[str, str, bool]


class Echo:
    """A model that answers what it was given, so that equal answers mean equal rows and params."""

    def predict(self, frame: Any, params: Any = None) -> list[str]:
        return echo(frame, params)


def echo(frame: Any, params: dict[str, Any] | None = None) -> list[str]:
    """One text a row: its values by name, without nulls (MLflow leaves absent columns out).

    Another one of the params, where there are any.
    """
    records: list[dict[str, Any]] = frame.to_dict(orient="records")
    plain = [{k: _plain(v) for k, v in sorted(record.items())} for record in records]
    told = [json.dumps(params, sort_keys=True, default=str)] if params else []
    return told + [json.dumps({k: v for k, v in row.items() if v is not None}) for row in plain]


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return None if text == "NaT" else text
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def model_of(columns: list[MlflowColumn], params: Any = None) -> Any:
    """MLflow's wrapper of :class:`Echo`, which holds rows and params against the signature."""
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc import PyFuncModel
    from mlflow.types.schema import ColSpec, Schema

    schema = Schema([ColSpec(kind, name, required=needed) for name, kind, needed in columns])
    flavors = {"python_function": {"loader_module": "none"}}
    meta = Model(flavors=flavors, signature=ModelSignature(schema, params=params))
    return PyFuncModel(model_meta=meta, model_impl=Echo(), predict_fn="predict")


def scorer(
    columns: list[MlflowColumn], params: Any = None
) -> Callable[[str, bytes], list[Any] | None]:
    """Its answer to a content type and a body: the predictions, or None where it refuses."""
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import scoring_server

    model = model_of(columns, params)
    schema = model.metadata.get_input_schema()

    def answered(content_type: str, body: bytes) -> list[Any] | None:
        try:
            reply = scoring_server.invocations(body, content_type, model, schema)
        except MlflowException:
            return None
        return json.loads(reply.response)["predictions"] if reply.status == 200 else None

    return answered
