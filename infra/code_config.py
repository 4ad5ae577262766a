"""Code that a model brings: what the server would refuse is refused before anything is made."""

from __future__ import annotations

import re
from collections.abc import Mapping

from contracts.variables import ALLOW_CODE, TRUSTED_TYPES
from infra.reading import Node
from infra.settings import ModelPackage


def refuse_code(node: Node, package: ModelPackage | None, environment: Mapping[str, str]) -> None:
    """Note what the package needs and ``environment`` does not allow, with the line to add."""
    allowed = _listed(environment.get(ALLOW_CODE, ""))
    for entry in allowed:
        if re.fullmatch(r"[0-9a-f]{64}", entry) is None:
            node.problems.add(
                node.child("environment").find(ALLOW_CODE)[0],
                entry,
                "the sha256 of packages, separated by commas, is allowed",
                "write index_sha256 of the package's manifest.json",
            )
    if package is None or package.manifest.index_sha256 in allowed:
        return
    manifest = package.manifest
    path, value = node.find("package")
    if manifest.runs_code:
        line = f"{ALLOW_CODE}: '{','.join([*allowed, manifest.index_sha256])}'"
        node.problems.add(
            path,
            value,
            f"loading it runs what it brings, {', '.join(manifest.runs_code)}, and nobody allowed "
            "that",
            f"if you trust this very package, write `environment: {{{line}}}` beside it",
        )
    trusted = _listed(environment.get(TRUSTED_TYPES, ""))
    foreign = [name for name in manifest.needs_types if name not in trusted]
    if foreign:
        line = f"{TRUSTED_TYPES}: '{','.join([*trusted, *foreign])}'"
        node.problems.add(
            path,
            value,
            f"it needs the types {', '.join(foreign)}, and nobody allowed those",
            f"if you trust them, write `environment: {{{line}}}` beside it",
        )


def _listed(text: str) -> list[str]:
    return [entry for entry in re.split(r"[\s,]+", text) if entry]
