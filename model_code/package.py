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
from contracts.model_code import code_in_model
from contracts.package import (
    ARCHIVE_FILE,
    INDEX_FILE,
    LOCK_FILE,
    MANIFEST_FILE,
    ArchiveIndex,
    Conversion,
    FileEntry,
    PackageManifest,
    Runtime,
)
from contracts.pins import other_release
from model_code import registry
from model_code.archive import put_in_place, write_archive
from model_code.conversion.child import SECONDS, Task, convert
from model_code.errors import PackagingError
from model_code.locking import Locked
from model_code.signature import answer_schema, params_schema, row_schema

# Written by MLflow at each download, and no part of the model.
LEFT_OUT = frozenset({"registered_model_meta"})
SKOPS_FILE = "model.skops"
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
            locked = lock(model_dir, _read_mlmodel(model_dir))
            manifest, unlocked = _with_lock(manifest, locked, built), locked.reason
        (built / MANIFEST_FILE).write_text(manifest.to_json())
        put_in_place(built, folder)
    return Package(folder, manifest, unlocked)


def _with_lock(manifest: PackageManifest, locked: Locked, built: Path) -> PackageManifest:
    if not locked.text:
        return manifest
    (built / LOCK_FILE).write_text(locked.text)
    return replace(manifest, lock_sha256=sha256_text(locked.text))


def _build(
    version: registry.ModelVersion,
    model_dir: Path,
    built: Path,
    output: str | None,
    converting: Converting | None,
    beside: Callable[[str], Path] | None,
) -> PackageManifest:
    described = _mlmodel(model_dir, version.uri)
    inputs = row_schema(described.inputs, version.uri)
    params = params_schema(described.params, version.uri)
    chosen = _output(described, output)
    is_pickle = described.engine == "sklearn" and not (model_dir / SKOPS_FILE).is_file()
    if chosen != described.predict_fn and is_pickle and not (converting and converting.allows_code):
        raise PackagingError(
            f"output is {chosen!r}, and whether the model has it shows only when its pickle is "
            "loaded, which runs what it holds; if you trust it, add --allow-code, else leave "
            "--output out"
        )
    outputs = answer_schema(described.outputs, described.predict_fn, chosen)
    files = [(f"model/{name}", path) for name, path in _files(model_dir)]
    conversion, converted = None, None
    if converting is not None:
        task = Task(
            str(model_dir),
            inputs,
            chosen,
            described.engine,
            converting.allows_code,
            has_params=bool(params),
        )
        scratch = built.parent / "conversion"
        conversion, converted = convert(task, converting.prover, scratch, converting.seconds)
    if converted is not None:
        files += [(f"{ENGINE_FOLDER}/{n}", path) for n, path in _files(converted)]
    is_native = converted is None and not _is_skops(described, model_dir)
    if beside is not None:
        if is_native:
            raise _no_code_for_aws(version.uri, conversion)
        converted_to = "" if conversion is None else conversion.engine
        files += _files(beside(converted_to or described.engine))
    index = ArchiveIndex(
        model=version.model,
        version=version.version,
        engine=described.engine,
        output=chosen,
        inputs=inputs,
        outputs=outputs,
        files=tuple(
            FileEntry(name, path.stat().st_size, sha256_file(path)) for name, path in files
        ),
        trusted_types=described.trusted_types,
        conversion=conversion,
        runs_code=described.runs_code if is_native else (),
        params=params,
    )
    archive = built / ARCHIVE_FILE
    contents = [(name, path.read_bytes()) for name, path in files]
    write_archive(archive, [(INDEX_FILE, index.to_json().encode()), *contents])
    return PackageManifest(
        model=version.model,
        version=version.version,
        registry_uri=version.uri,
        run_id=version.run_id,
        sha256=sha256_file(archive),
        size=archive.stat().st_size,
        index_sha256=sha256_text(index.to_json()),
        signature={"inputs": inputs, "outputs": outputs, **({"params": params} if params else {})},
        metrics=version.metrics,
        runtime=described.runtime,
        engine=index.serving_engine,
        output=index.output,
        conversion=conversion,
        is_native=is_native,
        runs_code=index.runs_code,
        needs_types=() if is_native or index.serving_engine != "sklearn" else _foreign(model_dir),
    )


