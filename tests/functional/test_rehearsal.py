"""`slipway rehearse`, as `make rehearse` runs it: the main job from training to rollback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from localcloud import connect
from scripts.infrastructure.pulumi_cli import PulumiNotFoundError, find_pulumi
from tests.functional.infra_project import SLIPWAY, clean_environment

pytestmark = pytest.mark.timeout(500)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    try:
        find_pulumi()
    except PulumiNotFoundError as error:
        pytest.skip(str(error))
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    try:
        yield tmp_path
    finally:  # it ends by itself, unless the rehearsal was killed for taking too long
        connect.stop(tmp_path / ".slipway" / "rehearsal")


def test_the_rehearsal_promotes_the_good_and_rolls_back_the_bad(project: Path) -> None:
    done = subprocess.run(
        [*SLIPWAY, "rehearse"],
        cwd=project,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((project / "rehearsal" / "report.json").read_text())
    assert report["ok"] is True
    assert report["pulumi_version"].startswith("v3.")
    first, unchanged, better, broken = report["operations"]
    assert set(first["changes"]) == {"create"}
    assert set(unchanged["changes"]) == {"same"}
    assert better["changes"] == broken["changes"]
    promoted, rolled_back = report["releases"]
    assert (promoted["outcome"], promoted["to_version"]) == ("promoted", "2")
    assert [(s["weight"], s["verdict"]) for s in promoted["steps"]] == [(20, "pass"), (50, "pass")]
    assert promoted["candidate_errors"] == 0
    assert promoted["seconds_from_first_error_to_zero_weight"] is None
    assert (rolled_back["outcome"], rolled_back["from_version"]) == ("rolled_back", "2")
    assert rolled_back["steps"][-1]["verdict"] == "fail"
    assert rolled_back["seconds_from_first_error_to_zero_weight"] >= 0
    traffic = report["traffic"]
    assert traffic["wrong"] == 0
    assert traffic["by_version"]["1"]["failed"] == traffic["by_version"]["2"]["failed"] == 0
    assert traffic["by_version"]["3"]["failed"] == traffic["failed"] > 0
    assert traffic["requests"] == sum(v["requests"] for v in traffic["by_version"].values())
    assert "Everything went as it must." in done.stdout
    left = [p.pid for p in psutil.process_iter(["cmdline"]) if str(project) in _words(p)]
    assert not left, "a process outlived the rehearsal"


def _words(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or [])
