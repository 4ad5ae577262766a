"""A packaged model: ``dist/<model>/<version>/model.tar.gz`` beside ``manifest.json``.

The archive itself carries ``slipway.json`` (:class:`ArchiveIndex`): what the model server needs to
know before it opens any other file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contracts.canonical import pretty_json, sha256_file
from contracts.errors import ContractError
from contracts.fields import Fields

MANIFEST_FILE = "manifest.json"
ARCHIVE_FILE = "model.tar.gz"
LOCK_FILE = "requirements.lock"
INDEX_FILE = "slipway.json"
SCHEMA_VERSION = 1


class PackageError(ContractError):
    """A packaged model is missing, cut short or not what its manifest says."""


@dataclass(frozen=True)
class FileEntry:
    """One file of the archive; ``path`` is relative to the archive's root, with ``/``."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Runtime:
    """What the model was made with; ``requirements`` are pip pins as MLflow recorded them."""

    python: str
    framework: str
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class Conversion:
    """What ``slipway package`` found out by comparing a conversion with the model itself.

    ``engine``: linear, forest or onnx, from the files below ``engine/``; empty where the model is
    served as it is, for ``reason``. ``merges``: every row was answered alike alone and among all
    others, by what serves. ``rows``: how many were compared, ``rows_from``: where they came from.
    ``worst``: the kind of row that came nearest to its ``tolerance``, and how near.
    """

    engine: str = ""
    merges: bool = False
    reason: str = ""
    rows: int = 0
    rows_from: str = ""
    tolerance: dict[str, float] = field(default_factory=dict[str, float])
    worst: dict[str, Any] = field(default_factory=dict[str, Any])

    @staticmethod
    def from_fields(fields: Fields) -> Conversion:
        tolerance = fields.child("tolerance")
        return Conversion(
            engine=fields.text("engine"),
            merges=fields.flag("merges"),
            reason=fields.text("reason"),
            rows=fields.integer("rows"),
            rows_from=fields.text("rows_from"),
            tolerance={name: tolerance.number(name) for name in tolerance.raw},
            worst=fields.map("worst"),
        )


def _conversion(fields: Fields) -> Conversion | None:
    """None where nothing was tried, as in packages of earlier versions."""
    given = fields.raw.get("conversion")
    return None if given is None else Conversion.from_fields(fields.child("conversion"))


def _optional_texts(fields: Fields, key: str) -> tuple[str, ...] | None:
    if fields.raw.get(key) is None:
        return None
    return tuple(str(text) for text in fields.items(key))


@dataclass(frozen=True)
class ArchiveIndex:
    """``slipway.json``: signature, engine, and every other file with size and sha256.

    ``engine`` says how the server loads ``model/``: ``sklearn`` (no MLflow) or ``pyfunc``; a proven
    ``conversion`` is loaded instead. ``output`` is ``predict``, ``predict_proba`` or ``both``: what
    answers a request. ``inputs`` and ``outputs`` are JSON schemas of one row (``properties`` in
    column order), ``params`` one of what may come beside rows, with defaults; empty where the
    model's signature has none. ``runs_code``: which files run code or a pickle when what is served
    is loaded; None in packages of earlier versions.
    """

    model: str
    version: str
    engine: str
    output: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    files: tuple[FileEntry, ...]
    trusted_types: tuple[str, ...] = ()
    conversion: Conversion | None = None
    runs_code: tuple[str, ...] | None = None
    params: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def serving_engine(self) -> str:
        """What answers: the proven conversion's engine, else the model's own."""
        converted = "" if self.conversion is None else self.conversion.engine
        return converted or self.engine

    def to_json(self) -> str:
        fields = asdict(self)
        if not self.params:  # packages of models without them keep their bytes
            del fields["params"]
        return pretty_json({"schema_version": SCHEMA_VERSION, **fields})

    @staticmethod
    def from_json(text: str, where: str = INDEX_FILE) -> ArchiveIndex:
        fields = _parse(text, where)
        fields.schema_version(SCHEMA_VERSION)
        return ArchiveIndex(
            model=fields.text("model"),
            version=fields.text("version"),
            engine=fields.text("engine"),
            output=fields.text("output"),
            inputs=fields.map("inputs"),
            outputs=fields.map("outputs"),
            files=tuple(
                FileEntry(f.text("path"), f.integer("size"), f.text("sha256"))
                for f in fields.children("files")
            ),
            trusted_types=tuple(str(t) for t in fields.items("trusted_types")),
            conversion=_conversion(fields),
            runs_code=_optional_texts(fields, "runs_code"),
            params=fields.map("params") if "params" in fields.raw else {},
        )


