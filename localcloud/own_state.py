"""Our own services: their state on disk after every change, and in the background when they say."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.persistence import StateFiles
from localcloud.service import OwnService

log = logging.getLogger(__name__)

WRITER = "slipway 1"
# A service that changes all the time must not spend its life in writing down that it did.
_MIN_PAUSE_SECONDS = 0.2
_MAX_SHARE_OF_TIME = 0.1


class OwnState:
    """Keeps each service's snapshot: ``keep`` at once, ``changed`` soon, from a thread."""

    def __init__(self, folder: Path) -> None:
        self._files = StateFiles(folder, WRITER)
        self._services: dict[str, OwnService] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._dirty: set[str] = set()
        self._condition = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="own-state", daemon=True)

    @property
    def restored(self) -> dict[str, str]:
        return dict(self._files.restored)

    def restore(self, services: dict[str, OwnService]) -> None:
        """Take over the services, give them back what stood, and start to keep what they change."""
        for name, service in services.items():
            self._locks[name] = threading.Lock()
            if self._files.path(name).exists():
                self._files.restore(name, lambda data, _, s=service: s.restore(data))
                if self._files.restored[name] != "ok":
                    service.reset()
        self._services = services
        self._thread.start()

    def notifier(self, name: str) -> Callable[[], None]:
        """What a service calls when it has changed without being asked."""
        return lambda: self.changed(name)

    def changed(self, name: str) -> None:
        with self._condition:
            self._dirty.add(name)
            self._condition.notify()

    def keep(self, name: str) -> None:
        """Put the service's state on disk before returning."""
        with self._locks[name]:
            with self._condition:
                self._dirty.discard(name)
            self._files.write(name, self._services[name].snapshot())

    def clear(self) -> None:
        with self._condition:
            self._dirty.clear()
        self._files.clear()
        self._files.restored.clear()

    def close(self) -> None:
        """Stop the thread and keep everything once more."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        for name in self._services:
            self.keep(name)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._dirty) or self._closed)
                if self._closed:
                    return
                names = list(self._dirty)
            began = time.monotonic()
            for name in names:
                self._keep_or_log(name)
            pause = (time.monotonic() - began) / _MAX_SHARE_OF_TIME
            with self._condition:
                self._condition.wait_for(lambda: self._closed, max(_MIN_PAUSE_SECONDS, pause))

    def _keep_or_log(self, name: str) -> None:
        try:
            self.keep(name)
        except Exception:
            log.exception("the state of %s could not be kept", name)
