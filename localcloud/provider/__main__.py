"""`python -m localcloud.provider`: serve Pulumi's `aws` provider for a local cloud.

The first line on standard output is the port, as with any Pulumi plugin. The process ends when its
standard input does, so that it never outlives the one that started it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from localcloud.service import DEFAULT_REGION

# An endpoint that is waited for holds a thread; a large stack has many under way.
THREADS = 128
STOP_GRACE_SECONDS = 2.0
MAX_MESSAGE_BYTES = 400 * 1024 * 1024


def main() -> int:
    """Serve until standard input ends or a signal comes."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    import grpc
    from pulumi.runtime.proto import provider_pb2_grpc

    from localcloud.provider.server import Provider

    server = grpc.server(
        ThreadPoolExecutor(THREADS, thread_name_prefix="provider"),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    servicer = Provider(arguments.endpoint_url, arguments.region)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{arguments.port}")
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    threading.Thread(target=_watch_stdin, args=(ended,), daemon=True).start()
    server.start()
    print(port, flush=True)
    ended.wait()
    server.stop(STOP_GRACE_SECONDS).wait()
    # Threads that wait for an endpoint would hold the interpreter's own exit.
    sys.stdout.flush()
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localcloud.provider", description=__doc__)
    parser.add_argument("--endpoint-url", required=True, help="where the local cloud answers")
    parser.add_argument("--port", type=int, default=0, help="port to serve; 0 for a free one")
    parser.add_argument(
        "--region", default=DEFAULT_REGION, help="region where the stack names none"
    )
    return parser.parse_args()


def _watch_stdin(ended: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
