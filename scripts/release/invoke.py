"""One request to an endpoint, as `slipway invoke` sends it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from contracts.errors import SlipwayError
from release.aws.cloud import RefusedError, call
from scripts.release.stack import ReleaseStack

MAX_BODY_BYTES = 6 * 1024 * 1024


class InvokeError(SlipwayError):
    """The request cannot be sent, or the endpoint answered with an error."""


def read_body(data: str) -> bytes:
    if data == "-":
        if sys.stdin.isatty():
            raise InvokeError("no data to send; name a file with --data FILE or pipe it in")
        body = sys.stdin.buffer.read()
    else:
        try:
            body = Path(data).read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InvokeError(f"--data {data}: {reason}; name a file or - (stdin)") from None
    if len(body) > MAX_BODY_BYTES:
        raise InvokeError(
            f"the body has {len(body):,} bytes; SageMaker takes {MAX_BODY_BYTES:,} at most: "
            "send fewer rows"
        )
    return body


def guess_content_type(data: str, body: bytes) -> str:
    suffixes = {".csv": "text/csv", ".json": "application/json"}
    is_json = body.lstrip()[:1] in (b"{", b"[")
    return suffixes.get(Path(data).suffix, "application/json" if is_json else "text/csv")


def send(
    place: ReleaseStack, endpoint: str, body: bytes, content_type: str, variant: str | None
) -> dict[str, Any]:
    target = {} if variant is None else {"TargetVariant": variant}
    try:
        answer = call(
            place.cloud["sagemaker-runtime"].invoke_endpoint,
            EndpointName=endpoint,
            ContentType=content_type,
            Body=body,
            **target,
        )
    except RefusedError as error:
        original = error.response.get("OriginalMessage")
        told = f"the model answered {error.response.get('OriginalStatusCode')}: {original}"
        raise InvokeError(f"{endpoint}: {told if original else error}") from None
    return {
        "endpoint": endpoint,
        "variant": answer.get("InvokedProductionVariant"),
        "content_type": answer.get("ContentType"),
        "body": answer["Body"].read().decode(errors="replace"),
    }
