"""The daemon's life: start, stop, status, reset, ports, deaths."""

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
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.errors import SlipwayError
from localcloud import connect
from localcloud.home import CloudHome
from tests.functional.conftest import Cloud

DEADLINE_SECONDS = 15.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS} s in vain: {what}"
        time.sleep(0.02)


def kill(cloud: Cloud) -> list[psutil.Process]:
    """`kill -9` the daemon; its children as they were."""
    daemon = psutil.Process(cloud.status().pid)
    children = daemon.children(recursive=True)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(DEADLINE_SECONDS)
    return children


def request(url: str, method: str, path: str, **kwargs: Any) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request(method, path, **kwargs)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_status_tells_what_runs(cloud: Cloud) -> None:
    found = cloud.status()
    assert found.running
    assert found.endpoint_url == f"http://127.0.0.1:{found.port}"
    assert found.speed == 60
    assert psutil.pid_exists(found.pid or 0)
    assert datetime.fromisoformat(str(found.now)) >= datetime.fromisoformat(str(found.started_at))
    assert found.endpoints == []


def test_it_listens_on_the_loopback_only(cloud: Cloud) -> None:
    daemon = psutil.Process(cloud.status().pid)
    listening = [
        c.laddr.ip for c in daemon.net_connections("tcp") if c.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_every_answer_carries_the_simulated_time(cloud: Cloud) -> None:
    first = request(cloud.endpoint_url, "GET", "/_slipway/status")
    seen = parsedate_to_datetime(str(first.getheader("Date")))

    def moved_on() -> bool:
        again = request(cloud.endpoint_url, "GET", "/")
        ahead = parsedate_to_datetime(str(again.getheader("Date"))) - seen
        return ahead.total_seconds() >= 30

    began = time.monotonic()
    wait_for(moved_on, "30 simulated seconds")
    assert time.monotonic() - began < 10, "at speed 60 they take half a second"


def test_starting_again_is_no_error_and_changes_nothing(cloud: Cloud) -> None:
    before = cloud.status()
    again = connect.start(cloud.home)
    assert (again.pid, again.port) == (before.pid, before.port)


def test_starting_again_with_other_wishes_is_refused(cloud: Cloud) -> None:
    port = cloud.status().port
    with pytest.raises(SlipwayError, match=rf"--port is 1234, .* already runs on port {port}"):
        connect.start(cloud.home, port=1234)
    with pytest.raises(SlipwayError, match=r"--speed is 7, .* already runs at speed 60"):
        connect.start(cloud.home, speed=7)


def test_a_port_in_use_is_named_with_who_holds_it(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        wanted = rf"port {port} is in use by process {os.getpid()} \(.*\); .*--port N"
        with pytest.raises(SlipwayError, match=wanted):
            connect.start(tmp_path, port=port)
    assert not connect.status(tmp_path).running


def test_a_speed_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"speed is 0; it must lie between"):
        connect.start(tmp_path, port=0, speed=0)


def test_without_a_cloud_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SlipwayError, match="the local cloud is not running; start it with `slipway cloud start`"
    ):
        connect.environment(tmp_path)
    assert connect.status(tmp_path) == connect.CloudStatus(running=False, home=str(tmp_path))
    assert connect.stop(tmp_path) is False


def test_the_environment_points_any_client_at_the_cloud(cloud: Cloud) -> None:
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    kept = {"PATH": os.environ["PATH"], "HOME": str(cloud.home)}
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, **cloud.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "123456789012"


def test_stop_takes_everything_down_and_start_brings_it_back(fresh_cloud: Cloud) -> None:
    fresh_cloud.client("ssm").put_parameter(Name="/kept", Value="1", Type="String")
    before = fresh_cloud.status()
    children = psutil.Process(before.pid).children(recursive=True)

    assert connect.stop(fresh_cloud.home) is True

    assert not any(child.is_running() for child in children)
    assert not psutil.pid_exists(before.pid or 0)
    assert connect.status(fresh_cloud.home).died is False
    again = connect.start(fresh_cloud.home)
    assert (again.port, again.speed) == (before.port, 60), "as last time"
    value = fresh_cloud.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"]
    assert value == "1"


def test_the_clock_never_goes_back_over_a_kill(fresh_cloud: Cloud) -> None:
    before = datetime.fromisoformat(str(fresh_cloud.status().now))
    kill(fresh_cloud)
    after = datetime.fromisoformat(str(connect.start(fresh_cloud.home).now))
    assert after >= before


