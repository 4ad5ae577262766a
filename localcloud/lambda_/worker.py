"""The process in which a function runs: reads events from stdin, writes results to a descriptor.

Started by path and without ``site``, so that nothing of this project and nothing that Lambda's
own runtime lacks can be imported. It ends when stdin does, that is when the daemon ends.
"""

# This file is a program of its own and runs on the standard library alone.
# ruff: noqa: BLE001

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import struct
import sys
import threading
import time
import traceback
from typing import Any

MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
_HEADER = struct.Struct(">I")


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """What handlers get as their second argument."""

    def __init__(self, order: dict[str, Any]) -> None:
        env = os.environ
        self.aws_request_id = order["request_id"]
        self.invoked_function_arn = order["arn"]
        self.function_name = env["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = env["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = env["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = env["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Identity()
        self.client_context = order.get("client_context")
        self._deadline = time.monotonic() + order["seconds"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def log(self, message: Any) -> None:
        sys.stdout.write(str(message))


class LogHandler(logging.Handler):
    """The root logger's lines as Lambda writes them."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = self.format(record)
        sys.stderr.write(
            f"[{record.levelname}]\t{stamp}.{int(record.msecs):03d}Z\t{self.request_id}\t{text}\n"
        )


class HandlerError(Exception):
    """The handler cannot be had; ``document`` is what the caller gets."""

    def __init__(self, kind: str, message: str, trace: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.document: dict[str, Any] = {
            "errorMessage": message,
            "errorType": kind,
            "requestId": "",
            "stackTrace": list(trace),
        }


def load_handler(name: str) -> Any:
    module_name, _, function_name = name.rpartition(".")
    if not module_name:
        raise HandlerError(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise HandlerError(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from None
    except SyntaxError as error:
        raise HandlerError(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {error}",
            (f'  File "{error.filename}" Line {error.lineno}\n    {error.text}\n',),
        ) from None
    if not hasattr(module, function_name):
        raise HandlerError(
            "Runtime.HandlerNotFound",
            f"Handler '{function_name}' missing on module '{module_name}'",
        )
    return getattr(module, function_name)


def error_document(error: BaseException, request_id: str) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(own),
    }


def default(value: Any) -> float:
    if hasattr(value, "__float__") and type(value).__name__ == "Decimal":
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def run(handler: Any, order: dict[str, Any]) -> tuple[str, bool]:
    """The result as JSON text, and whether it is an error."""
    request_id = order["request_id"]
    try:
        result = handler(json.loads(order["event"]), Context(order))
    except Exception as error:
        document = error_document(error, request_id)
        lines = "".join(document["stackTrace"]).rstrip("\n")
        sys.stderr.write(
            f"[ERROR] {document['errorType']}: {document['errorMessage']}\n"
            + (f"Traceback (most recent call last):\n{lines}\n" if lines else "")
        )
        return json.dumps(document), True
    try:
        text = json.dumps(result, default=default)
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        kind = "Runtime.MarshalError"
        return json.dumps(
            {
                "errorMessage": message,
                "errorType": kind,
                "requestId": request_id,
                "stackTrace": [],
            }
        ), True
    if len(text.encode()) > MAX_RESPONSE_BYTES:
        message = (
            f"Response payload size exceeded maximum allowed payload size"
            f" ({MAX_RESPONSE_BYTES} bytes)."
        )
        kind = "Function.ResponseSizeTooLarge"
        return json.dumps({"errorMessage": message, "errorType": kind}), True
    return text, False


def read_exactly(size: int) -> bytes:
    """Bytes of stdin; its end is the end of this process."""
    data = b""
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            os._exit(0)
        data += chunk
    return data


def read_orders(orders: queue.Queue[Any]) -> None:
    """Stdin into the queue, past Python's buffers, which would be locked at exit."""
    while True:
        (size,) = _HEADER.unpack(read_exactly(_HEADER.size))
        orders.put(json.loads(read_exactly(size)))


def answer(descriptor: int, value: dict[str, Any]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    data = json.dumps(value).encode()
    data = _HEADER.pack(len(data)) + data
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    orders: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=read_orders, args=(orders,), daemon=True).start()
    # First what the function brings, then what the runtime has; never where this file lies.
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]]
    stdout: Any = sys.stdout
    stdout.reconfigure(line_buffering=True)
    log_handler = LogHandler()
    logging.getLogger().addHandler(log_handler)
    handler: Any = None
    failure: dict[str, Any] | None = None
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except HandlerError as error:
        failure = error.document
    except Exception as error:
        failure = error_document(error, "")
    if failure is not None:
        sys.stderr.write(f"[ERROR] {failure['errorType']}: {failure['errorMessage']}\n")
    answer(descriptor, {"ready": failure is None})
    while True:
        order = orders.get()
        log_handler.request_id = order["request_id"]
        if failure is not None:
            text = json.dumps({**failure, "requestId": order["request_id"]})
            is_error = True
        else:
            text, is_error = run(handler, order)
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, b"\0" + order["request_id"].encode() + b"\n")
        answer(descriptor, {"payload": text, "error": is_error})


if __name__ == "__main__":
    main()
