"""What an operator or the platform sets: the limit of a body, and the port."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inference import server
from inference.errors import ServerError
from inference.http.limits import Limits
from inference.server import (
    BATCH_PAYLOAD,
    MAX_BODY,
    PORT,
    body_limit,
    port_to_bind,
    streams_bodies,
)


@pytest.mark.parametrize(
    ("own", "batch", "want", "streams"),
    [
        (None, None, 6 << 20, False),
        (None, "20", 20 << 20, False),
        (None, "", 6 << 20, False),
        (None, "0", 100 << 20, True),
        ("1000", None, 1000, False),
        ("1000", "20", 1000, False),
        ("1000", "0", 1000, False),
    ],
)
def test_the_operators_limit_comes_before_the_platforms(
    monkeypatch: pytest.MonkeyPatch, own: str | None, batch: str | None, want: int, streams: bool
) -> None:
    for name, value in ((MAX_BODY, own), (BATCH_PAYLOAD, batch)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert (body_limit(), streams_bodies()) == (want, streams)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (MAX_BODY, "0", "SLIPWAY_MAX_BODY_BYTES is '0'; a number of bytes above 0 is needed"),
        (MAX_BODY, "6MB", "SLIPWAY_MAX_BODY_BYTES is '6MB'; a number of bytes above 0 is needed"),
        (MAX_BODY, "²", "SLIPWAY_MAX_BODY_BYTES is '²'; a number of bytes above 0 is needed"),
        (MAX_BODY, "9" * 5000, "9...; a number of bytes above 0 is needed"),
        (BATCH_PAYLOAD, "-1", "SAGEMAKER_MAX_PAYLOAD_IN_MB is '-1'; a whole number of MB is neede"),
    ],
)
def test_a_limit_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.delenv(MAX_BODY, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(ServerError) as info:
        body_limit()
    assert message in str(info.value)


def test_the_command_lines_port_comes_before_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PORT, raising=False)
    assert port_to_bind(None) == 8080
    monkeypatch.setenv(PORT, "9000")
    assert (port_to_bind(None), port_to_bind("0")) == (9000, 0)


@pytest.mark.parametrize("text", ["abc", "", "99999", "²", "-1"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    allowed = re.escape("a port from 0 (any) to 65535 is needed")
    with pytest.raises(ServerError, match=f"--port is '{text}'; {allowed}"):
        port_to_bind(text)
    monkeypatch.setenv(PORT, text)
    with pytest.raises(ServerError, match=f"SAGEMAKER_BIND_TO_PORT is '{text}'; {allowed}"):
        port_to_bind(None)


def test_a_setting_of_the_platforms_that_is_no_port_ends_the_server_without_a_trace() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "inference", "serve"],
        env={**os.environ, PORT: "abc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")
    allowed = "a port from 0 (any) to 65535 is needed"
    assert found.stderr == f"error: SAGEMAKER_BIND_TO_PORT is 'abc'; {allowed}\n"


def test_little_memory_is_told_at_start(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "inference", "serve", "--port", "0", "--model-dir", str(tmp_path)],
        env={**os.environ, MAX_BODY: str(10**12), "SLIPWAY_WORKERS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    first, second = map(json.loads, found.stdout.splitlines())
    assert (first["event"], second["event"]) == ("listening", "memory is small")
    assert second["problem"].startswith("1 worker(s) that each decode one body of 1000000000000 by")


@pytest.mark.parametrize(("cap", "told"), [(480, [(480, 1024)]), (1024, [])])
def test_fewer_connections_than_wanted_are_told(
    monkeypatch: pytest.MonkeyPatch, cap: int, told: list[tuple[int, int]]
) -> None:
    logged: list[tuple[int, int]] = []

    def log(event: str, *, connections: int, wanted: int) -> None:
        assert event == "few files may be open"
        logged.append((connections, wanted))

    monkeypatch.setattr(server, "log", log)
    monkeypatch.setattr(server, "connection_cap", lambda _wanted: cap)
    assert server.affordable(Limits()).connections == cap
    assert logged == told
