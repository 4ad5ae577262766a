"""Smithy RPC v2 CBOR: shapes as CBOR, timestamps as tag 1, blobs as bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cbor2

from localcloud.protocol.aws_json import (
    from_timestamp,
    read_number,
    read_value,
    to_seconds,
    write_value,
    wrong_type,
)
from localcloud.protocol.errors import WireError
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

_EPOCH_TAG = 1


class CborProtocol:
    def parse(self, request: WireRequest, shape: Any) -> dict[str, Any]:
        try:
            value = cbor2.loads(request.body) if request.body else {}
        except (cbor2.CBORDecodeError, ValueError) as error:
            raise ServiceError("SerializationException", f"the body is not CBOR: {error}") from None
        return read_value(shape, value, "", _read_scalar)

    def render(self, operation: Any, answer: dict[str, Any], request_id: str) -> WireAnswer:
        shape = operation.output_shape
        value = {} if shape is None else write_value(shape, answer, _write_scalar)
        return self._answer(200, value, request_id)

    def render_error(self, error: WireError, request_id: str) -> WireAnswer:
        value = {
            "__type": f"com.amazonaws.slipway#{error.shape_name}",
            error.message_key(): error.error.message,
        }
        if error.shape is not None:
            value.update(write_value(error.shape, error.members(), _write_scalar))
        answer = self._answer(error.error.status, value, request_id)
        answer.headers += error.headers
        return answer

    def _answer(self, status: int, value: Any, request_id: str) -> WireAnswer:
        headers = [
            ("Content-Type", "application/cbor"),
            ("smithy-protocol", "rpc-v2-cbor"),
            ("x-amzn-RequestId", request_id),
        ]
        return WireAnswer(status, headers, cbor2.dumps(value))


def _read_scalar(shape: Any, value: Any, path: str) -> Any:
    match shape.type_name:
        case "string" | "character" if isinstance(value, str):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "blob" if isinstance(value, bytes):
            return value
        case "timestamp":
            if isinstance(value, datetime):
                return value.astimezone(UTC)
            return from_timestamp(read_number(_DOUBLE, value, path), path)
        case "integer" | "long" | "float" | "double":
            return read_number(shape, value, path)
        case _:
            raise wrong_type(value, shape.type_name.capitalize(), path)


def _write_scalar(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "timestamp":
            return cbor2.CBORTag(_EPOCH_TAG, to_seconds(value))
        case "float" | "double":
            return float(value)
        case "integer" | "long":
            return int(value)
        case "boolean":
            return bool(value)
        case "blob":
            return bytes(value)
        case _:
            return str(value)


class _Double:
    type_name = "double"


_DOUBLE = _Double()
