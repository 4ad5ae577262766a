"""`slipway up` stopped, killed, or met by a broken server: the next one ends well."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from localcloud import connect
from scripts.infrastructure.pulumi_cli import PulumiNotFoundError, find_pulumi
from tests.functional.conftest import running_cloud
from tests.functional.infra_project import (
    MODEL,
    SLIPWAY,
    Project,
    clean_environment,
    make_project,
    write_package,
)

pytestmark = pytest.mark.timeout(300)
ENDPOINT = f"{MODEL}-local"
# On the cloud's clock, which runs 60 times as fast here: long enough to be met while it is made.
SLOW_SECONDS = 600


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A stack that the tests, in this order, take from nothing to where it serves."""
    try:
        find_pulumi()
    except PulumiNotFoundError as error:
        pytest.skip(str(error))
    with running_cloud(tmp_path_factory.mktemp("interrupts")) as cloud:
        yield make_project(cloud.home, cloud)


def test_a_model_that_cannot_be_loaded_fails_the_up_with_its_log(project: Project) -> None:
    shutil.rmtree(project.root / "dist" / MODEL / "1")
    write_package(project.root, "1", content=b"no model at all")
    done = project.slipway("up")
    assert done.returncode == 1, done.stderr
    assert "did not pass the ping health check" in done.stderr
    assert f"{project.root}/.slipway/cloud/logs/{ENDPOINT}/live/" in done.stderr
    assert _status(project) == "Failed"


def test_killed_while_the_endpoint_is_made(project: Project) -> None:
    shutil.rmtree(project.root / "dist" / MODEL / "1")
    write_package(project.root, "1")
    slow = {"kind": "slow_start", "endpoint": ENDPOINT, "seconds": SLOW_SECONDS, "times": 2}
    connect.add_fault(slow, project.root)
    child = _start_up(project)
    _wait(lambda: _status(project) == "Creating", child)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    done = project.slipway("up")
    assert done.returncode == 0, done.stderr
    assert "an earlier operation was killed (process" in done.stdout
    assert _status(project) == "InService"
    assert project.engine().up().is_unchanged


def test_two_at_once_do_not_get_into_each_other(project: Project) -> None:
    project.configure(package=f"dist/{MODEL}/2")
    child = _start_up(project)
    locks = project.root / ".slipway" / "state" / ".pulumi" / "locks"
    _wait(lambda: any(locks.rglob("*.json")), child)
    os.kill(child.pid, signal.SIGSTOP)
    try:
        done = project.slipway("up")
    finally:
        os.kill(child.pid, signal.SIGCONT)
    assert done.returncode == 1, done.stdout
    assert "stack local is locked by process" in done.stderr
    assert child.wait() == 0


def test_stopped_by_a_person_while_it_works(project: Project) -> None:
    project.configure(package=f"dist/{MODEL}/1", environment={"STOPPED": "once"})
    child = _start_up(project)
    assert child.stderr is not None
    shown = ""
    while "  + " not in shown:
        line = child.stderr.readline()
        assert line, f"it ended before it made anything: {shown}"
        shown += line
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode == 130, errors
    assert "was stopped; what was under way is finished and known" in errors
    locks = project.root / ".slipway" / "state" / ".pulumi" / "locks"
    assert not any(locks.rglob("*.json")), "a lock was left behind"
    again = project.slipway("up", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["note"] == "", "nothing had to be repaired"
    assert project.engine().up().is_unchanged


def _start_up(project: Project) -> subprocess.Popen[str]:
    """`slipway up` in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [*SLIPWAY, "up"],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _status(project: Project) -> str:
    found = project.client("sagemaker").list_endpoints()["Endpoints"]
    return found[0]["EndpointStatus"] if found else "none"


def _wait(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.05)
