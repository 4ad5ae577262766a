"""What a stack's file says of models that bring code: refused, and with which line allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.config import ConfigError, parse
from infra.model import own_variables
from infra.naming import target_hash
from infra.settings import ModelPackage
from tests.unit.infra_bad_configs import with_model
from tests.unit.infra_samples import DIGEST, ROOT, model_config, package_manifest, package_of

CODE = {"runs_code": ("code/ (code_paths)", "python_model.pkl (a pickle)"), "is_native": True}
INDEX = "cd" * 32


def wine_with(manifest: dict[str, Any], environment: dict[str, str]) -> list[str]:
    """What is wrong with a model of such a package, in a stack with such variables."""
    raw = with_model(environment=environment)
    try:
        parse(raw, "prod", ROOT, "", lambda folder: replace(package_of(folder), **manifest))
    except ConfigError as refused:
        return list(refused.problems)
    return []


def test_a_package_with_code_is_refused_with_the_line_that_allows_it() -> None:
    (problem,) = wine_with(CODE, {})
    assert problem == (
        "slipway:models.wine.package is 'dist/wine/3'; loading it runs what it brings, "
        "code/ (code_paths), python_model.pkl (a pickle), and nobody allowed that; if you trust "
        f"this very package, write `environment: {{SLIPWAY_ALLOW_CODE: '{INDEX}'}}` beside it"
    )


def test_the_line_that_allows_code_does() -> None:
    for value in (INDEX, f"{DIGEST},{INDEX}", f"{DIGEST}, {INDEX}"):
        assert wine_with(CODE, {"SLIPWAY_ALLOW_CODE": value}) == []


def test_the_hash_of_another_package_allows_nothing_and_stays_in_the_line() -> None:
    (problem,) = wine_with(CODE, {"SLIPWAY_ALLOW_CODE": DIGEST})
    assert f"{{SLIPWAY_ALLOW_CODE: '{DIGEST},{INDEX}'}}" in problem


@pytest.mark.parametrize("value", ["*", "true", "CD" * 32, "dist/wine/3"])
def test_code_is_allowed_by_hash_alone(value: str) -> None:
    assert (
        f"slipway:models.wine.environment.SLIPWAY_ALLOW_CODE is {value!r}; the sha256 "
        "of packages, separated by commas, is allowed; write index_sha256 of the package's "
        "manifest.json"
    ) in wine_with({}, {"SLIPWAY_ALLOW_CODE": value})


def test_types_that_no_server_knows_are_the_operator_s_to_trust() -> None:
    needs = {"needs_types": ("mine.Bins", "mine.Scaler")}
    (problem,) = wine_with(needs, {"SLIPWAY_TRUSTED_TYPES": "mine.Scaler"})
    assert problem == (
        "slipway:models.wine.package is 'dist/wine/3'; it needs the types mine.Bins, and nobody "
        "allowed those; if you trust them, write `environment: {SLIPWAY_TRUSTED_TYPES: "
        "'mine.Scaler,mine.Bins'}` beside it"
    )
    assert wine_with(needs, {"SLIPWAY_TRUSTED_TYPES": "mine.Scaler,mine.Bins"}) == []
    assert wine_with(needs, {"SLIPWAY_ALLOW_CODE": INDEX}) == []


def test_a_package_without_code_or_of_an_earlier_version_needs_no_permission() -> None:
    assert wine_with({"runs_code": ()}, {}) == []
    assert wine_with({"runs_code": None}, {}) == []


def test_a_lock_is_part_of_the_version_and_told_to_the_server() -> None:
    plain = model_config()
    locked = model_config(
        package=ModelPackage(plain.package.folder, package_manifest(lock_sha256="ef" * 32))
    )
    assert own_variables(plain) == {"SLIPWAY_MANIFEST_SHA256": INDEX}
    assert own_variables(locked) == {
        "SLIPWAY_MANIFEST_SHA256": INDEX,
        "SLIPWAY_LOCK_SHA256": "ef" * 32,
    }
    assert target_hash(plain, "role") != target_hash(locked, "role")


def test_the_lock_s_variable_is_no_operator_s_to_set() -> None:
    (problem,) = wine_with({}, {"SLIPWAY_LOCK_SHA256": "x"})
    assert problem == (
        "slipway:models.wine.environment.SLIPWAY_LOCK_SHA256 is 'x'; Slipway sets this variable "
        "itself, from the package; remove it"
    )
