"""What an invocation runs, and what it gave: plain values, and Lambda's limits. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from contracts.functions import LAMBDA_RUNTIME

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
MAX_EVENT_PAYLOAD_BYTES = 1024 * 1024
# On a busy laptop a cold boto3 alone takes a second; a shorter timeout than this fails at random.
MIN_TIMEOUT_SECONDS = 5.0
LOG_TAIL_BYTES = 4096
RUNTIMES = (LAMBDA_RUNTIME,)


@dataclass(frozen=True)
class FunctionSpec:
    """One version of a function, as far as running it needs it.

    ``revision`` changes with code and configuration; ``arn`` is the one that was invoked.
    """

    name: str
    arn: str
    region: str
    version: str
    revision: str
    handler: str
    timeout: int
    memory: int
    environment: tuple[tuple[str, str], ...]
    code: str
    reserved: int | None = None

    @property
    def timeout_seconds(self) -> float:
        """Wall seconds; what is shorter than a busy laptop's hiccup is prolonged."""
        return max(float(self.timeout), MIN_TIMEOUT_SECONDS)

    @property
    def log_group(self) -> str:
        return f"/aws/lambda/{self.name}"


@dataclass(frozen=True)
class Outcome:
    """What an invocation gave; ``payload`` is JSON, an error document when ``failed``."""

    payload: bytes
    failed: bool
    log: str = ""

    @property
    def log_tail(self) -> bytes:
        return self.log.encode()[-LOG_TAIL_BYTES:]


def failure(kind: str, message: str, log: str = "") -> Outcome:
    """An outcome that the platform, not the function, words."""
    return Outcome(json.dumps({"errorType": kind, "errorMessage": message}).encode(), True, log)


def environment(
    spec: FunctionSpec, cloud: dict[str, str], task_root: str, runtime_dir: str, log_stream: str
) -> dict[str, str]:
    """All variables of the process; a function's own cannot shadow the platform's."""
    own: dict[str, Any] = dict(spec.environment)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        **cloud,
        **own,
        "_HANDLER": spec.handler,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{LAMBDA_RUNTIME}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": runtime_dir,
    }
