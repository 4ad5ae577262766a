"""How data flows through a state: paths, payload templates, the context object. Pure."""

from __future__ import annotations

import json
from typing import Any

from localcloud import jsonpath
from localcloud.stepfunctions import intrinsics
from localcloud.stepfunctions.errors import StateError

State = dict[str, Any]
MAX_DATA_BYTES = 262_144


def resolve(path: str, value: Any, context: dict[str, Any]) -> Any:
    """What a path (``$.a``), a path of the context (``$$.a``) or an intrinsic function gives.

    Raises:
        StateError: ``States.Runtime`` when nothing stands there, or what a function raises.
    """
    if path.startswith("States."):
        return intrinsics.evaluate(path, lambda inner: resolve(inner, value, context))
    try:
        if path.startswith("$$"):
            return jsonpath.get(path[1:], context)
        return jsonpath.get(path, value)
    except jsonpath.NotFoundError:
        raise StateError(
            "States.Runtime",
            f"Invalid path '{path}': No results for path: {_bracketed(path)}. "
            "The JSONPath could not be found in the input.",
        ) from None
    except jsonpath.PathError as error:
        raise StateError("States.Runtime", str(error)) from None


def template(value: Any, data: Any, context: dict[str, Any]) -> Any:
    """A payload template: fields whose name ends in ``.$`` become what their path gives.

    Raises:
        StateError: ``States.ParameterPathFailure`` or ``States.IntrinsicFailure``.
    """
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, item in value.items():
            if key.endswith(".$") and isinstance(item, str):
                result[key[:-2]] = _parameter(item, data, context)
            else:
                result[key] = template(item, data, context)
        return result
    if isinstance(value, list):
        return [template(item, data, context) for item in value]
    return value


def effective_input(state: State, raw: Any, context: dict[str, Any]) -> Any:
    """What the state works on: InputPath, then Parameters.

    Raises:
        StateError: a path leads nowhere.
    """
    chosen = _chosen(state.get("InputPath", "$"), raw, context)
    if "Parameters" in state:
        return template(state["Parameters"], chosen, context)
    return chosen


def output(state: State, raw: Any, result: Any, context: dict[str, Any]) -> Any:
    """What the next state gets: ResultSelector, ResultPath, OutputPath.

    Raises:
        StateError: a path leads nowhere, or the data are too large.
    """
    if "ResultSelector" in state:
        result = template(state["ResultSelector"], result, context)
    placed = placed_at(state.get("ResultPath", "$"), raw, result)
    return checked(_chosen(state.get("OutputPath", "$"), placed, context), state_output=True)


def passed(state: State, raw: Any, context: dict[str, Any]) -> Any:
    """The output of a state without a result."""
    chosen = _chosen(state.get("InputPath", "$"), raw, context)
    return checked(_chosen(state.get("OutputPath", "$"), chosen, context), state_output=True)


def placed_at(path: str | None, raw: Any, result: Any) -> Any:
    """The state's input with the result at ResultPath; None drops the result.

    Raises:
        StateError: ``States.ResultPathMatchFailure``.
    """
    if path is None:
        return raw
    try:
        return jsonpath.put(path, raw, result)
    except jsonpath.NotFoundError:
        raise StateError(
            "States.ResultPathMatchFailure",
            f"Unable to apply ReferencePath {path} to input {json.dumps(raw)[:200]}",
        ) from None


def checked(value: Any, state_output: bool = False) -> Any:
    """The value, if it is not too large to travel.

    Raises:
        StateError: ``States.DataLimitExceeded``.
    """
    if len(json.dumps(value).encode()) > MAX_DATA_BYTES:
        what = "The state/task returned a result" if state_output else "The input is"
        raise StateError(
            "States.DataLimitExceeded",
            f"{what} with a size exceeding the maximum number of bytes service limit.",
        )
    return value


def _chosen(path: str | None, value: Any, context: dict[str, Any]) -> Any:
    return {} if path is None else resolve(path, value, context)


def _parameter(path: str, data: Any, context: dict[str, Any]) -> Any:
    try:
        return resolve(path, data, context)
    except StateError as error:
        if error.error == "States.Runtime":
            raise StateError("States.ParameterPathFailure", error.cause) from None
        raise


def _bracketed(path: str) -> str:
    try:
        steps = jsonpath.parse(path.removeprefix("$") if path.startswith("$$") else path)
    except jsonpath.PathError:
        return path
    return "$" + "".join(f"['{s}']" if isinstance(s, str) else f"[{s}]" for s in steps)
