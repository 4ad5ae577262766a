"""``python -m inference serve``: the container's entry point, and what ``slipway serve`` starts."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from contracts.errors import SlipwayError

# One row is no work for several threads: starting them costs more than the sum. Read at import.
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m inference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the model, as SageMaker starts a container")
    serve.add_argument("--host", default=os.environ.get("SLIPWAY_HOST", "127.0.0.1"))
    serve.add_argument("--port", help="by default what SAGEMAKER_BIND_TO_PORT says, else 8080")
    serve.add_argument("--model-dir", type=Path, default=Path("/opt/ml/model"))
    args = parser.parse_args()

    from inference.processes.log import flush

    for name in THREAD_SETTINGS:
        os.environ.setdefault(name, "1")
    try:
        code = _serve(args.host, args.port, args.model_dir)
    except SlipwayError as error:
        code = _told(error)
    flush()
    # Threads that wait on stdin, or a model that is still computing, must not hold the exit.
    os._exit(code)


def _serve(host: str, port_text: str | None, model_dir: Path) -> int:
    from inference.http.limits import memory_limit, too_small
    from inference.processes.init import run_under_init
    from inference.processes.workers import Parent, worker_count
    from inference.server import body_limit, port_to_bind

    watch_stdin = os.environ.get("SLIPWAY_WATCH_STDIN") == "1"
    port, workers = port_to_bind(port_text), worker_count()
    tight = too_small(max(1, workers), body_limit(), memory_limit())
    if workers == 0:

        def alone() -> int:
            return _serve_alone(host, port, model_dir, tight, 0 if watch_stdin else None)

        return run_under_init(alone) if os.getpid() == 1 else alone()
    parent = Parent(host, port, workers, lambda place: _run(place, model_dir))
    _log_start(parent.port, tight, workers=workers)
    return parent.serve(watch_stdin=watch_stdin)


def _serve_alone(
    host: str, port: int, model_dir: Path, tight: str | None, lifeline: int | None
) -> int:
    from inference.processes.board import Board
    from inference.server import Place, listen

    listener, board = listen(host, port), Board(1)
    _log_start(listener.getsockname()[1], tight)
    board.slots[0].pid = os.getpid()
    return _run(Place(listener, board, board.slots[0], lifeline), model_dir)


def _log_start(port: int, tight: str | None, **fields: int) -> None:
    from inference.processes.log import log

    log("listening", port=port, **fields)
    if tight is not None:
        log("memory is small", problem=tight)


def _run(place: Any, model_dir: Path) -> int:
    """One process that serves, to its end; the exit code."""
    import uvloop

    from inference.processes import memory
    from inference.server import serve

    memory.prepare()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(place, model_dir))
    except SlipwayError as error:
        return _told(error)
    return 0


def _told(error: SlipwayError) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    return error.exit_code


if __name__ == "__main__":
    main()
