"""One call to AWS: boto3 clients that retry, and failures as what a release has to tell apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from release.errors import AwsError

MAX_ATTEMPTS = 8
READ_TIMEOUT_SECONDS = 70  # A model may answer for 60 s (facts 1.2).
NOT_FOUND = "Could not find"
EXISTS = "already existing"
GONE = "ObjectNotFoundException"
WHO = (
    "name a profile of yours (AWS_PROFILE), sign in (`aws sso login`), or set AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY"
)
DENIED = "AccessDenied"
# They pass, though some come as HTTP 400: botocore's codes of throttling (legacy and standard
# retries) but for LimitExceededException, which is a quota here, and a change that waits for
# another one's end (Application Auto Scaling).
PASSING = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConcurrentUpdateException",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


class RefusedError(AwsError):
    """AWS understood the call and refused it; ``response`` is botocore's."""

    def __init__(self, text: str, code: str = "", response: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.response = response or {}


class UnavailableError(AwsError):
    """AWS could not be reached, or failed on its side, after all retries."""


def client(service: str, region: str | None = None) -> Any:
    """A boto3 client from the environment's endpoint and credentials.

    Throttling, 5xx and lost connections are retried with exponential backoff and jitter.
    """
    import boto3
    from botocore.config import Config as BotoConfig
    from botocore.exceptions import ProfileNotFound

    try:
        return boto3.client(  # pyright: ignore[reportCallIssue]
            service,  # pyright: ignore[reportArgumentType]
            region_name=region,
            config=BotoConfig(
                retries={"mode": "standard", "max_attempts": MAX_ATTEMPTS},
                connect_timeout=10,
                read_timeout=READ_TIMEOUT_SECONDS,
            ),
        )
    except ProfileNotFound as error:
        raise UnavailableError(f"aws could not be asked: {error}; {WHO}") from error


def call(function: Callable[..., Any], **arguments: Any) -> Any:
    """One call, its failure as what a release has to tell apart: refused, or not answered."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
        SSOError,
        TokenRetrievalError,
    )

    signed_out = (NoCredentialsError, PartialCredentialsError, SSOError, TokenRetrievalError)

    try:
        return function(**arguments)
    except ClientError as error:
        response: dict[str, Any] = dict(error.response)
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        details = response.get("Error", {})
        text = f"{details.get('Code', 'unknown')}: {details.get('Message', '')}"
        code = str(details.get("Code"))
        is_passing = code in PASSING or "Throttl" in code or status == 429
        if status >= 500 or is_passing:
            raise UnavailableError(f"aws did not answer {error.operation_name}: {text}") from error
        raise RefusedError(text, str(details.get("Code", "")), response) from error
    except BotoCoreError as error:
        remedy = f"; {WHO}" if isinstance(error, signed_out) else ""
        raise UnavailableError(f"aws could not be reached: {error}{remedy}") from error


def delete(function: Callable[..., Any], is_gone: Callable[[], bool], **arguments: Any) -> None:
    """Delete; what is gone already is fine.

    A permission that asks for a tag denies what has none, also because it is no more: then
    ``is_gone`` looks, which asks for no tag.

    Raises:
        RefusedError: it stands, and AWS does not let it go.
    """
    try:
        call(function, **arguments)
    except RefusedError as error:
        is_missing = NOT_FOUND in str(error) or error.code == GONE
        if not is_missing and not (error.code.startswith(DENIED) and is_gone()):
            raise


def date_of(answer: dict[str, Any]) -> float:
    """AWS's own time, from the answer's Date header: the local cloud's clock may run faster."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    text = headers.get("date")
    return parsedate_to_datetime(text).timestamp() if text else time.time()
