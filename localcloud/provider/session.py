"""One connection's view of the cloud: its configuration, and boto3 clients that all share."""

from __future__ import annotations

import threading
from typing import Any

from localcloud.provider.configuration import Settings
from localcloud.provider.errors import ProviderError
from localcloud.service import ACCOUNT_ID

ACCESS_KEY_ID = "slipway"
SECRET_ACCESS_KEY = "local"
PARTITION = "aws"
DNS_SUFFIX = "amazonaws.com"
CONNECTIONS = 64
READ_TIMEOUT_SECONDS = 70


class Clients:
    """boto3 clients by service and region; made once, used by all threads."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def get(self, service: str, region: str) -> Any:
        """The client of a service in a region."""
        key = (service, region)
        found = self._clients.get(key)
        if found is None:
            # Making a client is not thread-safe in botocore.
            with self._lock:
                found = self._clients.get(key) or self._make(service, region)
                self._clients[key] = found
        return found

    def _make(self, service: str, region: str) -> Any:
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            region_name=region,
        )
        return session.client(  # pyright: ignore[reportCallIssue]
            service,  # pyright: ignore[reportArgumentType]
            endpoint_url=self._endpoint_url,
            config=Config(
                proxies={},
                s3={"addressing_style": "path"},
                max_pool_connections=CONNECTIONS,
                read_timeout=READ_TIMEOUT_SECONDS,
                retries={"mode": "standard", "total_max_attempts": 3},
                request_checksum_calculation="when_required",
            ),
        )


class Session:
    """A configured connection; ``ended`` is set when the engine has cancelled it."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self.settings = settings
        self.ended = threading.Event()
        self._clients = clients

    @property
    def region(self) -> str:
        return self.settings.region

    @property
    def account_id(self) -> str:
        return ACCOUNT_ID

    def client(self, service: str, region: str | None = None) -> Any:
        return self._clients.get(service, region or self.region)

    def verify_account(self) -> None:
        """Hold the cloud's account against the configuration's lists.

        Raises:
            ProviderError: it is not allowed.
        """
        allowed, forbidden = self.settings.allowed_accounts, self.settings.forbidden_accounts
        if (allowed and self.account_id not in allowed) or self.account_id in forbidden:
            raise ProviderError(f"AWS account ID not allowed: {self.account_id}")
