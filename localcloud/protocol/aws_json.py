"""AWS JSON 1.0 and 1.1: shapes as JSON, timestamps as seconds, blobs as base64."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from localcloud.protocol.errors import WireError
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

_JSON_NAMES = {
    bool: "TRUE_VALUE or FALSE_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    str: "STRING_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}


class JsonProtocol:
    """The content type tells the version; the answer carries the same."""

    def __init__(self, content_type: str) -> None:
        self._content_type = (
            content_type if "json" in content_type else "application/x-amz-json-1.1"
        )

    def parse(self, request: WireRequest, shape: Any) -> dict[str, Any]:
        try:
            value = json.loads(request.body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", f"the body is not JSON: {error}") from None
        return read_value(shape, value, "", read_json_scalar)

    def render(self, operation: Any, answer: dict[str, Any], request_id: str) -> WireAnswer:
        shape = operation.output_shape
        value = {} if shape is None else write_value(shape, answer, write_json_scalar)
        return self._answer(200, value, request_id)

    def render_error(self, error: WireError, request_id: str) -> WireAnswer:
        value = {"__type": error.shape_name, error.message_key(): error.error.message}
        if error.shape is not None:
            value.update(write_value(error.shape, error.members(), write_json_scalar))
        answer = self._answer(error.error.status, value, request_id)
        answer.headers += error.headers
        return answer

    def _answer(self, status: int, value: Any, request_id: str) -> WireAnswer:
        headers = [("Content-Type", self._content_type), ("x-amzn-RequestId", request_id)]
        return WireAnswer(status, headers, json.dumps(value, separators=(",", ":")).encode())


def wire_name(name: str, shape: Any) -> str:
    return shape.serialization.get("name", name)


def read_value(shape: Any, value: Any, path: str, scalar: Any) -> Any:
    """A decoded value as boto3 would take it; members that are unknown or null are left out."""
    match shape.type_name:
        case "structure":
            fields = cast("Mapping[str, Any]", _expect(value, dict, "structure", path))
            found: dict[str, Any] = {}
            for name, member in shape.members.items():
                item = fields.get(wire_name(name, member))
                if item is not None:
                    found[name] = read_value(member, item, f"{path}.{name}", scalar)
            return found
        case "list":
            items = cast("list[Any]", _expect(value, list, "list", path))
            return [
                read_value(shape.member, item, path, scalar) for item in items if item is not None
            ]
        case "map":
            entries = cast("Mapping[str, Any]", _expect(value, dict, "map", path))
            return {
                key: read_value(shape.value, item, f"{path}.{key}", scalar)
                for key, item in entries.items()
                if item is not None
            }
        case _:
            return scalar(shape, value, path)


def write_value(shape: Any, value: Any, scalar: Any) -> Any:
    """A boto3-shaped value as the protocol sends it; members that are None are left out."""
    match shape.type_name:
        case "structure":
            return {
                wire_name(name, member): write_value(member, value[name], scalar)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            return [write_value(shape.member, item, scalar) for item in value]
        case "map":
            return {key: write_value(shape.value, item, scalar) for key, item in value.items()}
        case _:
            return scalar(shape, value)


def wrong_type(value: Any, wanted: str, path: str) -> ServiceError:
    came = _JSON_NAMES.get(type(value), type(value).__name__)
    where = f" at '{path.lstrip('.')}'" if path else ""
    return ServiceError("SerializationException", f"{came} can not be converted to {wanted}{where}")


def read_number(shape: Any, value: Any, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(value, shape.type_name.capitalize(), path)
    if shape.type_name in ("float", "double"):
        return float(value)
    if isinstance(value, float) and not value.is_integer():
        raise wrong_type(value, shape.type_name.capitalize(), path)
    return int(value)


def from_timestamp(seconds: float, path: str) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise wrong_type(seconds, "Timestamp", path) from None


def from_iso(text: str, path: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise wrong_type(text, "Timestamp", path) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def to_seconds(value: datetime) -> float:
    return round(value.timestamp(), 3)


def _expect(value: Any, kind: type, wanted: str, path: str) -> Any:
    if not isinstance(value, kind):
        raise wrong_type(value, wanted, path)
    return value


def read_json_scalar(shape: Any, value: Any, path: str) -> Any:
    match shape.type_name:
        case "string" | "character":
            return _expect(value, str, "String", path)
        case "boolean":
            return _expect(value, bool, "Boolean", path)
        case "timestamp":
            if isinstance(value, str):
                return from_iso(value, path)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise wrong_type(value, "Timestamp", path)
            return from_timestamp(value, path)
        case "blob":
            try:
                return base64.b64decode(_expect(value, str, "Blob", path), validate=True)
            except binascii.Error:
                raise wrong_type(value, "Blob", path) from None
        case _:
            return _read_json_number(shape, value, path)


def _read_json_number(shape: Any, value: Any, path: str) -> int | float:
    if shape.type_name in ("float", "double") and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    return read_number(shape, value, path)


def write_json_scalar(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "timestamp":
            return to_seconds(value)
        case "blob":
            return base64.b64encode(value).decode()
        case "float" | "double":
            number = float(value)
            if math.isfinite(number):
                return number
            return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
        case "integer" | "long":
            return int(value)
        case "boolean":
            return bool(value)
        case _:
            return str(value)
