"""The way to the local cloud of a project: ask for it, start it, stop it, point clients at it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from contracts.errors import SlipwayError
from localcloud.home import CloudHome
from localcloud.service import DEFAULT_REGION

DEFAULT_PORT = 4599
DEFAULT_SPEED = 1.0
ACCESS_KEY_ID = "slipway"
SECRET_ACCESS_KEY = "local"
START_TIMEOUT_SECONDS = 60.0
STOP_GRACE_SECONDS = 20.0
ANSWER_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 12
STATUS_PATH = "/_slipway/status"
RESET_PATH = "/moto-api/reset"
FAULTS_PATH = "/_slipway/faults"
# The daemon's exit code when another one holds the home's lock.
EXIT_ALREADY_RUNNING = 75


class CloudError(SlipwayError):
    """The local cloud cannot do what was asked."""


class CloudNotRunningError(CloudError):
    """A command needs the local cloud, and it is not there."""


@dataclass(frozen=True)
class CloudStatus:
    """What is known of one home's cloud; the fields after ``home`` are None unless it runs.

    ``died`` says that a daemon ended without being stopped. ``restored`` tells for each service
    how its state came back at the last start. ``endpoints`` are SageMaker endpoints with status and
    instances.
    """

    running: bool
    home: str
    died: bool = False
    pid: int | None = None
    port: int | None = None
    endpoint_url: str | None = None
    provider_port: int | None = None
    speed: float | None = None
    started_at: str | None = None
    now: str | None = None
    endpoints: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    restored: dict[str, str] = field(default_factory=dict[str, str])


def status(home: Path | None = None) -> CloudStatus:
    """What stands: asks the daemon; never raises because it is not there."""
    place = CloudHome.of(home)
    record = place.read_record()
    if not place.is_locked():
        return CloudStatus(running=False, home=str(place.root), died=record is not None)
    if record is None or record["pid"] != place.lock_owner():
        # A daemon is about to start; a record that lies there is its predecessor's.
        return CloudStatus(running=False, home=str(place.root))
    try:
        answer = _ask(record["port"], "GET", STATUS_PATH)
    except OSError as error:
        if not place.is_locked():
            return CloudStatus(running=False, home=str(place.root), died=True)
        raise CloudError(
            f"the local cloud (process {record['pid']}) does not answer at "
            f"{record['endpoint_url']} ({error}); see {place.log}, "
            "or end it with `slipway cloud stop` and start it again"
        ) from None
    return CloudStatus(running=True, home=str(place.root), **{**record, **answer})


def require(home: Path | None = None) -> CloudStatus:
    """The running cloud, or :class:`CloudNotRunningError` with the remedy."""
    found = status(home)
    if not found.running:
        raise CloudNotRunningError(not_running_text(found))
    return found


def not_running_text(found: CloudStatus) -> str:
    if found.died:
        return (
            "the local cloud is not running: its last daemon died without being stopped; "
            "start it with `slipway cloud start`, which restores what stood"
        )
    return "the local cloud is not running; start it with `slipway cloud start`"


def environment(home: Path | None = None) -> dict[str, str]:
    """The variables that point any AWS client, and the Pulumi CLI, at the running cloud."""
    found = require(home)
    variables = {
        "AWS_ENDPOINT_URL": str(found.endpoint_url),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": DEFAULT_REGION,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    }
    if found.provider_port is not None:
        variables["PULUMI_DEBUG_PROVIDERS"] = f"aws:{found.provider_port}"
    return variables


def start(
    home: Path | None = None, port: int | None = None, speed: float | None = None
) -> CloudStatus:
    """Start the cloud and wait until it answers; one that runs already is left as it is.

    Args:
        port: the port to listen on, 0 for a free one; default: the last one used, else 4599.
        speed: simulated seconds per wall second; default: the last one used, else 1.
    """
    place = CloudHome.of(home)
    found = status(place.root)
    if found.running:
        _check_same(found, port, speed)
        return found
    chosen_port, chosen_speed = _choose(place.read_settings(), port, speed)
    _check_port(chosen_port)
    process = _spawn(place, chosen_port, chosen_speed)
    return _wait_ready(place, process, chosen_port, chosen_speed)


def _choose(last: dict[str, Any], port: int | None, speed: float | None) -> tuple[int, float]:
    """Port and speed of this start: as asked, else as last time, else the defaults."""
    if port is None:
        port = int(last.get("port", DEFAULT_PORT))
        if last.get("any_port") and not _is_free(port):
            port = 0
    return port, float(last.get("speed", DEFAULT_SPEED)) if speed is None else speed


def stop(home: Path | None = None) -> bool:
    """End the cloud and everything it started; False when none was running."""
    place = CloudHome.of(home)
    pid = place.lock_owner()
    if not place.is_locked() or pid is None:
        place.remove_record()
        return False
    _signal(pid, signal.SIGTERM)
    if not _wait(lambda: not place.is_locked(), STOP_GRACE_SECONDS):
        _signal(pid, signal.SIGKILL)
        if not _wait(lambda: not place.is_locked(), STOP_GRACE_SECONDS):
            raise CloudError(
                f"the local cloud (process {pid}) does not end, not even when killed; "
                "look at what that process waits for"
            )
    _reap(pid)
    place.remove_record()
    return True


def reset(home: Path | None = None) -> CloudStatus:
    """Empty the running cloud: every service, every model server."""
    found = require(home)
    _ask(int(found.port or 0), "POST", RESET_PATH)
    return status(home)


def add_fault(fault: dict[str, Any], home: Path | None = None) -> dict[str, Any]:
    """Order a fault (:mod:`localcloud.faults`); returns it with its id.

    Raises:
        CloudError: it is refused; the text says why.
    """
    return _ask(int(require(home).port or 0), "POST", FAULTS_PATH, fault)


def faults(home: Path | None = None) -> list[dict[str, Any]]:
    """The faults that are still to strike."""
    return _ask(int(require(home).port or 0), "GET", FAULTS_PATH)["faults"]


def clear_faults(number: str | None = None, home: Path | None = None) -> int:
    """Forget all faults, or the one with this id; returns how many there were."""
    path = FAULTS_PATH if number is None else f"{FAULTS_PATH}?id={quote(number)}"
    return int(_ask(int(require(home).port or 0), "DELETE", path)["cleared"])


def log_tail(home: Path | None = None, lines: int = 200) -> list[str]:
    """The last lines of the daemon's log; empty when there is none yet."""
    try:
        text = CloudHome.of(home).log.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:]


