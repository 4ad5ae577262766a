"""A hook that is a Lambda function: invoked with the question, its answer is the payload."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.release_manifest import HookGate
from release.hooks.questions import (
    MAX_OUTPUT_BYTES,
    HookAnswer,
    HookQuestion,
    late,
    of_document,
    unsure,
)

CONNECT_SECONDS = 5.0


class FunctionRunner:
    """``make_client(timeout_seconds)`` gives a Lambda client that waits so long and tries once.

    A client of its own for each timeout: boto3 retries an invocation that takes too long.
    """

    def __init__(self, make_client: Callable[[float], Any]) -> None:
        self._make_client = make_client
        self._clients: dict[float, Any] = {}
        self._making = threading.Lock()

    def __call__(self, gate: HookGate, question: HookQuestion, at: float) -> HookAnswer:
        try:
            payload = self._invoke(gate, question)
        except Exception as error:
            if type(error).__name__ in ("ReadTimeoutError", "ConnectTimeoutError"):
                return late(gate, at)
            raise
        if isinstance(payload, _Failed):
            return unsure(gate, f"failed: {payload.reason}", at)
        return of_document(gate, payload, at)

    def _client(self, timeout_seconds: float) -> Any:
        """A client may be used by many threads, but not be made by two at once."""
        with self._making:
            if timeout_seconds not in self._clients:
                self._clients[timeout_seconds] = self._make_client(timeout_seconds)
            return self._clients[timeout_seconds]

    def _invoke(self, gate: HookGate, question: HookQuestion) -> Any:
        answer = self._client(gate.timeout_seconds).invoke(
            FunctionName=gate.function_arn,
            InvocationType="RequestResponse",
            Payload=json.dumps(question.to_dict(gate.name)).encode(),
        )
        body = answer["Payload"].read(MAX_OUTPUT_BYTES)
        text = body.decode(errors="replace")
        if answer.get("FunctionError"):
            return _Failed(_reason(text))
        try:
            return json.loads(text)
        except ValueError:
            return _Failed(f"its answer is not JSON: {text[:200]!r}")


@dataclass(frozen=True)
class _Failed:
    reason: str


def _reason(text: str) -> str:
    """``errorType: errorMessage`` of Lambda's error document."""
    try:
        told = json.loads(text)
        return f"{told['errorType']}: {told['errorMessage']}"[:300]
    except (ValueError, KeyError, TypeError):
        return text[:300]


def lambda_client(region: str) -> Callable[[float], Any]:
    """Makes clients for :class:`FunctionRunner`."""

    def make(timeout_seconds: float) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "lambda",
            region_name=region,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=timeout_seconds,
                retries={"total_max_attempts": 1},
            ),
        )

    return make
