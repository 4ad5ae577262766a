"""Columns to what a model takes, and a model's answer to what JSON carries.

Also read, as a file, by the process of a native model: any Python from 3.9 on must run it.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.formats.codecs import Decoded
    from inference.formats.signature import Signature


# The terms of SageMaker's own algorithms, of Autopilot and of Clarify.
LABEL, PROBABILITIES = "predicted_label", "probabilities"
# numpy's kinds whose values are JSON's own: booleans and whole numbers.
PLAIN_KINDS = frozenset("biu")
# The first pandas whose text has a type of its own.
PANDAS_WITH_TEXT = 3
# What pandas has in the place of null, beside NaN.
NULLS = frozenset({"NaTType", "NAType"})


def model_input(
    signature: Signature, decoded: Decoded, *, null: Any = math.nan, text: str = "object"
) -> Any:
    """A numpy array for a tensor signature, else a DataFrame with the signature's types.

    ``null``: what stands in text for a null, NaN or None; ``text``: pandas' type of text.
    """
    import numpy as np

    if signature.tensor is not None:
        by_column = np.array(list(decoded.columns.values()), dtype=signature.tensor)
        return np.ascontiguousarray(by_column.T)
    import pandas as pd

    # One index for all columns, and arrays where pandas would infer nothing else from them: a
    # third of the time that a frame of one row takes otherwise.
    index = pd.RangeIndex(decoded.rows)
    columns: dict[int, Any] = {}
    for position, column in enumerate(signature.columns):
        values = decoded.columns[column.name]
        dtype = _dtype(column.kind, column.form, values)
        if column.kind == "string" and dtype == "object":
            known = values if null is None else [null if v is None else v for v in values]
            columns[position] = pd.Series(known, dtype=text, index=index)
        elif dtype in {"object", "datetime64[ns]"}:
            columns[position] = pd.Series(values, dtype=dtype, index=index)
        else:
            columns[position] = np.array(values, dtype=dtype)
    frame = pd.DataFrame(columns, index=index)
    frame.columns = _names(tuple(signature.names))
    return frame


def text_of_mlflow() -> dict[str, Any]:
    """Text as MLflow's scoring server hands it to a pyfunc: as pandas reads it from JSON."""
    import pandas as pd

    is_typed = int(pd.__version__.partition(".")[0]) >= PANDAS_WITH_TEXT
    return {"null": math.nan, "text": "str"} if is_typed else {"null": None, "text": "object"}


def null_of(model: Any) -> Any:
    """What a fitted scikit-learn model was given for a null in text: NaN, or None if it knows that.

    pandas 3 has NaN in text, and so had what reads CSV before; None stands in columns of objects
    alone, and is another category to an encoder, and nothing to fill to an imputer.
    """
    return None if _knows_none(model, set()) else math.nan


def _knows_none(part: Any, seen: set[int]) -> bool:
    if isinstance(part, (list, tuple)):
        return any(_knows_none(item, seen) for item in part)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if not hasattr(part, "get_params") or isinstance(part, type) or id(part) in seen:
        return False
    seen.add(id(part))
    fitted: dict[str, Any] = getattr(part, "__dict__", {})
    known = fitted.get("categories_")
    if isinstance(known, list) and any(value is None for values in known for value in values):
        return True
    if "statistics_" in fitted and fitted.get("missing_values", "") is None:
        return True
    return any(_knows_none(value, seen) for value in fitted.values())


@lru_cache(maxsize=8)
def _names(names: tuple[str, ...]) -> Any:
    """Column names as Python text: pandas' own text type makes each look-up of a column slow."""
    import pandas as pd

    return pd.Index(names, dtype="object")


def _dtype(kind: str, form: str, values: list[Any]) -> str:
    if kind == "number":
        return "float32" if form == "float" else "float64"
    if kind == "integer":
        has_null = any(isinstance(v, float) for v in values)
        return "float64" if has_null else form or "int64"
    if kind == "boolean":
        return "object" if any(v is None for v in values) else "bool"
    return "datetime64[ns]" if form == "date-time" else "object"