def _check_same(found: CloudStatus, port: int | None, speed: float | None) -> None:
    """Refuse a start that asks for something else than what runs."""
    if port not in (None, 0, found.port):
        raise CloudError(
            f"--port is {port}, but the local cloud already runs on port {found.port}; "
            "use it as it is, or `slipway cloud stop` first"
        )
    if speed is not None and speed != found.speed:
        raise CloudError(
            f"--speed is {speed:g}, but the local cloud already runs at speed {found.speed:g}; "
            "use it as it is, or `slipway cloud stop` first"
        )


def _check_port(port: int) -> None:
    """Say early, and by name, who holds the port."""
    if not 0 <= port <= 65535:
        raise CloudError(f"--port is {port}; it must lie between 0 (any free port) and 65535")
    if port != 0 and not _is_free(port):
        raise port_in_use(port)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise CloudError(
                f"port {port} is reserved for the system's own services; "
                "choose one above 1023, or `--port 0` for a free one"
            ) from None
        except OSError:
            return False
    return True


def port_in_use(port: int) -> CloudError:
    return CloudError(
        f"port {port} is in use{_holder(port)}; end that process, choose another port with "
        "`slipway cloud start --port N`, or `--port 0` for a free one"
    )


def _holder(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    return ""
                name = psutil.Process(connection.pid).name()
                return f" by process {connection.pid} ({name})"
    except psutil.Error:
        return ""
    return ""


def _spawn(place: CloudHome, port: int, speed: float) -> subprocess.Popen[bytes]:
    """Start the daemon in a session of its own, so that Ctrl-C here does not reach it."""
    place.folder.mkdir(parents=True, exist_ok=True)
    source_root = str(Path(__file__).resolve().parents[1])
    path = os.environ.get("PYTHONPATH")
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
        "PYTHONPATH": source_root if not path else f"{source_root}{os.pathsep}{path}",
    }
    command = [sys.executable, "-m", "localcloud.daemon"]
    command += ["--home", str(place.root), "--port", str(port), "--speed", repr(speed)]
    with place.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.root,
            env=variables,
            start_new_session=True,
        )


def _wait_ready(
    place: CloudHome, process: subprocess.Popen[bytes], port: int, speed: float
) -> CloudStatus:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        code = process.poll()
        # 75: somebody else's start won; its cloud is as good as ours.
        if code is not None and code != EXIT_ALREADY_RUNNING:
            raise _start_failed(place, port, f"it ended with code {code}")
        found = status(place.root)
        if found.running and (found.pid == process.pid or code == EXIT_ALREADY_RUNNING):
            _check_same(found, port, speed)
            return found
        time.sleep(POLL_SECONDS)
    process.kill()
    process.wait()
    raise _start_failed(place, port, f"it was not ready after {START_TIMEOUT_SECONDS:g} s")


def _start_failed(place: CloudHome, port: int, what: str) -> CloudError:
    tail = log_tail(place.root, LOG_LINES_SHOWN)
    if any("address already in use" in line for line in tail):
        return port_in_use(port)
    shown = "\n".join(f"  {line}" for line in tail)
    return CloudError(
        f"the local cloud did not start: {what}; its log ({place.log}) ends with\n{shown}"
    )


def _ask(
    port: int, method: str, path: str, content: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One request to the daemon itself; never through a proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        sent = None if content is None else json.dumps(content)
        connection.request(method, path, sent)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {error!r}") from None
    finally:
        connection.close()
    if answer.status == http.client.BAD_REQUEST and path.startswith(FAULTS_PATH):
        raise CloudError(f"the fault is refused: {json.loads(body)['message']}")
    if answer.status != http.client.OK:
        raise CloudError(
            f"{method} {path} of the local cloud answered {answer.status}: "
            f"{body.decode(errors='replace')[:200]}; see `slipway cloud logs`"
        )
    return json.loads(body)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """Where this very process started the daemon, nobody else would collect its exit code."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
