"""``slipway package``: a registered model version as ``model.tar.gz`` and ``manifest.json``.

The same version gives the same bytes, whenever and wherever it is packaged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contracts.canonical import sha256_file, sha256_text
from contracts.engine import ENGINE_FOLDER, LOGGED_OUTPUTS, OUTPUTS
from contracts.package import (
    ARCHIVE_FILE,
    INDEX_FILE,
    LOCK_FILE,
    MANIFEST_FILE,
    ArchiveIndex,
    Conversion,
    FileEntry,
    PackageManifest,
)
from model_code import registry
from model_code.archive import put_in_place, write_archive
from model_code.conversion.child import SECONDS, Task, convert
from model_code.errors import PackagingError
from model_code.locking import Locked
from model_code.mlmodel import LoggedModel, files_of, logged_model, read_mlmodel
from model_code.signature import answer_schema, params_schema, row_schema

# From a model's folder and what its MLmodel says; of native models alone.
Lock = Callable[[Path, dict[str, Any]], Locked]


@dataclass(frozen=True)
class Package:
    """A package on disk: its folder and its manifest; ``unlocked`` says why it has no lock."""

    folder: Path
    manifest: PackageManifest
    unlocked: str = ""


@dataclass(frozen=True)
class Converting:
    """How to convert: the command of the child that does and proves it, and its limit.

    ``allows_code``: a pickle may be loaded, which runs what it holds.
    """

    prover: tuple[str, ...]
    allows_code: bool = False
    seconds: float = SECONDS


def package(
    uri: str,
    reference: str,
    dist: Path,
    output: str | None = None,
    converting: Converting | None = None,
    lock: Lock | None = None,
    beside: Callable[[str], Path] | None = None,
) -> Package:
    """Package ``MODEL/VERSION`` or ``MODEL@ALIAS`` into ``dist/<model>/<version>``.

    The folder is complete when it appears. ``output`` overrides what answers a request. Without
    ``converting`` no conversion is tried. ``lock`` locks a native model's requirements, into a file
    beside the archive: that one is the same on any day, and without a network. ``beside`` makes,
    for the engine that answers, a folder of files that go into the archive, too.
    """
    version = registry.resolve(uri, reference)
    folder = dist / version.model / version.version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".packaging-") as scratch:
        model_dir = registry.download(uri, version, Path(scratch) / "model")
        built = Path(scratch) / "package"
        built.mkdir()
        manifest = _build(version, model_dir, built, output, converting, beside)
        unlocked = ""
        if lock is not None and manifest.is_native:
            locked = lock(model_dir, read_mlmodel(model_dir))
            manifest, unlocked = _with_lock(manifest, locked, built), locked.reason
        (built / MANIFEST_FILE).write_text(manifest.to_json())
        put_in_place(built, folder)
    return Package(folder, manifest, unlocked)


def _with_lock(manifest: PackageManifest, locked: Locked, built: Path) -> PackageManifest:
    if not locked.text:
        return manifest
    (built / LOCK_FILE).write_text(locked.text)
    return replace(manifest, lock_sha256=sha256_text(locked.text))


@dataclass(frozen=True)
class _Contents:
    """What goes into an archive, by name, and how it is to be answered from it."""

    files: tuple[tuple[str, Path], ...]
    conversion: Conversion | None
    is_native: bool


def _build(
    version: registry.ModelVersion,
    model_dir: Path,
    built: Path,
    output: str | None,
    converting: Converting | None,
    beside: Callable[[str], Path] | None,
) -> PackageManifest:
    model = logged_model(model_dir, version.uri)
    inputs = row_schema(model.inputs, version.uri)
    params = params_schema(model.params, version.uri)
    chosen = _output(model, output)
    _refuse_unseen_output(model, chosen, converting)
    outputs = answer_schema(model.outputs, model.predict_fn, chosen)
    task = Task(
        str(model_dir),
        inputs,
        chosen,
        model.engine,
        converting is not None and converting.allows_code,
        has_params=bool(params),
    )
    contents = _contents(version.uri, model, task, built.parent / "conversion", converting, beside)
    index = ArchiveIndex(
        model=version.model,
        version=version.version,
        engine=model.engine,
        output=chosen,
        inputs=inputs,
        outputs=outputs,
        files=tuple(
            FileEntry(name, path.stat().st_size, sha256_file(path)) for name, path in contents.files
        ),
        trusted_types=model.trusted_types,
        conversion=contents.conversion,
        runs_code=model.runs_code if contents.is_native else (),
        params=params,
    )
    archive = built / ARCHIVE_FILE
    packed = [(name, path.read_bytes()) for name, path in contents.files]
    write_archive(archive, [(INDEX_FILE, index.to_json().encode()), *packed])
    return _manifest(version, model, index, archive, contents.is_native)


def _contents(
    uri: str,
    model: LoggedModel,
    task: Task,
    scratch: Path,
    converting: Converting | None,
    beside: Callable[[str], Path] | None,
) -> _Contents:
    """The model, what it was converted to, and what is wanted beside it."""
    files = [(f"model/{name}", path) for name, path in files_of(model.folder)]
    conversion, converted = None, None
    if converting is not None:
        conversion, converted = convert(task, converting.prover, scratch, converting.seconds)
    if converted is not None:
        files += [(f"{ENGINE_FOLDER}/{name}", path) for name, path in files_of(converted)]
    is_native = converted is None and not model.is_skops
    if beside is not None:
        if is_native:
            raise _no_code_for_aws(uri, conversion)
        converted_to = "" if conversion is None else conversion.engine
        files += files_of(beside(converted_to or model.engine))
    return _Contents(tuple(files), conversion, is_native)


def _manifest(
    version: registry.ModelVersion,
    model: LoggedModel,
    index: ArchiveIndex,
    archive: Path,
    is_native: bool,
) -> PackageManifest:
    signature = {"inputs": index.inputs, "outputs": index.outputs}
    if index.params:
        signature["params"] = index.params
    needs_skops = index.serving_engine == "sklearn" and not is_native
    return PackageManifest(
        model=version.model,
        version=version.version,
        registry_uri=version.uri,
        run_id=version.run_id,
        sha256=sha256_file(archive),
        size=archive.stat().st_size,
        index_sha256=sha256_text(index.to_json()),
        signature=signature,
        metrics=version.metrics,
        runtime=model.runtime,
        engine=index.serving_engine,
        output=index.output,
        conversion=index.conversion,
        is_native=is_native,
        runs_code=index.runs_code,
        needs_types=model.foreign_types() if needs_skops else (),
    )


def _no_code_for_aws(uri: str, conversion: Conversion | None) -> PackagingError:
    reason = f" ({conversion.reason})" if conversion is not None else ""
    return PackagingError(
        f"{uri} was not converted{reason}, so it needs an interpreter with its own requirements, "
        "which AWS's own serving containers do not have; leave --aws-code out, and build an image "
        "that has it with `slipway image build --package DIST_DIR`"
    )


def _refuse_unseen_output(model: LoggedModel, chosen: str, converting: Converting | None) -> None:
    if chosen == model.predict_fn or not model.is_pickle:
        return
    if converting is None or not converting.allows_code:
        raise PackagingError(
            f"output is {chosen!r}, and whether the model has it shows only when its pickle is "
            "loaded, which runs what it holds; if you trust it, add --allow-code, else leave "
            "--output out"
        )


def _output(described: LoggedModel, wanted: str | None) -> str:
    if wanted is None:
        known = (*OUTPUTS, *LOGGED_OUTPUTS)
        if described.engine == "sklearn" and described.predict_fn not in known:
            raise PackagingError(
                f"the model was logged to answer by {described.predict_fn!r} "
                f"(pyfunc_predict_fn); one of {', '.join(known)} can be served; log it with one "
                "of these, or give --output"
            )
        return described.predict_fn
    if wanted not in OUTPUTS and wanted != described.predict_fn:
        raise PackagingError(f"output is {wanted!r}; one of {', '.join(OUTPUTS)} is needed")
    if wanted != described.predict_fn and described.engine != "sklearn":
        raise PackagingError(
            f"output is {wanted!r}, but this model answers by {described.predict_fn!r} and only "
            "scikit-learn models can be asked otherwise; leave --output out"
        )
    return wanted