@dataclass(frozen=True)
class PackageManifest:
    """``manifest.json``: what a stack needs to deploy the archive beside it, without a registry.

    ``engine`` is what answers, ``output`` what it answers; empty in packages of earlier versions.
    ``is_native``: the model itself answers, in an interpreter with its own requirements.
    ``runs_code`` is the index's; ``needs_types`` are those that skops takes only from an operator.
    ``lock_sha256`` names ``requirements.lock`` beside the archive; empty where there is none.
    """

    model: str
    version: str
    registry_uri: str
    run_id: str
    sha256: str
    size: int
    index_sha256: str
    signature: dict[str, Any]
    metrics: dict[str, float]
    runtime: Runtime
    engine: str = ""
    output: str = ""
    conversion: Conversion | None = None
    is_native: bool = False
    runs_code: tuple[str, ...] | None = None
    needs_types: tuple[str, ...] = ()
    lock_sha256: str = ""

    def to_json(self) -> str:
        return pretty_json({"schema_version": SCHEMA_VERSION, **asdict(self)})

    @staticmethod
    def from_json(text: str, where: str = MANIFEST_FILE) -> PackageManifest:
        fields = _parse(text, where)
        fields.schema_version(SCHEMA_VERSION)
        runtime = fields.child("runtime")
        metrics = fields.child("metrics")
        return PackageManifest(
            model=fields.text("model"),
            version=fields.text("version"),
            registry_uri=fields.text("registry_uri"),
            run_id=fields.text("run_id"),
            sha256=fields.text("sha256"),
            size=fields.integer("size"),
            index_sha256=fields.text("index_sha256"),
            signature=fields.map("signature"),
            metrics={name: metrics.number(name) for name in metrics.raw},
            runtime=Runtime(
                runtime.text("python"),
                runtime.text("framework"),
                tuple(str(r) for r in runtime.items("requirements")),
            ),
            engine=fields.optional_text("engine") or "",
            output=fields.optional_text("output") or "",
            conversion=_conversion(fields),
            is_native=fields.raw.get("is_native") is True,
            runs_code=_optional_texts(fields, "runs_code"),
            needs_types=_optional_texts(fields, "needs_types") or (),
            lock_sha256=fields.optional_text("lock_sha256") or "",
        )


def _reference(directory: Path) -> str:
    """What a folder is packaged from, where it lies as ``slipway package`` puts it."""
    model, version = directory.parent.name, directory.name
    return f"{model}/{version}" if model and version.isdecimal() else "MODEL/VERSION"


def load_package(directory: Path, *, verify_archive: bool = True) -> PackageManifest:
    """Read ``manifest.json`` and check that the archive beside it is complete and unchanged."""
    manifest_path = directory / MANIFEST_FILE
    try:
        text = manifest_path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        raise PackageError(
            f"no package at {directory}: {MANIFEST_FILE} is missing; "
            f"make one with `slipway package {_reference(directory)}`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(
            f"{manifest_path} cannot be read ({error}); "
            "make the package again with `slipway package MODEL/VERSION`"
        ) from None
    manifest = PackageManifest.from_json(text, str(manifest_path))
    if verify_archive:
        _check_archive(directory / ARCHIVE_FILE, manifest)
    return manifest


def lock_of(directory: Path, manifest: PackageManifest) -> Path:
    """The locked requirements beside a native model's archive, complete and unchanged.

    Raises:
        PackageError: there are none, as when packaged without a network, or they were changed.
    """
    path = directory / LOCK_FILE
    again = f"package it again with `slipway package {manifest.model}/{manifest.version}`"
    if not manifest.lock_sha256 or not path.is_file():
        raise PackageError(
            f"{path} is missing, which says what the model's environment is made of; {again} where "
            "the package index can be reached"
        )
    if sha256_file(path) != manifest.lock_sha256:
        raise PackageError(f"{path} is not what its manifest says: it was changed; {again}")
    return path


def _check_archive(archive: Path, manifest: PackageManifest) -> None:
    again = f"package it again with `slipway package {manifest.model}/{manifest.version}`"
    try:
        size = archive.stat().st_size
    except FileNotFoundError:
        raise PackageError(f"{archive} is missing; {again}") from None
    if size != manifest.size:
        raise PackageError(
            f"{archive} has {size} bytes, its manifest says {manifest.size}: "
            f"the file is cut short or was changed; {again}"
        )
    digest = sha256_file(archive)
    if digest != manifest.sha256:
        raise PackageError(
            f"{archive} has sha256 {digest[:12]}…, its manifest says {manifest.sha256[:12]}…: "
            f"the file was changed; {again}"
        )


def _parse(text: str, where: str) -> Fields:
    try:
        return Fields(json.loads(text), where)
    except ValueError as error:
        raise PackageError(f"{where} is not JSON ({error}); package the model again") from None
