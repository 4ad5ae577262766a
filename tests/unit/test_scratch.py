"""What a killed process left behind goes with the next one; what is in use stays."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scripts.models.scratch import scratch_folder

HOLDS_ONE = """
import sys
from scripts.models.scratch import scratch_folder
with scratch_folder("slipway-test-") as folder:
    (folder / "model").write_text("large")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_goes_with_its_owner(place: Path) -> None:
    with scratch_folder("slipway-test-") as folder:
        assert list(folder.iterdir()) == []
        (folder / "model").write_text("large")
    assert list(place.iterdir()) == []


def test_what_a_killed_owner_left_goes_when_the_next_folder_is_made(place: Path) -> None:
    (place / "slipway-test-of-somebody").mkdir()
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert owner.stdout is not None
    left = Path(owner.stdout.readline().decode().strip())
    with scratch_folder("slipway-test-"):
        assert (left / "model").exists(), "its owner lives"
    owner.kill()
    owner.communicate()
    assert left.exists()
    with scratch_folder("slipway-test-") as folder:
        assert not left.exists()
        assert folder.exists()
    assert [path.name for path in place.iterdir()] == ["slipway-test-of-somebody"]
