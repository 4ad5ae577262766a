"""Packages: nothing is loaded that is cut short, changed, added or outside its folder."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.canonical import sha256_file, sha256_text
from contracts.package import INDEX_FILE, ArchiveIndex, FileEntry
from contracts.variables import MANIFEST_SHA256, REQUIRE_MANIFEST_SHA256
from inference import integrity, unpacking
from inference.errors import PackageRefusedError
from inference.integrity import (
    SAGEMAKER_MODEL,
    expected_digest,
    read_index,
)
from inference.unpacking import unpack

CONTENT = {"model/MLmodel": b"flavors: {}\n", "model/data/weights.bin": b"\x00\x01" * 500}


def make_package(root: Path, **entries: str) -> str:
    """An unpacked package; ``entries`` adds files to the index that were never written."""
    files: list[FileEntry] = []
    for name, data in CONTENT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files.append(FileEntry(name, len(data), sha256_file(path)))
    files += [FileEntry(path, 1, sha256_text("x")) for path in entries.values()]
    index = ArchiveIndex(
        model="wine",
        version="1",
        engine="sklearn",
        output="predict",
        inputs={"properties": {}, "x-columns": []},
        outputs={},
        files=tuple(files),
    )
    (root / INDEX_FILE).write_text(index.to_json())
    return sha256_text(index.to_json())


def test_a_complete_package_is_taken_with_and_without_a_hash_from_outside(tmp_path: Path) -> None:
    digest = make_package(tmp_path)
    for expected in (digest, None):
        index, found = read_index(tmp_path, expected)
        assert found == digest
        assert [entry.path for entry in index.files] == list(CONTENT)


def test_a_folder_without_an_index_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(PackageRefusedError, match=r"holds no slipway\.json: .* unpacked into"):
        read_index(tmp_path / "absent", None)


def test_an_index_with_another_hash_is_refused(tmp_path: Path) -> None:
    make_package(tmp_path)
    with pytest.raises(PackageRefusedError, match=r"SLIPWAY_MANIFEST_SHA256 says 0{12}…: this is "):
        read_index(tmp_path, "0" * 64)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 9}', "{}"])
def test_an_index_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / INDEX_FILE).write_text(text)
    with pytest.raises(PackageRefusedError, match=r"slipway\.json cannot be read: "):
        read_index(tmp_path, None)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def link(path: Path) -> None:
    twin = path.rename(path.parent.parent / "twin")
    path.symlink_to(twin)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, r"weights\.bin is not what slipway\.json says; package the model again"),
        (flip, r"weights\.bin is not what slipway\.json says"),
        (Path.unlink, r"weights\.bin is missing; package the model again"),
        (link, r"names 'model/data/weights\.bin', which lies outside the package"),
    ],
)
def test_a_file_that_changed_is_refused(
    tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    digest = make_package(tmp_path)
    change(tmp_path / "model/data/weights.bin")
    with pytest.raises(PackageRefusedError, match=message):
        read_index(tmp_path, digest)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "model/../../outside"])
def test_an_index_that_names_a_path_outside_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("x")
    digest = make_package(tmp_path / "package", extra=name)
    with pytest.raises(PackageRefusedError, match="which lies outside the package"):
        read_index(tmp_path / "package", digest)


def test_a_file_that_the_index_does_not_list_is_refused(tmp_path: Path) -> None:
    digest = make_package(tmp_path)
    (tmp_path / "model" / "model.skops").write_bytes(b"another model")
    with pytest.raises(PackageRefusedError, match=r"model\.skops is not listed in slipway\.json"):
        read_index(tmp_path, digest)


def make_archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_an_archive_unpacks_to_its_files(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.tar.gz", *((member(n), d) for n, d in CONTENT.items()))
    unpack(archive, tmp_path / "out")
    for name, data in CONTENT.items():
        assert (tmp_path / "out" / name).read_bytes() == data


def test_an_archive_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    noise = os.urandom(4096)
    whole = make_archive(tmp_path / "a.tar.gz", (member("model/noise"), noise)).read_bytes()
    archive = tmp_path / "short.tar.gz"
    for share in (0, 0.01, 0.3, 0.7):
        archive.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(PackageRefusedError, match="cut short or was changed"):
            unpack(archive, tmp_path / "out")


def test_an_archive_with_damaged_bytes_is_refused(tmp_path: Path) -> None:
    data = b"".join(str(n).encode() for n in range(4000))
    whole = bytearray(make_archive(tmp_path / "a.tar.gz", (member("f"), data)).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 20] = b"\xff" * 20
    (tmp_path / "a.tar.gz").write_bytes(whole)
    with pytest.raises(PackageRefusedError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.mark.parametrize(
    "data", [b"no gzip at all", gzip.compress(b"no tar at all" * 90)], ids=["no gzip", "no tar"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(PackageRefusedError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_an_archive_that_reaches_out_of_its_folder_writes_nothing_there(tmp_path: Path) -> None:
    for name in ("../escaped", "model/../../escaped", str(tmp_path / "escaped")):
        archive = make_archive(tmp_path / "a.tar.gz", (member(name), b"x"))
        with pytest.raises(PackageRefusedError, match=r"escaped', which lies outside the package"):
            unpack(archive, tmp_path / "out")
        assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_links_and_devices_in_an_archive_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = make_archive(tmp_path / "a.tar.gz", (member("model/x", kind, "/etc/hostname"), b""))
    with pytest.raises(PackageRefusedError, match="'model/x', no plain file; links are refused"):
        unpack(archive, tmp_path / "out")


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = make_archive(
        tmp_path / "a.tar.gz", (member("model/x"), b"one"), (member("model/./x"), b"other")
    )
    with pytest.raises(PackageRefusedError, match=r"it holds 'model/\./x' twice"):
        unpack(archive, tmp_path / "out")


def test_an_archive_of_a_folder_as_tar_makes_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "content" / "model").mkdir(parents=True)
    (tmp_path / "content" / "model" / "x").write_bytes(b"x")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "content", ".")
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert (tmp_path / "out" / "model" / "x").read_bytes() == b"x"


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    content = [(member("a"), b"0" * 600), (member("b"), b"0")]
    archive = make_archive(tmp_path / "a.tar.gz", *content)
    with pytest.raises(PackageRefusedError, match="unpacks to more than 600 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=600)


def test_what_stands_behind_the_archive_s_end_counts_too(tmp_path: Path) -> None:
    whole = gzip.decompress(make_archive(tmp_path / "a.tar.gz", (member("a"), b"0")).read_bytes())
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(whole + bytes(8 << 20)))
    with pytest.raises(PackageRefusedError, match="unpacks to more than 1048576 bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", max_bytes=1 << 20)


def lying(path: Path, claimed: int, kind: bytes = tarfile.REGTYPE) -> Path:
    """An archive whose only member claims a size that it has not."""
    info = member("model/x", kind)
    info.size = claimed
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048)))
    return path


@pytest.mark.parametrize(
    ("claimed", "kind", "message"),
    [
        (1 << 40, tarfile.REGTYPE, "cannot be unpacked"),
        (1 << 34, tarfile.XHDTYPE, "a header of 17179869184 bytes"),
        (1 << 34, tarfile.GNUTYPE_LONGNAME, "a header of 17179869184 bytes"),
        (-(1 << 30), tarfile.REGTYPE, "cannot be unpacked"),
    ],
)
def test_a_bomb_whose_sizes_lie_is_refused(
    tmp_path: Path, claimed: int, kind: bytes, message: str
) -> None:
    with pytest.raises(PackageRefusedError, match=message):
        unpack(lying(tmp_path / "a.tar.gz", claimed, kind), tmp_path / "out")


def test_more_files_than_any_model_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    archive = make_archive(tmp_path / "a.tar.gz", *((member(n), b"") for n in "abc"))
    with pytest.raises(PackageRefusedError, match="it holds more than 2 files"):
        unpack(archive, tmp_path / "out")


def whole() -> bytes:
    """An archive that nobody changed, without its compression."""
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "a.tar.gz"
        make_archive(archive, *((member(n), d) for n, d in CONTENT.items()))
        return gzip.decompress(archive.read_bytes())


WHOLE = whole()


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), max_size=6), st.data())
def test_an_archive_changed_anywhere_unpacks_or_is_refused(
    changes: dict[int, int], data: st.DataObject
) -> None:
    changed = bytearray(WHOLE)
    for at, byte in changes.items():
        changed[at % 512 if data.draw(st.booleans()) else at] = byte
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "a.tar.gz").write_bytes(gzip.compress(bytes(changed), 1))
        with contextlib.suppress(PackageRefusedError):
            unpack(Path(scratch) / "a.tar.gz", Path(scratch) / "in" / "out", max_bytes=1 << 20)
        assert set(os.listdir(scratch)) <= {"a.tar.gz", "in"}
        assert set(os.listdir(Path(scratch) / "in") if "in" in os.listdir(scratch) else ()) <= {
            "out"
        }


@pytest.mark.parametrize("environment", [{}, {MANIFEST_SHA256: ""}])
def test_without_a_hash_from_outside_nothing_starts_on_sagemaker(
    environment: dict[str, str],
) -> None:
    with pytest.raises(
        PackageRefusedError, match=r"SLIPWAY_MANIFEST_SHA256 is not set.*/opt/ml/model should hold"
    ):
        expected_digest(SAGEMAKER_MODEL, environment)
    assert expected_digest(Path("/elsewhere"), environment) is None
    with pytest.raises(PackageRefusedError, match="is not set"):
        expected_digest(Path("/elsewhere"), {**environment, REQUIRE_MANIFEST_SHA256: "1"})
    assert expected_digest(SAGEMAKER_MODEL, {MANIFEST_SHA256: "ab"}) == "ab"


@pytest.mark.parametrize("text", ["//opt/ml/model", "/opt/ml/../ml/model/", "opt/ml/model", "link"])
def test_sagemakers_folder_needs_its_digest_however_it_is_spelled(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if text == "link":
        (tmp_path / text).symlink_to(SAGEMAKER_MODEL)
    monkeypatch.chdir(tmp_path if text == "link" else "/")
    with pytest.raises(PackageRefusedError, match="SLIPWAY_MANIFEST_SHA256 is not set"):
        expected_digest(Path(text), {})


def test_an_index_larger_than_any_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path)
    monkeypatch.setattr(integrity, "MAX_INDEX_BYTES", 10)
    with pytest.raises(PackageRefusedError, match=r"slipway\.json has more than 10 bytes"):
        read_index(tmp_path, None)
