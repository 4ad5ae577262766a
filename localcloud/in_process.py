"""One service of ours calls another: same operations, same persistence, without HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from localcloud.clock import Clock
from localcloud.protocol.adapter import is_read_only
from localcloud.service import ACCOUNT_ID, OwnService, RequestContext

Params = dict[str, Any]


class Caller(Protocol):
    """What :class:`InProcess` does."""

    def __call__(self, service: str, operation: str, region: str, params: Params) -> Params:
        """Raises :class:`localcloud.service.ServiceError` as a client would get it."""
        ...


class InProcess:
    """Calls by botocore's names. Hold no lock that the other service may want.

    Args:
        services: may be filled later than this is made.
        keep: puts a service's state on disk.
    """

    def __init__(
        self, services: Mapping[str, OwnService], keep: Callable[[str], None], clock: Clock
    ) -> None:
        self._services = services
        self._keep = keep
        self._clock = clock

    def __call__(self, service: str, operation: str, region: str, params: Params) -> Params:
        context = RequestContext(ACCOUNT_ID, region, str(uuid.uuid4()), self._clock.now())
        answer = self._services[service].handle(operation, params, context)
        if not is_read_only(operation):
            self._keep(service)
        return answer
