"""Parquet by pyarrow, an extra: only read where the operator asked for it and it is installed."""

from __future__ import annotations

import io
import os
from typing import Any

from inference.decoding.decoded import Decoded, from_columns, refuse_bomb, refuse_repeated
from inference.errors import RequestError, shown
from inference.signature import Signature

ALLOWED = "SLIPWAY_PARQUET"
# Others could blow up a few bytes a thousandfold; Snappy does so at most 21-fold.
CODECS = frozenset({"UNCOMPRESSED", "SNAPPY"})
REMEDY = (
    f"build the image with --with-parquet, which installs pyarrow and sets {ALLOWED}=1, or send "
    "Arrow IPC"
)


def decode(signature: Signature, body: bytes) -> Decoded:
    """Columns by name, of all row groups."""
    if os.environ.get(ALLOWED) != "1":
        raise RequestError(415, f"this server was not built to read Parquet; {REMEDY}")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise RequestError(415, f"pyarrow, which reads Parquet, is missing; {REMEDY}") from None
    try:
        return _decode(signature, body, pa, pq)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise RequestError(400, f"the body is not Parquet: {shown(str(error))}") from None


def _decode(signature: Signature, body: bytes, pa: Any, pq: Any) -> Decoded:
    metadata = pq.read_metadata(io.BytesIO(body))
    refuse_bomb(signature, metadata.num_rows, len(body))
    _refuse_codecs(metadata)
    schema = metadata.schema.to_arrow_schema()
    refuse_repeated(schema.names)
    wanted = [name for name in schema.names if name in signature]
    texts = [name for name in wanted if pa.types.is_string(schema.field(name).type)]
    for name in wanted:
        if pa.types.is_nested(schema.field(name).type):
            kind = shown(str(schema.field(name).type))
            raise RequestError(400, f"column {shown(name)} is of type {kind}; plain values")
    # As dictionaries, so that text which is stored once is held once.
    file = pq.ParquetFile(io.BytesIO(body), read_dictionary=texts)
    table = file.read(columns=wanted, use_threads=False)
    given = {name: _values(table.column(name), pa) for name in wanted}
    strange = set(schema.names) - set(wanted)
    return from_columns(signature, given, table.num_rows, len(body), unknown=strange)


def _refuse_codecs(metadata: Any) -> None:
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            codec = metadata.row_group(group).column(column).compression
            if codec not in CODECS:
                raise RequestError(
                    400, f"the Parquet body is compressed by {shown(codec)}; none or SNAPPY is "
                    "needed, since others may stand for any number of bytes",
                )  # fmt: skip


def _values(column: Any, pa: Any) -> list[Any]:
    found: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            words = chunk.dictionary.to_pylist()
            found += [None if i is None else words[i] for i in chunk.indices.to_pylist()]
        elif pa.types.is_timestamp(chunk.type) or pa.types.is_date(chunk.type):
            found += chunk.cast(pa.timestamp("us"), safe=False).to_pylist()  # in UTC, as read
        else:
            found += chunk.to_pylist()
    return found
