"""What InvokeEndpoint answers when it does not answer with the model's words (fact sheet 4)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from localcloud.service import ACCOUNT_ID

MAX_BODY_BYTES = 6 * 1024 * 1024
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class InvokeResult:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Place:
    """Which container failed; for messages."""

    region: str
    endpoint: str
    variant: str
    instance_id: str

    @property
    def log_stream_arn(self) -> str:
        group = f"/aws/sagemaker/Endpoints/{self.endpoint}"
        stream = f"{self.variant}/{self.instance_id}"
        return f"arn:aws:logs:{self.region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}"

    @property
    def see(self) -> str:
        return (
            f"See https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
            f"#logEventViewer:group=/aws/sagemaker/Endpoints/{self.endpoint} "
            f"in account {ACCOUNT_ID} for more information."
        )


def _error(status: int, code: str, fields: dict[str, object]) -> InvokeResult:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return InvokeResult(status, headers, json.dumps(fields).encode())


def validation_error(message: str) -> InvokeResult:
    return _error(400, "ValidationError", {"Message": message})


def endpoint_not_found(endpoint: str) -> InvokeResult:
    return validation_error(f"Endpoint {endpoint} of account {ACCOUNT_ID} not found.")


def body_too_large() -> InvokeResult:
    """AWS refuses it in front of the service: a bare 413 without an error type."""
    message = f"HTTP content length exceeded {MAX_BODY_BYTES} bytes."
    body = json.dumps({"message": message}).encode()
    return InvokeResult(413, {"Content-Type": "application/json"}, body)


def service_unavailable() -> InvokeResult:
    return _error(
        503, "ServiceUnavailable", {"Message": "The service is unavailable. Try your call again."}
    )


def model_error(place: Place, status: int, original: bytes | None) -> InvokeResult:
    """The container's 4xx or 5xx, or 0 for no answer; ``original`` None when it was not readable.

    Any status that is not a 4xx is told as a server error.
    """
    blame = "client" if 400 <= status < 500 else "server"
    received = f"Received {blame} error ({status}) from primary"
    if original is None:
        text = ""
        message = f"{received} and could not load the entire response body. {place.see}"
    else:
        text = original.decode("utf-8", "replace")
        message = f'{received} with message "{text}". {place.see}'
    return _error(
        424,
        "ModelError",
        {
            "Message": message,
            "OriginalStatusCode": status,
            "OriginalMessage": text,
            "LogStreamArn": place.log_stream_arn,
        },
    )
