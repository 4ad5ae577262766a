"""After an ``up`` that was killed: whose lock lies there, and how the stack gets usable again."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from release.driver.lock import process_is_alive
from scripts.infrastructure.pulumi_cli import LOCAL_STACK

if TYPE_CHECKING:
    import pulumi.automation as auto


@dataclass(frozen=True)
class Holder:
    """Who wrote a lock of the file backend."""

    pid: int
    user: str
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host} since {self.since}"

    @property
    def is_dead(self) -> bool:
        return self.host == socket.gethostname() and not process_is_alive(self.pid)


def holders(stack: str, home: Path) -> list[Holder]:
    """The locks on the local stack; other stacks' lie in a backend that tells it itself."""
    if stack != LOCAL_STACK:
        return []
    folder = home / ".slipway" / "state" / ".pulumi" / "locks"
    return [found for path in folder.rglob("*.json") if (found := _read(path)) is not None]


def recover(stack: auto.Stack, name: str, home: Path) -> str:
    """Free a stack whose process died, and look up what it was making; one line about it."""
    locks = holders(name, home)
    if not locks or not all(lock.is_dead for lock in locks):
        return ""
    stack.cancel()
    stack.refresh(clear_pending_creates=True)
    return f"an earlier operation was killed ({locks[0]}); its lock was removed, its work looked up"


def _read(path: Path) -> Holder | None:
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        return Holder(int(raw["pid"]), raw["username"], raw["hostname"], raw["timestamp"])
    except (FileNotFoundError, KeyError, ValueError):
        # It is being written, or gone since it was listed.
        return None
