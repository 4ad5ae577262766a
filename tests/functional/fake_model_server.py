"""A container in a few lines: the contract, and whatever misbehaviour a test asks for.

Environment: ``VERSION`` is what it answers; ``PING`` is ``ok``, ``never``, ``exit`` or ``later:N``
(503 for N attempts); a file ``hang`` in ``CONTROL`` makes ``/ping`` answer 500 from then on.
A request body that is JSON is an order: ``status``, ``body``, ``size``, ``attributes``, ``seconds``
(to wait), ``cut`` (close in the middle), ``die`` (end the process without an answer).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PING = os.environ.get("PING", "ok")
CONTROL = Path(os.environ.get("CONTROL", "/nonexistent"))
ATTEMPTS = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        attempt = next(ATTEMPTS)
        healthy = PING == "ok" or (
            PING.startswith("later:") and attempt > int(PING.partition(":")[2])
        )
        hangs = (CONTROL / f"hang-{os.getpid()}").exists()
        self.answer(200 if healthy and not hangs else 503, b"", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        order: dict[str, Any] = {}
        if self.headers.get("Content-Type") == "application/json":
            order = json.loads(body)
        time.sleep(order.get("seconds", 0.0))
        if order.get("die"):
            os._exit(1)
        headers: dict[str, str] = {}
        if "attributes" in order:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = order["attributes"]
        if order.get("cut"):
            self.send_response(500)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
            return
        if "size" in order:
            content = b"x" * order["size"]
        elif "body" in order:
            content = order["body"].encode()
        else:
            content = json.dumps(self.seen(body)).encode()
        self.answer(order.get("status", 200), content, headers)

    def seen(self, body: bytes) -> dict[str, Any]:
        return {
            "version": os.environ.get("VERSION"),
            "pid": os.getpid(),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body[:1000].decode("latin-1"),
            "length": len(body),
            "threads": os.environ.get("OMP_NUM_THREADS"),
        }

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def watch_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--model-dir", type=Path)
    args = parser.parse_args()
    if PING == "exit":
        sys.exit("error: this server does not want to")
    if os.environ.get("SLIPWAY_WATCH_STDIN") == "1":
        threading.Thread(target=watch_stdin, daemon=True).start()
    server = ThreadingHTTPServer((args.host, args.port), Handler)
    print(json.dumps({"event": "listening", "port": server.server_address[1]}), flush=True)
    print(json.dumps({"files": sorted(p.name for p in args.model_dir.iterdir())}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
