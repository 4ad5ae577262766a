"""A real Chromium, driven over WebDriver; the group is left out where there is none."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
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

UNTIL = """
const [script, given, patience, done] = arguments;
const look = new Function(script), ends = performance.now() + patience;
(function ask() {
  const found = look(...given);
  if (found) done(found);
  else if (performance.now() > ends) done(null);
  else requestAnimationFrame(ask);
})();
"""


def found(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One session; ``run`` evaluates JavaScript in the page, ``cdp`` speaks DevTools."""

    def __init__(self, url: str, profile: str, binary: str) -> None:
        self._url = url
        options = {"binary": binary, "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {
            "alwaysMatch": {
                "timeouts": {"script": 60_000},
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

    def until(self, script: str, *arguments: Any, seconds: float = 20.0) -> Any:
        """What ``script`` returns as soon as that is true, looked at for each frame of the page."""
        body = {"script": UNTIL, "args": [script, arguments, seconds * 1000]}
        told = self._call("POST", f"{self._session}/execute/async", body)
        assert told is not None, f"never true: {script}"
        return told

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
    profile = tempfile.mkdtemp(prefix="slipway-browser-")
    process = subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        session = Browser(f"http://127.0.0.1:{_port(process)}", profile, binary)
        try:
            yield session
        finally:
            session.close()
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(profile, ignore_errors=True)


def _port(driver: subprocess.Popen[str]) -> int:
    """The port that the driver says it listens on, once it does."""
    assert driver.stdout is not None
    for line in driver.stdout:
        if told := re.search(r"started successfully on port (\d+)", line):
            return int(told[1])
    raise AssertionError("the driver ended before it listened")
