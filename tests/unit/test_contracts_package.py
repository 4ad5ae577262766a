"""Packages: what is cut short, changed or of another form is refused with a remedy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.canonical import sha256_file
from contracts.errors import ContractError
from contracts.package import (
    ARCHIVE_FILE,
    MANIFEST_FILE,
    ArchiveIndex,
    FileEntry,
    PackageError,
    PackageManifest,
    Runtime,
    load_package,
)

MANIFEST = PackageManifest(
    model="wine",
    version="2",
    registry_uri="models:/wine/2",
    run_id="abc",
    sha256="",
    size=0,
    index_sha256="1" * 64,
    signature={"inputs": {}, "outputs": {}},
    metrics={"auc": 0.5},
    runtime=Runtime("3.11", "scikit-learn", ("scikit-learn==1.9.1",)),
)


def make_package(folder: Path) -> PackageManifest:
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE_FILE
    archive.write_bytes(b"an archive of some bytes")
    manifest = replace(MANIFEST, sha256=sha256_file(archive), size=archive.stat().st_size)
    (folder / MANIFEST_FILE).write_text(manifest.to_json())
    return manifest


def test_a_package_reads_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = make_package(tmp_path)
    assert load_package(tmp_path) == manifest


def test_no_package_at_the_path_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"manifest\.json is missing; make one with `slipway"):
        load_package(tmp_path / "absent")


def test_an_archive_cut_short_is_refused(tmp_path: Path) -> None:
    make_package(tmp_path)
    archive = tmp_path / ARCHIVE_FILE
    archive.write_bytes(archive.read_bytes()[:-3])
    with pytest.raises(PackageError, match=r"has 21 bytes, its manifest says 24: .*cut short"):
        load_package(tmp_path)


def test_an_archive_with_other_content_is_refused(tmp_path: Path) -> None:
    make_package(tmp_path)
    (tmp_path / ARCHIVE_FILE).write_bytes(b"an archive of other byte")
    with pytest.raises(PackageError, match=r"the file was changed; .*`slipway package wine/2`"):
        load_package(tmp_path)


def test_a_missing_archive_is_refused(tmp_path: Path) -> None:
    make_package(tmp_path)
    (tmp_path / ARCHIVE_FILE).unlink()
    with pytest.raises(PackageError, match=r"model\.tar\.gz is missing; package it again"):
        load_package(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "24"}, r"size is '24'; a whole number is needed"),
        ({"size": True}, r"size is True; a whole number is needed"),
        ({"model": None}, r"model is missing; text is needed"),
        ({"metrics": []}, r"metrics is \[\]; an object is needed"),
        ({"schema_version": 9}, r"schema_version is 9; this Slipway reads 1"),
    ],
)
def test_a_manifest_of_another_form_names_the_field(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    make_package(tmp_path)
    path = tmp_path / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ContractError, match=message):
        load_package(tmp_path)


def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_text('{"schema_')
    with pytest.raises(PackageError, match="is not JSON"):
        load_package(tmp_path)


def test_an_archive_index_reads_back_as_it_was_written() -> None:
    index = ArchiveIndex(
        model="wine",
        version="2",
        engine="sklearn",
        output="predict",
        inputs={"properties": {"a": {"type": "number"}}},
        outputs={},
        files=(FileEntry("model/MLmodel", 3, "0" * 64),),
        trusted_types=("x.Y",),
    )
    assert ArchiveIndex.from_json(index.to_json()) == index
    for reasons in ((), ("m.pkl (a pickle)",)):
        told = replace(index, runs_code=reasons)
        assert ArchiveIndex.from_json(told.to_json()) == told
    assert "params" not in index.to_json(), "a package without params has other bytes than before"
    told = replace(index, params={"properties": {"top": {"type": "integer", "default": 3}}})
    assert ArchiveIndex.from_json(told.to_json()) == told
