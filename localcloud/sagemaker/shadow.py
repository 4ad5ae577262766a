"""Copies of requests to a shadow variant: sent beside the answer, never in its way."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from localcloud.sagemaker.routing import EndpointRoute, Router, VariantRoute

log = logging.getLogger(__name__)

# Copies of one endpoint that are under way at the same time; more are dropped. How many SageMaker
# holds is not known.
MAX_COPIES = 256

Send = Callable[[VariantRoute], Awaitable[None]]


class ShadowCopies:
    """Lives on the event loop."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def offer(self, route: EndpointRoute, send: Send) -> None:
        """Start ``send`` for the route's shadow, if this request is in the sample."""
        shadow = route.shadow
        if shadow is None or self._router.rng.random() >= shadow.share:
            return
        name = route.endpoint
        if self._under_way[name] >= MAX_COPIES:
            self.dropped[name] += 1
            if self.dropped[name] == 1:
                log.warning(
                    "%s: its shadow variant is too slow, copies of requests are dropped", name
                )
            return
        self._under_way[name] += 1
        task = asyncio.get_running_loop().create_task(self._run(name, shadow.variant, send))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, endpoint: str, variant: VariantRoute, send: Send) -> None:
        try:
            await send(variant)
        except Exception:
            log.exception("%s: a copy for the shadow variant failed", endpoint)
        finally:
            self._under_way[endpoint] -= 1