def _no_code_for_aws(uri: str, conversion: Conversion | None) -> PackagingError:
    reason = f" ({conversion.reason})" if conversion is not None else ""
    return PackagingError(
        f"{uri} was not converted{reason}, so it needs an interpreter with its own requirements, "
        "which AWS's own serving containers do not have; leave --aws-code out, and build an image "
        "that has it with `slipway image build --package DIST_DIR`"
    )


@dataclass(frozen=True)
class _Described:
    """What ``MLmodel`` says of a model."""

    engine: str
    predict_fn: str
    inputs: str | None
    outputs: str | None
    params: str | None
    trusted_types: tuple[str, ...]
    runs_code: tuple[str, ...]
    runtime: Runtime


def _is_skops(described: _Described, model_dir: Path) -> bool:
    """Whether the server loads it itself, as the types that it knows."""
    is_skops = described.engine == "sklearn" and (model_dir / SKOPS_FILE).is_file()
    return is_skops and not other_release(described.runtime.requirements, "scikit-learn")


def _foreign(model_dir: Path) -> tuple[str, ...]:
    """Types that the model is made of and that no server trusts by itself."""
    import skops.io

    needed = skops.io.get_untrusted_types(file=model_dir / SKOPS_FILE)
    return tuple(sorted(name for name in needed if not name.startswith(registry.TRUSTED_ROOTS)))


def _read_mlmodel(model_dir: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((model_dir / "MLmodel").read_text())


def _mlmodel(model_dir: Path, where: str) -> _Described:
    raw = _read_mlmodel(model_dir)
    flavors: dict[str, Any] = raw.get("flavors", {})
    pyfunc: dict[str, Any] | None = flavors.get("python_function")
    if pyfunc is None:
        raise PackagingError(
            f"{where} has no python_function flavor (it has {', '.join(flavors) or 'none'}), so no "
            "server can load it; log it with one of MLflow's own log_model functions"
        )
    sklearn: dict[str, Any] | None = flavors.get("sklearn")
    is_plain = sklearn is not None and not sklearn.get("code") and not pyfunc.get("code")
    signature: dict[str, Any] = raw.get("signature") or {}
    requirements = model_dir / "requirements.txt"
    lines = requirements.read_text().splitlines() if requirements.is_file() else []
    return _Described(
        engine="sklearn" if is_plain else "pyfunc",
        predict_fn=str(pyfunc.get("predict_fn") or "predict"),
        inputs=signature.get("inputs"),
        outputs=signature.get("outputs"),
        params=signature.get("params"),
        trusted_types=tuple((sklearn or {}).get("skops_trusted_types") or ()),
        runs_code=tuple(code_in_model(raw, [name for name, _ in _files(model_dir)])),
        runtime=Runtime(
            python=str(pyfunc.get("python_version", "")),
            framework=str(pyfunc.get("loader_module", "")).removeprefix("mlflow."),
            requirements=tuple(line.strip() for line in lines if line.strip()),
        ),
    )


def inputs_of(model_dir: Path) -> dict[str, Any]:
    """JSON schema of one row, from a model's folder."""
    return row_schema(_mlmodel(model_dir, str(model_dir)).inputs, str(model_dir))


def _output(described: _Described, wanted: str | None) -> str:
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


def _files(model_dir: Path) -> list[tuple[str, Path]]:
    """Every file by its name below the model directory, in a fixed order."""
    found: list[tuple[str, Path]] = []
    for path in sorted(model_dir.rglob("*")):
        name = path.relative_to(model_dir).as_posix()
        if path.is_symlink():
            raise PackagingError(
                f"the model holds a symbolic link ({name}), which SageMaker refuses in an archive; "
                "log the model with the file itself"
            )
        if path.is_file() and name not in LEFT_OUT and "__pycache__" not in path.parts:
            found.append((name, path))
    return found
