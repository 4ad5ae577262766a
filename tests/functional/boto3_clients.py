"""boto3 clients for tests, from one session a region."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

from localcloud import connect

_MAKING = Lock()  # clients serve many threads, a session that makes them serves one


def client(service: str, endpoint_url: str, region: str, **config: Any) -> Any:
    """A client that never retries."""
    from botocore.config import Config

    settings = Config(retries={"total_max_attempts": 1}, **config)
    with _MAKING:
        return _session(region).client(service, endpoint_url=endpoint_url, config=settings)


@cache  # each session reads the services' models anew: 0.1 s of CPU for a client of SageMaker
def _session(region: str) -> Any:
    import boto3

    return boto3.Session(
        aws_access_key_id=connect.ACCESS_KEY_ID,
        aws_secret_access_key=connect.SECRET_ACCESS_KEY,
        region_name=region,
    )
