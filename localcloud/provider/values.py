"""Property values as Pulumi sends them: protobuf structs with sentinels, and their Python form.

A value is None, a bool, a number, a string, a list, a dict, :data:`UNKNOWN` or an :class:`Asset`.
Secrets and output values are unwrapped: this provider does not accept them, so the engine keeps
track of what is secret, as it does for the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_VALUE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXTS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# The bridge's list of the properties of an object that the program did not give.
DEFAULTS_KEY = "__defaults"

# A value's precise type is in the contract's tables, not in Python's types.
Value = Any
Properties = dict[str, Any]


class Unknown(Enum):
    """What a preview does not know yet."""

    VALUE = "unknown"

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = Unknown.VALUE


@dataclass(frozen=True)
class Asset:
    """A file or text of the program; two are the same when their hashes are.

    ``signature`` tells an asset from an archive; ``fields`` are the sentinel's own (path, text,
    uri, assets, hash).
    """

    signature: str
    fields: Mapping[str, Any]

    @property
    def hash(self) -> str:
        return str(self.fields.get("hash", ""))

    @property
    def is_archive(self) -> bool:
        return self.signature == ARCHIVE

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Asset) or self.signature != other.signature:
            return False
        if self.hash and other.hash:
            return self.hash == other.hash
        return dict(self.fields) == dict(other.fields)

    def __hash__(self) -> int:
        return hash((self.signature, self.hash))


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """The Python form of a property map."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """The protobuf form; members that are None are left out."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        if value is not None:
            _fill(struct.fields[key], value)
    return struct


def has_unknown(value: Value) -> bool:
    """Whether an unknown stands anywhere inside."""
    if value is UNKNOWN:
        return True
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    return False


def _from_value(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_TEXTS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_object(value.struct_value)
    return None


def _from_object(struct: struct_pb2.Struct) -> Value:
    if SIGNATURE_KEY not in struct.fields:
        return from_struct(struct)
    signature = struct.fields[SIGNATURE_KEY].string_value
    fields = {k: _from_value(v) for k, v in struct.fields.items() if k != SIGNATURE_KEY}
    if signature == SECRET:
        return fields.get("value")
    if signature == OUTPUT_VALUE:
        return fields.get("value", UNKNOWN)
    if signature == RESOURCE_REFERENCE:
        return fields.get("id", fields.get("urn"))
    if signature in (ASSET, ARCHIVE):
        return Asset(signature, fields)
    raise ValueError(f"a property has the unknown signature {signature!r}")


def _fill(target: struct_pb2.Value, value: Value) -> None:
    match value:
        case None:
            target.null_value = struct_pb2.NULL_VALUE
        case Unknown():
            target.string_value = UNKNOWN_TEXT
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = value
        case str():
            target.string_value = value
        case Asset():
            target.struct_value.CopyFrom(
                to_struct({SIGNATURE_KEY: value.signature, **value.fields})
            )
        case list():
            target.list_value.SetInParent()
            for item in value:
                _fill(target.list_value.values.add(), item)
        case dict():
            target.struct_value.CopyFrom(to_struct(value))
        case _:
            raise TypeError(f"a property cannot hold a {type(value).__name__}: {value!r}")
