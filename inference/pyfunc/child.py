"""The process of a native model: loads it by MLflow, and answers its parent until that is gone.

Run as a file by the model's own interpreter, any Python from 3.9 on; MLflow and what the model
needs are all that it finds there. Nothing is ever unpickled that came over the socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import socket
import struct
import sys
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_HEAD = struct.Struct(">IQ")
MAX_HEAD = 64 << 20
MAX_TRACE = 4000


class RefusedError(Exception):
    """The model must not, or cannot, be loaded here."""


def send(connection: socket.socket, head: dict[str, Any], body: bytes = b"") -> None:
    """One message: the lengths of head and body, the head as JSON, the body as it is."""
    text = json.dumps(head).encode()
    connection.sendall(_HEAD.pack(len(text), len(body)) + text)
    if body:
        connection.sendall(body)


def receive(
    connection: socket.socket, most: int, until: float | None = None
) -> tuple[dict[str, Any], bytearray]:
    """The next message; ``until`` is in monotonic seconds.

    Raises:
        EOFError: the other side is gone.
        TimeoutError: the time is over.
        ValueError: the message is larger than ``most``.
    """
    head_size, body_size = _HEAD.unpack(_exactly(connection, _HEAD.size, until))
    if head_size > MAX_HEAD or body_size > most:
        raise ValueError(f"a message of {head_size} and {body_size} bytes came")
    head = json.loads(bytes(_exactly(connection, head_size, until)))
    return head, _exactly(connection, body_size, until)


def _exactly(connection: socket.socket, size: int, until: float | None) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        if until is not None:
            # A timeout of 0 would mean a socket that does not block.
            connection.settimeout(max(0.001, until - time.monotonic()))
        count = connection.recv_into(view[at:])
        if not count:
            raise EOFError
        at += count
    return data


def main(lifeline: int) -> int:
    end_with(lifeline)
    connection = socket.socket(fileno=os.dup(0))
    connection.setblocking(True)
    # What the model prints is no answer, and what it reads is none of its parent's messages.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    task, _ = receive(connection, 0)
    limit_memory(task["memory_bytes"])
    try:
        answer = load(task)
    except RefusedError as problem:
        send(connection, {"refused": str(problem)})
        return 1
    except BaseException as problem:  # noqa: BLE001 a model's code may raise anything
        traceback.print_exc()
        send(connection, {"refused": described(problem)})
        return 1
    send(connection, {"ready": True})
    with contextlib.suppress(EOFError):
        while True:
            head, body = receive(connection, task["most_bytes"])
            try:
                reply = json.dumps(answer(head, body)).encode()
            except BaseException as problem:  # noqa: BLE001
                trace = traceback.format_exc()[-MAX_TRACE:]
                text = {"kind": type(problem).__name__, "text": str(problem)[:MAX_TRACE]}
                send(connection, {**text, "trace": trace})
            else:
                send(connection, {}, reply)
    return 0


def end_with(lifeline: int) -> None:
    """End when nobody holds the pipe's other end any more, whatever the model is doing then.

    Nothing is ever written to it. A thread that waits for its end never runs while a model keeps
    Python's lock, so on Linux the system itself ends this process by the signal SIGIO.
    """
    os.set_inheritable(lifeline, False)

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(0)

    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def limit_memory(most_bytes: int) -> None:
    """Of this process's own data; and should all run out, let the system end it and no other."""
    if sys.platform != "linux":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def load(task: dict[str, Any]) -> Any:
    """What answers a request's head and body with a list of JSON values, one a row."""
    allows_code = task["allows_code"]
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        GIT_PYTHON_REFRESH="quiet",
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="true" if allows_code else "false",
    )
    sys.dont_write_bytecode = True
    folder = Path(task["folder"])
    check(folder, task["requirements"], allows_code)
    frames = SimpleNamespace(**runpy.run_path(str(ROOT / "inference" / "formats" / "frames.py")))
    if task["engine"] == "sklearn":
        model = sklearn_model(folder, allows_code)
        if task["output"] != "both" and not hasattr(model, task["output"]):
            raise RefusedError(
                f"the model ({type(model).__name__}) has no {task['output']}; "
                "package it with another --output"
            )
        call = frames.method(model, task["output"])
        text = {"null": frames.null_of(model)}
    else:
        import mlflow.pyfunc

        call = mlflow.pyfunc.load_model(str(folder)).predict
        text = frames.text_of_mlflow()
    signature = SimpleNamespace(
        tensor=task["tensor"],
        columns=[SimpleNamespace(name=n, kind=k, form=f) for n, k, f in task["columns"]],
        names=[name for name, _, _ in task["columns"]],
    )

    def answer(head: dict[str, Any], body: bytearray) -> Any:
        rows = SimpleNamespace(columns=columns_of(signature, head, body), rows=head["rows"])
        # Of an MLflow before 2.6, predict has no params.
        params = {"params": head["params"]} if "params" in head else {}
        return frames.to_json_values(call(frames.model_input(signature, rows, **text), **params))

    return answer


def sklearn_model(folder: Path, allows_code: bool) -> Any:
    """By MLflow, or by skops, whose types MLflow would trust by the model's own word."""
    path = folder / "model.skops"
    if not path.is_file():
        import mlflow.sklearn

        return mlflow.sklearn.load_model(str(folder))  # pyright: ignore[reportPrivateImportUsage]
    import skops.io

    known = runpy.run_path(str(ROOT / "contracts" / "model_code.py"))["KNOWN_TYPES"]
    needed = skops.io.get_untrusted_types(file=path)
    foreign = [n for n in needed if not n.startswith(known)]
    if foreign and not allows_code:
        raise RefusedError(f"it needs the types {', '.join(foreign)}, which nobody allowed")
    return skops.io.load(path, trusted=needed)


def check(folder: Path, requirements: list[str] | None, allows_code: bool) -> None:
    """Refuse code that nobody allowed, and an interpreter that is not the model's.

    ``requirements``: what must be met here; None where the environment was made for the model.
    """
    import yaml

    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    if not allows_code:
        look = runpy.run_path(str(ROOT / "contracts" / "model_code.py"))["code_in_model"]
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
        reasons = look(mlmodel, names)
        if reasons:
            raise RefusedError(f"it runs code of its own: {', '.join(reasons)}")
    python = str(mlmodel["flavors"]["python_function"].get("python_version", ""))
    unmet = runpy.run_path(str(ROOT / "contracts" / "pins.py"))["unmet"]
    lacking = unmet(requirements or [], python)
    if lacking:
        raise RefusedError(f"this interpreter is not the model's, it needs {', '.join(lacking)}")


def columns_of(signature: Any, head: dict[str, Any], body: bytearray) -> dict[str, Any]:
    """The columns of a request; numbers are raw float64, everything else is JSON."""
    import numpy as np

    columns: dict[str, Any] = {}
    at = 0
    for column, size in zip(signature.columns, head["sizes"]):  # noqa: B905 Python 3.9
        part = memoryview(body)[at : at + size]
        at += size
        if column.kind == "number":
            columns[column.name] = np.frombuffer(part, dtype="<f8")
            continue
        values = json.loads(bytes(part))
        if column.kind == "integer":
            values = [float("nan") if value is None else value for value in values]
        elif column.form == "date-time":
            values = [None if v is None else datetime.fromisoformat(v) for v in values]
        columns[column.name] = values
    return columns


def described(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())[:1000]}"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
