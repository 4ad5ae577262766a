"""``slipway package --bento``: a Bento of a package, pinned to the package's hash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts.canonical import content_hash, sha256_file
from contracts.errors import SlipwayError
from contracts.package import ARCHIVE_FILE, PackageManifest, load_package
from contracts.variables import MANIFEST_SHA256
from inference.integrity import read_index
from inference.unpacking import unpack
from scripts.console import progress, project_root

SOURCE = Path(__file__).resolve().parents[2]
FOLDERS = ("contracts", "inference")
NOT_COPIED = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".*", "Dockerfile", "desk*", "slim.py", "aws_code.py", "bentofile.yaml"
)
# Engines that need no environment of their own: which requirements each of them adds.
EXTRAS = {"linear": (), "forest": (), "onnx": (), "sklearn": ("sklearn",)}
# BentoML's rule for names and versions.
TAG_PART = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?")
MAX_TAG_PART = 63
HASH_CHARACTERS = 12
REASON = 500


class BentoError(SlipwayError):
    """No Bento can be made of the package."""


@dataclass(frozen=True)
class Bento:
    """``tag`` is what ``bentoml serve`` takes, with BENTOML_HOME set to ``home``."""

    tag: str
    home: str
    manifest_sha256: str


def bento_of(package: Path, wanted: bool, home: Path | None) -> Bento | None:
    """What ``--bento`` and ``--bento-home`` ask for; the home alone asks for it too."""
    if not wanted and home is None:
        return None
    with progress(f"building a Bento of {package}"):
        return make_bento(package, home or project_root() / ".slipway" / "bentoml")


def make_bento(package: Path, home: Path) -> Bento:
    """A Bento of the package in the folder ``package``, in the store below ``home``.

    Its version names its content: the same package and code give the same tag, built once.
    """
    manifest = load_package(package)
    with TemporaryDirectory(prefix="slipway-bento-") as scratch:
        context = Path(scratch)
        _stage(context, package, manifest)
        tag = f"{_name(manifest.model)}:{_version(manifest.version, context)}"
        made = Bento(tag, str(home), manifest.index_sha256)
        name, _, version = tag.partition(":")
        if not (home / "bentos" / name / version / "bento.yaml").is_file():
            _build(context, home, made, manifest)
    return made


def _stage(context: Path, package: Path, manifest: PackageManifest) -> None:
    """The folder that the Bento is built from: code, the unpacked package, its hash."""
    for name in FOLDERS:
        shutil.copytree(SOURCE / name, context / name, ignore=NOT_COPIED)
    unpack(package / ARCHIVE_FILE, context / "package")
    index, _ = read_index(context / "package", manifest.index_sha256)
    engine = index.serving_engine
    if manifest.is_native or engine not in EXTRAS:
        raise BentoError(
            f"{manifest.model}/{manifest.version} is served by {engine!r} and needs an "
            f"environment of its own; a Bento can be made for {', '.join(EXTRAS)} by skops; "
            f"serve it with the model server's image: slipway image build --package {package}"
        )
    (context / "pin.json").write_text(json.dumps({"manifest_sha256": manifest.index_sha256}))
    files = [
        "requirements.txt",
        *(f"requirements-{name}.txt" for name in EXTRAS[engine]),
    ]
    lines = "".join((SOURCE / "inference" / file).read_text() for file in files)
    (context / "requirements.txt").write_text(lines)
    shutil.copy(SOURCE / "inference" / "bentofile.yaml", context)


def _name(model: str) -> str:
    name = model.lower()
    if len(name) > MAX_TAG_PART or TAG_PART.fullmatch(name) is None:
        raise BentoError(
            f"the model is named {model!r}; BentoML takes up to {MAX_TAG_PART} letters, digits, "
            "'-', '_' and '.', the first and last of them a letter or digit; register it under "
            "such a name"
        )
    return name


def _version(version: str, context: Path) -> str:
    files = sorted(path for path in context.rglob("*") if path.is_file())
    parts = [[path.relative_to(context).as_posix(), sha256_file(path)] for path in files]
    return f"{version}-{content_hash(parts)[:HASH_CHARACTERS]}"


def _build(context: Path, home: Path, made: Bento, manifest: PackageManifest) -> None:
    name, _, version = made.tag.partition(":")
    labels = {
        "slipway.model": manifest.model,
        "slipway.version": manifest.version,
        "slipway.manifest_sha256": made.manifest_sha256,
    }
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    command += ["--name", name, "--version", version]
    for key, value in labels.items():
        command += ["--label", f"{key}={value}"]
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BentoError(
            f"--bento-home is {home}, which cannot be written to ({error}); name another folder"
        ) from None
    environment = {
        **os.environ,
        "BENTOML_HOME": str(home.resolve()),
        "BENTOML_DO_NOT_TRACK": "True",
        # Nothing of this machine may stand in for what the Bento itself must hold.
        "PYTHONPATH": str(context),
    }
    environment.pop(MANIFEST_SHA256, None)
    built = subprocess.run(
        [*command, str(context)],
        cwd=context,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        said = (built.stderr.strip() or built.stdout.strip())[-REASON:]
        raise BentoError(f"bentoml build ended with {built.returncode}, it said last: {said}")
