"""A real Chromium, driven over WebDriver; the group is left out where there is none."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVERS = ("chromedriver", "chromium-chromedriver")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def found(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One session; ``run`` evaluates JavaScript in the page, ``cdp`` speaks DevTools."""

    def __init__(self, url: str, profile: str, binary: str) -> None:
        self._url = url
        options = {"binary": binary, "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {
            "alwaysMatch": {
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"},
            }
        }
        told = self._call("POST", "/session", {"capabilities": wanted})
        self._session = f"/session/{told['sessionId']}"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def open(self, page: Path | str) -> None:
        self._call(
            "POST",
            f"{self._session}/url",
            {"url": page if isinstance(page, str) else page.as_uri()},
        )

    def run(self, script: str, *arguments: Any) -> Any:
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self._session}/execute/sync", body)

    def cdp(self, command: str, **parameters: Any) -> Any:
        body = {"cmd": command, "params": parameters}
        return self._call("POST", f"{self._session}/goog/cdp/execute", body)

    def press(self, key: str) -> None:
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        body = {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}
        self._call("POST", f"{self._session}/actions", body)

    def console(self) -> list[str]:
        told = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in told]

    def show(self, page: Path | str, width: int = 1000, scheme: str = "light") -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.media("", scheme)
        self.open(page)

    def media(self, kind: str, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media=kind, features=features)

    def pdf(self) -> bytes:
        return base64.b64decode(self.cdp("Page.printToPDF")["data"])

    def screenshot(self) -> bytes:
        return base64.b64decode(self._call("GET", f"{self._session}/screenshot"))

    def close(self) -> None:
        self._call("DELETE", self._session)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    binary, driver = found(BROWSERS), found(DRIVERS)
    if binary is None or driver is None:
        reason = "no Chromium with its driver: apt-get install chromium chromium-driver"
        if REQUIRED in os.environ.get("SLIPWAY_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    profile = tempfile.mkdtemp(prefix="slipway-browser-")
    process = subprocess.Popen(
        [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        session = Browser(url, profile, binary)
        try:
            yield session
        finally:
            session.close()
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(profile, ignore_errors=True)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, "the driver ended"
        try:
            with urllib.request.urlopen(f"{url}/status", timeout=5) as answer:
                if json.load(answer)["value"]["ready"]:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("the driver did not get ready within 30 s")
