"""The Pulumi provider as a child of the daemon: started, watched, started again on its port."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

log = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 30.0
STOP_GRACE_SECONDS = 3.0
# A provider that dies at once each time is not started again more often than this.
RESTART_PAUSE_SECONDS = 1.0


class ProviderProcess:
    """Runs `python -m localcloud.provider`; its first line of output is the port it serves.

    The child watches its standard input, so it ends with the daemon, however the daemon ends.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._child: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="provider", daemon=True)
        self.port: int | None = None

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self) -> int | None:
        """The port once it listens; None when it does not come up (the log says why)."""
        if not self._ready.wait(START_TIMEOUT_SECONDS):
            log.error("the Pulumi provider is not ready after %g s", START_TIMEOUT_SECONDS)
        return self.port

    def stop(self) -> None:
        self._stopping.set()
        child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            child = self._spawn()
            self._follow(child)
            code = child.wait()
            if self._stopping.is_set():
                return
            if self.port is None:
                log.error("the Pulumi provider ended with code %s before it listened", code)
                self._ready.set()
                return
            log.error("the Pulumi provider ended with code %s; starting it again", code)
            pause = RESTART_PAUSE_SECONDS - (time.monotonic() - started)
            if pause > 0 and self._stopping.wait(pause):
                return

    def _spawn(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "localcloud.provider"]
        command += ["--endpoint-url", self._endpoint_url, "--port", str(self.port or 0)]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "SLIPWAY_WATCH_STDIN": "1"},
        )
        return self._child

    def _follow(self, child: subprocess.Popen[str]) -> None:
        """Take the port from the first line, and log what it says afterwards, until it ends."""
        if child.stdout is None:
            return
        for line in child.stdout:
            text = line.strip()
            if not self._ready.is_set() and text.isdecimal():
                self.port = int(text)
                self._ready.set()
            elif text:
                log.info("provider: %s", text)
