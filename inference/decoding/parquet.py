"""Parquet, an extra: pyarrow reads it in a child process, and its Arrow is checked like any."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.decoding import arrow
from inference.decoding.decoded import Decoded, refuse_repeated
from inference.decoding.parquet_child import HEAD
from inference.errors import RequestError
from inference.formats.signature import Signature

ALLOWED = "SLIPWAY_PARQUET"
READ_SECONDS = 30.0
CHILD = Path(__file__).with_name("parquet_child.py")
REMEDY = (
    f"build the image with --with-parquet, which installs pyarrow and sets {ALLOWED}=1, or send "
    "Arrow IPC"
)


class Reader:
    """The child process, started at the first body and again where one ended it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def read(self, names: list[str], body: bytes) -> tuple[dict[str, Any], bytes]:
        """What the child tells of the body, and its Arrow IPC stream."""
        with self._lock:
            child = self._running()
            timer = threading.Timer(READ_SECONDS, child.kill)
            timer.start()
            try:
                return _ask(child, json.dumps(names).encode(), body)
            except (OSError, EOFError):
                self._child = None
                child.kill()
                child.wait()
                raise RequestError(400, "the body is not Parquet: its reader ended") from None
            finally:
                timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            self._owner = os.getpid()  # a child of before a fork is another process's
            self._child = subprocess.Popen(
                [sys.executable, "-I", str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            )
        return self._child


_READER = Reader()


def decode(signature: Signature, body: bytes) -> Decoded:
    """Columns by name, of all row groups. Blocks until the child has answered."""
    if os.environ.get(ALLOWED) != "1":
        raise RequestError(415, f"this server was not built to read Parquet; {REMEDY}")
    if importlib.util.find_spec("pyarrow") is None:
        raise RequestError(415, f"pyarrow, which reads Parquet, is missing; {REMEDY}")
    told, stream = _READER.read(signature.names, body)
    if "error" in told:
        raise RequestError(400, told["error"])
    unknown: list[str] = told["unknown"]
    refuse_repeated(unknown)
    decoded = arrow.decode(signature, stream)
    return replace(decoded, ignored=len(unknown))


def _ask(child: subprocess.Popen[bytes], names: bytes, body: bytes) -> tuple[dict[str, Any], bytes]:
    assert child.stdin is not None
    child.stdin.write(HEAD.pack(len(names), len(body)) + names)
    child.stdin.write(body)
    child.stdin.flush()
    text_size, stream_size = HEAD.unpack(_exactly(child, HEAD.size))
    return json.loads(_exactly(child, text_size)), _exactly(child, stream_size)


def _exactly(child: subprocess.Popen[bytes], size: int) -> bytes:
    assert child.stdout is not None
    data = child.stdout.read(size)
    if len(data) != size:
        raise EOFError
    return data
