"""How long a connection may take over what it is doing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.http.connection import Connection


def end_overdue(connection: Connection, transport: asyncio.Transport, now: float) -> None:
    """End what takes longer than the connection's limits say; ``now`` is the loop's time."""
    if connection.is_active:  # it was answered since the last look
        connection.since, connection.is_active = now, False
    waited, limits = now - connection.since, connection.limits
    if connection.is_lingering and not connection.queue:
        if waited > limits.linger_seconds:
            transport.close()
    elif connection.is_full:
        if waited > limits.write_seconds:
            transport.abort()
    elif connection.closing or connection.queue:
        return
    elif not connection.in_request:
        if waited > limits.idle_seconds:
            connection.finish()
    elif connection.in_head:
        if waited > limits.head_seconds:
            connection.refuse(408, f"the head did not come within {limits.head_seconds:g} s")
    elif waited > limits.body_seconds + connection.received / limits.body_bytes_per_second:
        connection.refuse(
            408, f"the body did not come within {limits.body_seconds:g} s, or too slowly"
        )
