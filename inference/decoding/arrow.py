"""Arrow IPC, stream and file format, read in Python with every length checked.

nanoarrow is not used: it believes the offsets in the metadata, and a changed byte there ends the
process (tried with version 0.9). Compressed buffers are refused, since a few bytes of them may
stand for gigabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from inference.decoding import arrow_values
from inference.decoding.arrow_schema import Field, fields_of
from inference.decoding.decoded import Decoded, from_columns, refuse_bomb, refuse_repeated
from inference.decoding.flatbuffers import MalformedError, Table
from inference.errors import RequestError
from inference.formats.signature import Signature

FILE_MAGIC = b"ARROW1\0\0"
CONTINUATION = 0xFFFFFFFF
SCHEMA, DICTIONARY, BATCH = 1, 2, 3


def decode(signature: Signature, body: bytes) -> Decoded:
    """Columns by name, of all the batches."""
    try:
        return _decode(signature, body)
    except MalformedError as error:
        raise RequestError(400, f"the body is not Arrow IPC: {error}") from None


def _decode(signature: Signature, body: bytes) -> Decoded:
    fields: list[Field] | None = None
    dictionaries: dict[int, list[Any]] = {}
    given: dict[str, list[Any]] = {}
    rows = 0
    for kind, header, data in _messages(body.removeprefix(FILE_MAGIC)):
        if kind == SCHEMA and fields is None:
            fields = fields_of(header)
            refuse_repeated(field.name for field in fields)
            given = {field.name: [] for field in fields if field.name in signature}
        elif fields is None:
            raise MalformedError("it does not begin with a schema")
        elif kind == DICTIONARY:
            _read_dictionary(fields, header, data, dictionaries)
        elif kind == BATCH:
            batch = arrow_values.Batch.of(header, data)
            rows += batch.rows
            refuse_bomb(signature, rows, len(body))
            for field, column in batch.columns(fields):
                if field.name in given:
                    given[field.name] += arrow_values.values(field, column, dictionaries)
        else:
            raise MalformedError(f"it has a message of kind {kind}")
    if fields is None:
        raise MalformedError("it has no schema")
    strange = {field.name for field in fields} - given.keys()
    return from_columns(signature, given, rows, len(body), unknown=strange)


def _messages(data: bytes) -> Iterator[tuple[int, Table, bytes]]:
    """Kind, header and body of each message, up to the end of the stream."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise MalformedError("it is cut short")
        mark, size = struct.unpack_from("<Ii", data, at)
        if mark != CONTINUATION or size < 0:
            raise MalformedError(f"no message begins at byte {at}")
        if size == 0:
            return
        metadata = data[at + 8 : at + 8 + size]
        message = Table.root(metadata)
        length = message.number(3, "q")
        at += 8 + size
        if length < 0 or len(metadata) != size or at + length > len(data):
            raise MalformedError("it is cut short")
        header = message.table(2)
        if header is None:
            raise MalformedError("it has a message without a header")
        yield message.number(1, "B"), header, data[at : at + length]
        at += length


def _read_dictionary(
    fields: list[Field], header: Table, data: bytes, dictionaries: dict[int, list[Any]]
) -> None:
    number, inner = header.number(0, "q"), header.table(1)
    field = next((f for f in fields if f.dictionary == number), None)
    if inner is None or field is None or header.number(2, "B"):
        raise MalformedError("it has a dictionary that no column uses, or that changes")
    plain = arrow_values.of_dictionary(field)
    ((_, column),) = arrow_values.Batch.of(inner, data).columns([plain])
    dictionaries[number] = arrow_values.values(plain, column, {})
