"""What stood before a `kill -9` stands again: every service's state in one file, replaced whole.

A file is one line of JSON (format, writer, size and hash of what follows) and then the state. A
file that another version wrote, or that is damaged, is put aside, and the service starts empty:
``restored`` says so for each service.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections.abc import Callable
from pathlib import Path

from contracts import atomic

log = logging.getLogger(__name__)

FORMAT = 1
OK = "ok"


class UnreadableStateError(Exception):
    """A state file that cannot be used; the text says why."""


class StateFiles:
    """The state files of one kind of service, ``<folder>/<service>.state``."""

    def __init__(self, folder: Path, writer: str) -> None:
        self._folder = folder
        self._writer = writer
        self._last: dict[str, str] = {}
        self.restored: dict[str, str] = {}

    def path(self, service: str) -> Path:
        return self._folder / f"{service}.state"

    def services(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.state"))

    def write(self, service: str, state: bytes, generation: int = 0) -> bool:
        """Replace the service's file; False when it already holds exactly this."""
        digest = hashlib.sha256(state).hexdigest()
        if self._last.get(service) == digest and generation == 0:
            return False
        header = {
            "format": FORMAT,
            "writer": self._writer,
            "generation": generation,
            "size": len(state),
            "sha256": digest,
        }
        atomic.write_bytes(self.path(service), json.dumps(header).encode() + b"\n" + state)
        self._last[service] = digest
        return True

    def read(self, service: str) -> tuple[bytes, int]:
        """The state and its generation; raises :class:`UnreadableStateError`."""
        line, _, state = self.path(service).read_bytes().partition(b"\n")
        try:
            header = json.loads(line)
            written_by, size = header["writer"], int(header["size"])
            digest, generation = header["sha256"], int(header["generation"])
        except (ValueError, KeyError, TypeError):
            raise UnreadableStateError(
                "its file is damaged: the first line is not a header"
            ) from None
        if header.get("format") != FORMAT or written_by != self._writer:
            raise UnreadableStateError(f"{written_by} wrote it, this is {self._writer}")
        if len(state) != size:
            raise UnreadableStateError(f"its file is cut short: {len(state)} of {size} bytes")
        if hashlib.sha256(state).hexdigest() != digest:
            raise UnreadableStateError("its file is damaged: the hash does not match")
        return state, generation

    def restore(self, service: str, load: Callable[[bytes, int], None]) -> None:
        """Give the file's content to ``load``; what fails is put aside and told, never raised."""
        try:
            load(*self.read(service))
        except UnreadableStateError as error:
            self._lost(service, str(error))
        except Exception as error:
            log.exception("state of %s cannot be restored", service)
            self._lost(service, f"it cannot be read: {type(error).__name__}: {error}")
        else:
            self.restored[service] = OK

    def clear(self) -> None:
        self._last.clear()
        for path in self._folder.glob("*.state"):
            path.unlink(missing_ok=True)

    def _lost(self, service: str, why: str) -> None:
        aside = self._put_aside(self.path(service))
        self.restored[service] = f"lost: {why}"
        log.error("the state of %s is lost: %s; the file is kept as %s", service, why, aside)

    def _put_aside(self, path: Path) -> Path:
        number = 1
        while (aside := path.with_suffix(f".unreadable-{number}")).exists():
            number += 1
        return path.replace(aside)


def moto_writer() -> str:
    """Who can read moto's pickled state again: the same moto on the same Python."""
    from importlib.metadata import version

    return f"moto {version('moto')} on Python {platform.python_version()}"
