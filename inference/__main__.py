"""``python -m inference serve``: the container's entry point, and what ``slipway serve`` starts."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from contracts.errors import SlipwayError

# One row is no work for several threads: starting them costs more than the sum. Read at import.
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m inference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the model, as SageMaker starts a container")
    serve.add_argument("--host", default=os.environ.get("SLIPWAY_HOST", "127.0.0.1"))
    serve.add_argument(
        "--port", type=int, default=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    )
    serve.add_argument("--model-dir", type=Path, default=Path("/opt/ml/model"))
    args = parser.parse_args()

    for name in THREAD_SETTINGS:
        os.environ.setdefault(name, "1")
    import uvloop

    from inference.server import serve as run

    code = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(args.host, args.port, args.model_dir))
    except SlipwayError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = error.exit_code
    sys.stdout.flush()
    # Threads that wait on stdin, or a model that is still computing, must not hold the exit.
    os._exit(code)


if __name__ == "__main__":
    main()
