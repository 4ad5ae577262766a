"""Live traffic for one endpoint: signed requests at a steady rate, each answer written down.

Runs as a process of its own (``python -m scripts.rehearsal.traffic``), so that whatever else the
rehearsal does never delays a request. Ends when its standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import aiohttp

REQUEST_TIMEOUT_SECONDS = 70.0
MAX_IN_FLIGHT = 64


@dataclass(frozen=True)
class Answer:
    """One request: when it began (epoch seconds), its row, and what came back.

    ``status`` is 0 where nothing came back. ``variant`` is the production variant that answered,
    where the answer tells. ``prediction`` is the first prediction of the answer.
    """

    at: float
    row: int
    status: int
    latency_ms: float
    variant: str | None
    prediction: Any


class Client:
    """Signs and sends InvokeEndpoint requests over kept-alive connections."""

    def __init__(self, endpoint_url: str, endpoint: str, region: str) -> None:
        from botocore.auth import SigV4Auth
        from botocore.credentials import Credentials

        self.url = f"{endpoint_url}/endpoints/{endpoint}/invocations"
        self._signer = SigV4Auth(
            Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]),
            "sagemaker",
            region,
        )

    def signed(self, body: bytes) -> dict[str, str]:
        from botocore.awsrequest import AWSRequest

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = AWSRequest("POST", self.url, headers=headers, data=body)
        self._signer.add_auth(request)
        return {str(k): str(v) for k, v in request.headers.items()}

    async def send(self, session: aiohttp.ClientSession, row: int, body: bytes) -> Answer:
        began, clock = time.time(), time.perf_counter()
        status, variant, prediction = 0, None, None
        try:
            async with session.post(self.url, data=body, headers=self.signed(body)) as response:
                text = await response.text()
                status = response.status
                variant = response.headers.get("x-Amzn-Invoked-Production-Variant")
                if status == 200:
                    prediction = json.loads(text)["predictions"][0]
                elif variant is None:
                    variant = variant_of_error(text)
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError):
            # Nothing usable came back: status 0, or 200 without a prediction (counted as wrong).
            pass
        return Answer(began, row, status, (time.perf_counter() - clock) * 1e3, variant, prediction)


def variant_of_error(body: str) -> str | None:
    """The variant in a ModelError's ``LogStreamArn`` (``…:log-stream:<variant>/<instance>``)."""
    try:
        arn = str(json.loads(body).get("LogStreamArn", ""))
    except (ValueError, AttributeError):
        return None
    stream = arn.rpartition(":log-stream:")[2]
    return stream.partition("/")[0] or None


async def drive(client: Client, rows: list[bytes], rate: float, seed: int, out: TextIO) -> None:
    """Send a random row every ``1/rate`` seconds until standard input closes."""
    chooser = random.Random(seed)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, _wait_for_eof, loop, stop)
    slots = asyncio.Semaphore(MAX_IN_FLIGHT)
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=MAX_IN_FLIGHT)
    pending: set[asyncio.Task[None]] = set()

    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

        async def one(row: int) -> None:
            async with slots:
                answer = await client.send(session, row, rows[row])
            out.write(json.dumps(asdict(answer)) + "\n")
            out.flush()

        due = loop.time()
        while not stop.is_set():
            task = asyncio.create_task(one(chooser.randrange(len(rows))))
            pending.add(task)
            task.add_done_callback(pending.discard)
            due += 1 / rate
            # A sender that fell behind does not catch up in a burst: nobody sends such traffic.
            due = max(due, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))
        await asyncio.gather(*pending)


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(stop.set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--rows", type=Path, required=True, help="one request body a line")
    parser.add_argument("--rate", type=float, required=True, help="requests per second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="one answer a line, as JSON")
    args = parser.parse_args()
    rows = args.rows.read_bytes().splitlines()
    client = Client(args.endpoint_url, args.endpoint, args.region)
    with args.out.open("w") as out:
        asyncio.run(drive(client, rows, args.rate, args.seed, out))


if __name__ == "__main__":
    main()
