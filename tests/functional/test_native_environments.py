"""Requirements are locked with hashes, and an environment is built from them once, offline too."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.canonical import sha256_text
from contracts.package import LOCK_FILE, PackageError, PackageManifest, Runtime, lock_of
from model_code.environments import environment_of, prepared
from model_code.errors import EnvironmentBuildError
from model_code.locking import Locked, lock
from tests.functional.wheels import only_wheels_of, write_wheel
from tests.unit.infra_samples import package_manifest

MLMODEL: dict[str, Any] = {
    "flavors": {"python_function": {"python_version": sys.version.split()[0]}},
    "utc_time_created": "2026-01-02 03:04:05.678",
}
REQUIREMENTS = "slipway-test-one==1.0\n"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    only_wheels_of(folder, monkeypatch)
    write_wheel(folder, "slipway-test-one", "1.0", needs="slipway-test-two>=1")
    for version in ("1.0", "2.0"):
        write_wheel(folder, "slipway-test-two", version)
    return folder


def locked(tmp_path: Path, requirements: str = REQUIREMENTS, **mlmodel: Any) -> Locked:
    model = tmp_path / "model"
    model.mkdir(exist_ok=True)
    (model / "requirements.txt").write_text(requirements)
    return lock(model, {**MLMODEL, **mlmodel}, allows_code=False)


def package_in(folder: Path, text: str) -> PackageManifest:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK_FILE).write_text(text)
    return package_manifest(
        lock_sha256=sha256_text(text),
        is_native=True,
        runtime=Runtime(sys.version.split()[0], "pyfunc", (REQUIREMENTS.strip(),)),
    )


def versions_in(place: Path) -> list[str]:
    code = (
        "import slipway_test_one as one, slipway_test_two as two; print(one.VERSION, two.VERSION)"
    )
    done = subprocess.run(
        [place / "bin" / "python", "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_lock_names_every_distribution_with_its_hash_and_wheels_alone(
    wheels: Path, tmp_path: Path
) -> None:
    found = locked(tmp_path)
    assert found.reason == ""
    lines = [line.strip(" \\") for line in found.text.splitlines() if line]
    assert lines[0] == "--only-binary :all:"
    assert lines[1] == "slipway-test-one==1.0"
    assert lines[3] == "slipway-test-two==2.0"
    assert all(lines[i].startswith("--hash=sha256:") for i in (2, 4))
    assert locked(tmp_path).text == found.text


def test_mlflow_is_locked_where_the_model_names_it_nowhere(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, "mlflow", "3.1.4")
    assert "\nmlflow==3.1.4" in locked(tmp_path, mlflow_version="3.1.4").text


def test_pins_that_contradict_each_other_for_other_pythons_are_locked_for_the_models_own(
    wheels: Path, tmp_path: Path
) -> None:
    """As those of pandas and numpy do, which need newer ones of each other on newer Pythons."""
    write_wheel(
        wheels,
        "slipway-test-three",
        "1.0",
        needs="slipway-test-two>=2; python_version >= '3.14' and sys_platform == 'win32'",
    )
    found = locked(tmp_path, "slipway-test-three==1.0\nslipway-test-two==1.0\n")
    assert found.reason == ""
    assert "slipway-test-three==1.0" in found.text
    assert "slipway-test-two==1.0" in found.text
    assert "slipway-test-two==2.0" not in found.text


def test_what_is_not_to_be_found_leaves_no_lock_and_a_reason(wheels: Path, tmp_path: Path) -> None:
    found = locked(tmp_path, "slipway-test-absent==1.0\n")
    assert found.text == ""
    assert "slipway-test-absent" in found.reason


def test_an_environment_is_built_once_and_holds_what_was_locked(
    wheels: Path, tmp_path: Path
) -> None:
    manifest = package_in(tmp_path / "dist", locked(tmp_path).text)
    told: list[str] = []
    place = prepared(tmp_path / "dist", manifest, tmp_path / "envs", told.append)
    assert place == environment_of(manifest.lock_sha256, tmp_path / "envs")
    assert versions_in(place) == ["1.0", "2.0"]
    (line,) = told
    assert line == (
        "building the environment of wine/3, once, for slipway-test-one==1.0 (not installed): "
        f"{place}"
    )
    for wheel in wheels.glob("*.whl"):
        wheel.unlink()
    assert prepared(tmp_path / "dist", manifest, tmp_path / "envs", told.append) == place
    assert len(told) == 1


def test_two_builders_build_one_environment(wheels: Path, tmp_path: Path) -> None:
    manifest = package_in(tmp_path / "dist", locked(tmp_path).text)
    told: list[str] = []
    places: list[Path | None] = []

    def build() -> None:
        places.append(prepared(tmp_path / "dist", manifest, tmp_path / "envs", told.append))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert places == [environment_of(manifest.lock_sha256, tmp_path / "envs")] * 2


def test_a_builder_that_was_killed_leaves_nothing_that_is_taken_for_whole(
    wheels: Path, tmp_path: Path
) -> None:
    manifest = package_in(tmp_path / "dist", locked(tmp_path).text)
    place = environment_of(manifest.lock_sha256, tmp_path / "envs")
    half = place.parent / f".{place.name}.building"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").write_text("half of it")
    assert prepared(tmp_path / "dist", manifest, tmp_path / "envs", print) == place
    assert versions_in(place) == ["1.0", "2.0"]
    assert not half.exists()


def test_a_wheel_that_is_not_the_locked_one_is_not_installed(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = package_in(tmp_path / "dist", locked(tmp_path).text)
    write_wheel(wheels, "slipway-test-two", "2.0", other_py="raise SystemExit\n")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache of another machine"))
    with pytest.raises(EnvironmentBuildError, match=r"(?s)uv pip says: .*[Hh]ash.*then try again"):
        prepared(tmp_path / "dist", manifest, tmp_path / "envs", print)
    assert [p.name for p in (tmp_path / "envs").iterdir() if p.is_dir()] == []


def test_without_a_lock_nothing_is_built(tmp_path: Path) -> None:
    manifest = package_in(tmp_path / "dist", "a lock")
    with pytest.raises(
        PackageError, match=r"requirements\.lock is missing, .*`slipway package wine/3` where the "
    ):
        prepared(tmp_path / "dist", replace(manifest, lock_sha256=""), tmp_path / "envs", print)
    (tmp_path / "dist" / LOCK_FILE).write_text("another")
    with pytest.raises(PackageError, match=r"requirements\.lock is not what its manifest says"):
        prepared(tmp_path / "dist", manifest, tmp_path / "envs", print)
    (tmp_path / "dist" / LOCK_FILE).unlink()
    with pytest.raises(PackageError, match=r"requirements\.lock is missing"):
        lock_of(tmp_path / "dist", manifest)


def test_an_interpreter_that_has_all_that_is_pinned_is_used_as_it_is(tmp_path: Path) -> None:
    from importlib.metadata import version

    pins = tuple(f"{name}=={version(name)}" for name in ("mlflow", "pandas"))
    runtime = Runtime(sys.version.split()[0], "pyfunc", pins)
    manifest = replace(package_manifest(is_native=True), runtime=runtime)
    assert prepared(tmp_path, manifest, tmp_path / "envs", pytest.fail) is None
    assert prepared(tmp_path, replace(manifest, is_native=False), tmp_path, pytest.fail) is None