def to_json_values(answer: Any) -> list[Any]:
    """A model's answer (array, list, Series, DataFrame, dict of columns): one JSON value a row.

    Raises:
        TypeError: it is one value for all rows.
        ValueError: it is a dict of columns that are not equally long.
    """
    if hasattr(answer, "toarray"):
        answer = answer.toarray()  # a sparse matrix of scipy
    if hasattr(answer, "to_dict") and hasattr(answer, "columns"):
        records: list[dict[str, Any]] = answer.to_dict(orient="records")
        return [{str(k): _plain(v) for k, v in record.items()} for record in records]
    if isinstance(answer, dict):
        return _columns_as_rows(answer)  # pyright: ignore[reportUnknownArgumentType]
    values = _listed(answer)
    return values if _is_plain(answer) else [_plain(value) for value in values]


def _columns_as_rows(answer: dict[Any, Any]) -> list[Any]:
    """One object a row; ONNX models answer an array that way, and many a pyfunc."""
    columns = {str(name): to_json_values(values) for name, values in answer.items()}
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the model answered a dict of columns that differ in length: {sizes}")
    rows = next(iter(sizes.values()), 0)
    return [{name: values[row] for name, values in columns.items()} for row in range(rows)]


def _is_plain(answer: Any) -> bool:
    """Whether every value of an array is JSON's own as it is."""
    import numpy as np

    if not isinstance(answer, np.ndarray):
        return False
    kind = answer.dtype.kind
    return kind in PLAIN_KINDS or (kind == "f" and bool(np.isfinite(answer).all()))


def _listed(answer: Any) -> list[Any]:
    import numpy as np

    if isinstance(answer, np.ndarray) and answer.dtype.kind == "M":
        answer = answer.astype("datetime64[us]")  # of nanoseconds a list would hold numbers
    values = answer.tolist() if hasattr(answer, "tolist") else answer
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise TypeError(
            f"the model answered one {type(answer).__name__}; a list, an array, a Series, a "
            "DataFrame or a dict of columns is needed, with an answer for each row"
        )
    return list(values)


def outputs_as_rows(answer: Any) -> Any:
    """``predict_proba`` of a model with several outputs: a list of arrays, turned to rows."""
    if not isinstance(answer, list):
        return answer
    parts: list[list[Any]] = [part.tolist() for part in answer]  # pyright: ignore[reportUnknownVariableType]
    return [list(row) for row in zip(*parts)]  # noqa: B905 as long as the rows, each


def method(model: Any, output: str) -> Callable[[Any], Any]:
    """The method of a scikit-learn model that answers ``output``.

    Raises:
        AttributeError: it has none.
    """
    if output == "both":
        labels, shares = method(model, "predict"), method(model, "predict_proba")
        return lambda rows: both_as_rows(labels(rows), shares(rows))
    call: Callable[[Any], Any] = getattr(model, output)
    return call if output == "predict" else lambda rows: outputs_as_rows(call(rows))


def both_as_rows(labels: Any, probabilities: Any) -> list[dict[str, Any]]:
    """``predict`` and ``predict_proba`` of the same rows as one object a row."""
    return both(to_json_values(labels), to_json_values(outputs_as_rows(probabilities)))


def both(labels: list[Any], probabilities: list[Any]) -> list[dict[str, Any]]:
    """The answer ``both``: one object a row.

    Raises:
        ValueError: there are not as many of the one as of the other.
    """
    if len(labels) != len(probabilities):
        raise ValueError(f"{len(labels)} labels came with {len(probabilities)} probabilities")
    pairs = zip(labels, probabilities)  # noqa: B905 Python 3.9 has no strict; checked above
    return [{LABEL: label, PROBABILITIES: scores} for label, scores in pairs]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())  # a scalar or an array of numpy
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if type(value).__name__ in NULLS:
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
