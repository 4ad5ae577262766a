"""Before the local cloud starts servers, the environments of native models are built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.package import PackageManifest
from scripts.models import environments as model_environments
from tests.unit.infra_samples import package_manifest, write_package

STACK = """\
config:
  aws:region: eu-west-1
  slipway:models:
    wine:
      package: dist/wine/3
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """For what environments were asked."""
    found: list[tuple[Any, ...]] = []

    def prepared(package: Path, manifest: PackageManifest, folder: Path, _tell: object) -> Path:
        found.append((package, manifest.model, folder))
        return folder / "built"

    monkeypatch.setattr(model_environments, "prepared", prepared)
    return found


def test_each_model_of_the_local_stack_gets_its_environment_in_the_project(
    tmp_path: Path, asked: list[tuple[Any, ...]]
) -> None:
    folder = write_package(tmp_path)
    (tmp_path / "Pulumi.local.yaml").write_text(STACK)
    model_environments.prepare_local(tmp_path)
    assert asked == [(folder, "wine", tmp_path / ".slipway" / "envs")]


@pytest.mark.parametrize("spoil", ["package: dist/absent", "colour: red", "package: 3"])
def test_a_stack_file_with_problems_is_left_to_the_engine_and_nothing_is_built(
    tmp_path: Path, asked: list[tuple[Any, ...]], spoil: str
) -> None:
    write_package(tmp_path)
    (tmp_path / "Pulumi.local.yaml").write_text(STACK.replace("package: dist/wine/3", spoil))
    model_environments.prepare_local(tmp_path)
    assert asked == []


def test_a_server_is_told_where_its_environment_is_and_from_which_lock(
    tmp_path: Path, asked: list[tuple[Any, ...]]
) -> None:
    manifest = package_manifest(lock_sha256="ab" * 32, is_native=True)
    assert model_environments.variables(tmp_path, manifest, tmp_path) == {
        "SLIPWAY_NATIVE_ENV": str(tmp_path / ".slipway" / "envs" / "built"),
        "SLIPWAY_LOCK_SHA256": "ab" * 32,
    }


@pytest.mark.parametrize(
    ("runs_code", "value", "is_allowed"),
    [
        (("m.pkl (a pickle)",), "", False),
        (("m.pkl (a pickle)",), "ab" * 32, False),
        (("m.pkl (a pickle)",), f"{'ab' * 32}, {'cd' * 32}", True),
        ((), "", True),
        (None, "", True),  # an earlier version: the server itself decides
    ],
)
def test_code_may_run_by_hash_alone(
    runs_code: tuple[str, ...] | None, value: str, is_allowed: bool
) -> None:
    manifest = package_manifest(runs_code=runs_code)
    assert model_environments.allows({"SLIPWAY_ALLOW_CODE": value}, manifest) is is_allowed
