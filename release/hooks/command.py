"""A hook that is a command: a process of its own, with little of our environment and no shell."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from typing import IO, Any

from contracts.release_manifest import HookGate
from release.hooks.questions import (
    MAX_OUTPUT_BYTES,
    HookAnswer,
    HookQuestion,
    late,
    of_exit,
    unsure,
)

# What is passed on. No credentials: a hook that calls AWS finds its own through HOME (~/.aws) or
# its profile, or is told them by a wrapper that its owner writes.
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
KILL_AFTER_SECONDS = 1.0
CHUNK = 65536


def environment(around: Mapping[str, str], question: HookQuestion, hook: str) -> dict[str, str]:
    """The variables of a command: a few of ours, and what it is asked."""
    kept = {name: around[name] for name in PASSED_ON if name in around}
    kept |= {"AWS_REGION": question.region, "AWS_DEFAULT_REGION": question.region}
    return kept | question.variables(hook)


def run_command(gate: HookGate, question: HookQuestion, at: float) -> HookAnswer:
    """Run the command with the question on its standard input; its answer, whatever happens."""
    try:
        process = subprocess.Popen(
            list(gate.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(os.environ, question, gate.name),
            # A group of its own: what it started ends with it.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        word = gate.command[0]
        return unsure(gate, f"cannot be started: {word}: {reason}", at)
    document = json.dumps(question.to_dict(gate.name)) + "\n"
    end = partial(_end_group, process)
    # This thread is a daemon: where our process ends first, no `finally` of it runs.
    atexit.register(end)
    try:
        output = _talk(process, document.encode(), time.monotonic() + gate.timeout_seconds)
    finally:
        atexit.unregister(end)
        end()
    if output is None:
        return late(gate, at)
    return of_exit(gate, process.returncode, output.decode(errors="replace"), at)


def _talk(process: subprocess.Popen[bytes], question: bytes, until: float) -> bytes | None:
    """Write, read up to the limit, wait for the end; None where ``until`` came first.

    What is printed beyond the limit is read and dropped: a full pipe would stop the command. It is
    over when the command itself ends, though what it started may hold the pipe open.
    """
    output = bytearray()
    assert process.stdin is not None
    assert process.stdout is not None
    for pipe in (process.stdin, process.stdout):
        os.set_blocking(pipe.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return None
            for key, _ in ready.select(min(left, 0.05)):
                if key.fileobj is process.stdin:
                    question = _write(ready, process.stdin, question)
                else:
                    _read(ready, process.stdout, output)
            if process.poll() is not None:
                _read_rest(process.stdout, output)
                return bytes(output)


def _write(ready: Any, pipe: IO[bytes], question: bytes) -> bytes:
    """A command need not read what it is asked."""
    with contextlib.suppress(BlockingIOError):
        try:
            question = question[os.write(pipe.fileno(), question) :]
        except BrokenPipeError:
            question = b""
    if not question:
        ready.unregister(pipe)
        pipe.close()
    return question


def _read(ready: Any, pipe: IO[bytes], output: bytearray) -> None:
    with contextlib.suppress(BlockingIOError):
        chunk = os.read(pipe.fileno(), CHUNK)
        if not chunk:
            ready.unregister(pipe)
        output += chunk[: MAX_OUTPUT_BYTES - len(output)]


def _read_rest(pipe: IO[bytes], output: bytearray) -> None:
    with contextlib.suppress(BlockingIOError, ValueError):
        while len(output) < MAX_OUTPUT_BYTES and (chunk := os.read(pipe.fileno(), CHUNK)):
            output += chunk[: MAX_OUTPUT_BYTES - len(output)]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The command and all that it started: asked to end, then ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_AFTER_SECONDS)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