def test_after_a_kill_nothing_is_left_and_status_says_so(fresh_cloud: Cloud) -> None:
    children = kill(fresh_cloud)

    wait_for(lambda: not any(c.is_running() for c in children), "the children to end")
    found = connect.status(fresh_cloud.home)
    assert (found.running, found.died) == (False, True)
    with pytest.raises(SlipwayError, match=r"its last daemon died .* restores what stood"):
        connect.environment(fresh_cloud.home)


def test_a_provider_that_dies_comes_back_on_its_port(fresh_cloud: Cloud) -> None:
    port = fresh_cloud.status().provider_port
    assert port is not None
    (provider,) = psutil.Process(fresh_cloud.status().pid).children()

    provider.kill()

    def is_back() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(lambda: not provider.is_running() and is_back(), "the provider to be back")


def test_of_many_starts_at_once_one_wins_and_all_succeed(tmp_path: Path) -> None:
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: connect.start(tmp_path, port=0), range(4)))
        assert len({status.pid for status in found}) == 1
    finally:
        connect.stop(tmp_path)


def test_a_daemon_that_is_already_there_ends_a_second_one(fresh_cloud: Cloud) -> None:
    command = [sys.executable, "-m", "localcloud.daemon", "--home", str(fresh_cloud.home)]
    second = subprocess.run([*command, "--port", "0"], capture_output=True, text=True, check=False)
    assert second.returncode == connect.EXIT_ALREADY_RUNNING
    assert "another daemon runs" in second.stderr
    assert fresh_cloud.status().running


@pytest.mark.parametrize("by_moto", [True, False])
def test_reset_empties_all_of_it_for_good(fresh_cloud: Cloud, by_moto: bool) -> None:
    fresh_cloud.client("s3").create_bucket(Bucket="gone-after-reset")
    fresh_cloud.client("iam").create_user(UserName="gone")

    if by_moto:
        assert request(fresh_cloud.endpoint_url, "POST", "/moto-api/reset").status == 200
    else:
        assert connect.reset(fresh_cloud.home).running

    assert fresh_cloud.client("s3").list_buckets()["Buckets"] == []
    kill(fresh_cloud)
    connect.start(fresh_cloud.home)
    assert fresh_cloud.client("s3").list_buckets()["Buckets"] == []
    assert fresh_cloud.client("iam").list_users()["Users"] == []


def test_motos_other_pages_pass_through(fresh_cloud: Cloud) -> None:
    assert request(fresh_cloud.endpoint_url, "GET", "/moto-api/data.json").status == 200


def test_a_damaged_state_file_loses_one_service_and_says_so(fresh_cloud: Cloud) -> None:
    fresh_cloud.client("s3").create_bucket(Bucket="kept-all-right")
    fresh_cloud.client("ssm").put_parameter(Name="/lost", Value="1", Type="String")
    kill(fresh_cloud)
    state = CloudHome.of(fresh_cloud.home).state / "moto" / "ssm.state"
    state.write_bytes(state.read_bytes()[:-7])

    found = connect.start(fresh_cloud.home)

    assert found.restored["s3"] == "ok"
    assert found.restored["ssm"].startswith("lost: its file is cut short")
    assert state.with_suffix(".unreadable-1").exists(), "kept aside"
    assert fresh_cloud.client("ssm").describe_parameters()["Parameters"] == []
    names = [b["Name"] for b in fresh_cloud.client("s3").list_buckets()["Buckets"]]
    assert names == ["kept-all-right"]


def test_state_of_another_version_is_not_opened(fresh_cloud: Cloud) -> None:
    fresh_cloud.client("ssm").put_parameter(Name="/old", Value="1", Type="String")
    kill(fresh_cloud)
    state = CloudHome.of(fresh_cloud.home).state / "moto" / "ssm.state"
    line, _, rest = state.read_bytes().partition(b"\n")
    header = {**json.loads(line), "writer": "moto 4.0.0 on Python 3.9.1"}
    state.write_bytes(json.dumps(header).encode() + b"\n" + rest)

    found = connect.start(fresh_cloud.home)

    assert found.restored["ssm"].startswith("lost: moto 4.0.0 on Python 3.9.1 wrote it, this is")
