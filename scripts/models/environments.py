"""Environments of native models, built before `slipway serve` or the local cloud need them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from contracts.package import PackageManifest
from contracts.variables import ALLOW_CODE, LOCK_SHA256, NATIVE_ENVIRONMENT
from model_code.environments import ENVIRONMENTS, prepared
from scripts.console import stderr


def allows(environment: Mapping[str, str], manifest: PackageManifest) -> bool:
    """Whether the package may run what it brings; one that brings nothing may anyway."""
    named = re.split(r"[\s,]+", environment.get(ALLOW_CODE, ""))
    return not manifest.runs_code or manifest.index_sha256 in named


def variables(package: Path, manifest: PackageManifest, root: Path) -> dict[str, str]:
    """What a server is told of the environment of the package, which is built if need be.

    Raises:
        PackageError: there is no lock to build it from.
        EnvironmentBuildError: it could not be built.
    """
    place = prepared(package, manifest, root / ENVIRONMENTS, _tell)
    if place is None:
        return {}
    return {NATIVE_ENVIRONMENT: str(place), LOCK_SHA256: manifest.lock_sha256}


def prepare_local(root: Path) -> None:
    """Build what the models of the stack ``local`` need; a local cloud serves them from there.

    A stack file with problems is left to the engine, which lists them all.
    """
    from infra.config import NAMESPACE, ConfigError, parse
    from localcloud.image import local_image
    from scripts.release.stack import LOCAL_STACK, settings_file, stack_values

    raw = {
        key.removeprefix(f"{NAMESPACE}:"): value
        for key, value in stack_values(settings_file(root, LOCAL_STACK)).items()
        if key.startswith(f"{NAMESPACE}:")
    }
    try:
        models = parse(raw, LOCAL_STACK, root, local_image()).models
    except ConfigError:
        return
    for model in models:
        variables(model.package.folder, model.package.manifest, root)


def _tell(text: str) -> None:
    stderr.print(text, markup=False, soft_wrap=True)
