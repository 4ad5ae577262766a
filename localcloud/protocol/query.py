"""The Query protocol: flat form fields in, XML out."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from localcloud.protocol.aws_json import from_iso, from_timestamp
from localcloud.protocol.errors import WireError
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

_TRUE, _FALSE = ("true", "1"), ("false", "0")


class QueryProtocol:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def action(self, request: WireRequest) -> str:
        action = _fields(request).get("Action", "")
        if not action:
            raise ServiceError("MissingAction", "The request must contain the parameter Action.")
        return action

    def parse(self, request: WireRequest, shape: Any) -> dict[str, Any]:
        return _read_structure(shape, _Node.tree(_fields(request)), "")

    def render(self, operation: Any, answer: dict[str, Any], request_id: str) -> WireAnswer:
        root = ElementTree.Element(f"{operation.name}Response", xmlns=self._namespace)
        shape = operation.output_shape
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper")
            target = root if wrapper is None else ElementTree.SubElement(root, wrapper)
            _write_members(target, shape, answer)
        metadata = ElementTree.SubElement(root, "ResponseMetadata")
        ElementTree.SubElement(metadata, "RequestId").text = request_id
        return _answer(200, root, request_id)

    def render_error(self, error: WireError, request_id: str) -> WireAnswer:
        root = ElementTree.Element("ErrorResponse", xmlns=self._namespace)
        details = ElementTree.SubElement(root, "Error")
        ElementTree.SubElement(details, "Type").text = error.blame
        ElementTree.SubElement(details, "Code").text = error.query_code
        ElementTree.SubElement(details, "Message").text = error.error.message
        if error.shape is not None:
            _write_members(details, error.shape, error.members())
        ElementTree.SubElement(root, "RequestId").text = request_id
        return _answer(error.error.status, root, request_id)


def _fields(request: WireRequest) -> dict[str, str]:
    """A POST has its fields in the body, a GET in the URL."""
    return {name: values[0] for name, values in (request.form or request.query).items()}


class _Node:
    """`A.member.1.B=x` as a tree: what stands at a name itself, and what lies below it."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.children: dict[str, _Node] = {}

    @staticmethod
    def tree(fields: dict[str, str]) -> _Node:
        root = _Node()
        for name, value in fields.items():
            node = root
            for part in name.split("."):
                node = node.children.setdefault(part, _Node())
            node.value = value
        return root

    def numbered(self) -> Iterable[_Node]:
        """Children 1, 2, 3 … in the order of their numbers."""
        numbers = sorted(int(name) for name in self.children if name.isdecimal())
        return [self.children[str(number)] for number in numbers if str(number) in self.children]


def _read(shape: Any, node: _Node, path: str) -> Any:
    match shape.type_name:
        case "structure":
            return _read_structure(shape, node, path)
        case "list":
            return _read_list(shape, node, path)
        case "map":
            return _read_map(shape, node, path)
        case _:
            return _read_scalar(shape, node.value or "", path)


def _read_structure(shape: Any, node: _Node, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        child = node.children.get(member.serialization.get("name", name))
        if child is not None:
            found[name] = _read(member, child, f"{path}.{name}" if path else name)
    return found


def _read_list(shape: Any, node: _Node, path: str) -> list[Any]:
    items = node
    if not shape.serialization.get("flattened"):
        name = shape.member.serialization.get("name", "member")
        items = node.children.get(name, _Node())
    return [_read(shape.member, item, f"{path}.member") for item in items.numbered()]


def _read_map(shape: Any, node: _Node, path: str) -> dict[str, Any]:
    entries = node if shape.serialization.get("flattened") else node.children.get("entry", _Node())
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    found: dict[str, Any] = {}
    for entry in entries.numbered():
        key = entry.children.get(key_name, _Node()).value or ""
        found[key] = _read(shape.value, entry.children.get(value_name, _Node()), f"{path}.{key}")
    return found


def _read_scalar(shape: Any, text: str, path: str) -> Any:
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean" if text.lower() in _TRUE + _FALSE:
                return text.lower() in _TRUE
            case "boolean":
                raise ValueError(text)
            case "timestamp":
                return _read_timestamp(text, path)
            case "blob":
                return base64.b64decode(text, validate=True)
            case _:
                return text
    except (ValueError, binascii.Error):
        raise ServiceError(
            "MalformedInput", f"Value '{text}' at '{path}' is not of type {shape.type_name}"
        ) from None


def _read_timestamp(text: str, path: str) -> datetime:
    try:
        return from_timestamp(float(text), path)
    except ValueError:
        return from_iso(text, path)


def _write_members(parent: ElementTree.Element, shape: Any, value: dict[str, Any]) -> None:
    for name, member in shape.members.items():
        if value.get(name) is not None:
            _write(parent, member.serialization.get("name", name), member, value[name])


def _write(parent: ElementTree.Element, name: str, shape: Any, value: Any) -> None:
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        for item in value:
            _write(parent, shape.member.serialization.get("name", name), shape.member, item)
        return
    element = ElementTree.SubElement(parent, name)
    match shape.type_name:
        case "structure":
            _write_members(element, shape, value)
        case "list":
            for item in value:
                _write(
                    element, shape.member.serialization.get("name", "member"), shape.member, item
                )
        case "map":
            for key, item in value.items():
                entry = ElementTree.SubElement(element, "entry")
                _write(entry, shape.key.serialization.get("name", "key"), shape.key, key)
                _write(entry, shape.value.serialization.get("name", "value"), shape.value, item)
        case _:
            element.text = _scalar_text(shape, value)


def _scalar_text(shape: Any, value: Any) -> str:
    match shape.type_name:
        case "timestamp":
            moment: datetime = value.astimezone(UTC)
            digits = "milliseconds" if moment.microsecond else "seconds"
            return moment.isoformat(timespec=digits).replace("+00:00", "Z")
        case "boolean":
            return "true" if value else "false"
        case "blob":
            return base64.b64encode(value).decode()
        case "float" | "double":
            number = float(value)
            return repr(number) if math.isfinite(number) else _special(number)
        case "integer" | "long":
            return str(int(value))
        case _:
            return str(value)


def _special(number: float) -> str:
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _answer(status: int, root: ElementTree.Element, request_id: str) -> WireAnswer:
    headers = [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)]
    return WireAnswer(status, headers, ElementTree.tostring(root, encoding="utf-8"))
