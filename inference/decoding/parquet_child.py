"""Reads Parquet in a process of its own: pyarrow ends its process on some damaged files (tried).

Run as a script, and needs pyarrow alone. On stdin: lengths of the names and of the body as two
little-endian longs, the wanted names as JSON, the body. On stdout: the lengths of a JSON object
and of an Arrow IPC stream, and both. ``{"unknown": [...]}`` names the columns that nobody wants;
``{"error": text}`` comes with no stream.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from typing import Any

HEAD = struct.Struct("<qq")
ADDRESS_BYTES = 4 << 30
FREE_VALUES, VALUES_PER_BYTE = 1_000_000, 3
FREE_BYTES, BYTES_PER_BYTE = 64 << 20, 24


class RefusedError(Exception):
    """The file is readable, and yet not taken."""


def main() -> None:
    import pyarrow as pa

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    pa.set_cpu_count(1)
    while head := sys.stdin.buffer.read(HEAD.size):
        sizes = HEAD.unpack(head)
        wanted, body = (sys.stdin.buffer.read(size) for size in sizes)
        told, stream = answer(set(json.loads(wanted)), body)
        text = json.dumps(told).encode()
        sys.stdout.buffer.write(HEAD.pack(len(text), len(stream)) + text)
        sys.stdout.buffer.write(stream)
        sys.stdout.buffer.flush()


def answer(wanted: set[str], body: bytes) -> tuple[dict[str, Any], bytes]:
    """What is told of the body, and its wanted columns as an Arrow IPC stream."""
    try:
        unknown, stream = convert(wanted, body)
    except RefusedError as error:
        return {"error": str(error)}, b""
    except (Exception, MemoryError) as error:  # noqa: BLE001 whatever pyarrow raises on bad bytes
        return {"error": f"the body is not Parquet: {type(error).__name__}"}, b""
    return {"unknown": unknown}, stream


def convert(wanted: set[str], body: bytes) -> tuple[list[str], bytes]:
    """The names of the other columns, and the Arrow IPC stream."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(io.BytesIO(body))
    # As dictionaries, so that text which is stored once is held once.
    texts = [n for n in schema.names if n in wanted and pa.types.is_string(schema.field(n).type)]
    file = pq.ParquetFile(io.BytesIO(body), read_dictionary=texts)
    names = [name for name in schema.names if name in wanted]
    rows = file.metadata.num_rows
    if rows * len(wanted) > max(FREE_VALUES, VALUES_PER_BYTE * len(body)):
        raise RefusedError(f"the Parquet body has {rows} rows in {len(body)} bytes; send fewer")
    table = file.read(columns=names, use_threads=False)
    if table.nbytes > max(FREE_BYTES, BYTES_PER_BYTE * len(body)):
        raise RefusedError(f"the Parquet body stands for {table.nbytes} bytes; send fewer rows")
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return [name for name in schema.names if name not in wanted], out.getvalue()


if __name__ == "__main__":
    main()
