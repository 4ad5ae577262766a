"""S3 objects that were put since the last state file: a line each instead of the whole store.

Data capture and release state put objects all the time; writing every key of every bucket for each
would take longer the longer the cloud stands.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from localcloud import pickling
from localcloud.blobs import BlobStore
from localcloud.service import ACCOUNT_ID
from localcloud.wire import WireRequest

_MAX_RECORDS = 1000
_FRAME = struct.Struct("<II")
# Only then is the bucket the first part of the path.
_PATH_STYLE_HOST = re.compile(r"^(127\.\d+\.\d+\.\d+|localhost)(:\d+)?$")


class S3Journal:
    """``s3.<generation>.journal``, which holds what the state file of that generation lacks."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        self._records = 0
        self.generation = 0

    def add(self, request: WireRequest) -> bool:
        """Keep what the request put; False when only a whole state file can tell what changed."""
        where = _plain_put(request)
        if where is None or self.generation == 0 or self._records >= _MAX_RECORDS:
            return False
        bucket_name, key = where
        bucket = _bucket(bucket_name)
        versions: list[Any] | None = None if bucket is None else bucket.keys.getlist(key)
        if not versions:
            return False
        tags = _tagger().get_tag_dict_for_resource(versions[-1].arn)
        record, _ = pickling.dumps((bucket_name, key, versions, tags), self._blobs)
        with self._path(self.generation).open("ab") as stream:
            stream.write(_FRAME.pack(len(record), zlib.crc32(record)) + record)
        self._records += 1
        return True

    def start(self, generation: int) -> None:
        """A new state file stands: what was kept beside older ones is in it."""
        self.generation = generation
        self._records = 0
        for path in self._folder.glob("s3.*.journal"):
            if path != self._path(generation) or generation == 0:
                path.unlink(missing_ok=True)

    def replay(self, generation: int) -> None:
        """Put again what was put after the state file of ``generation``."""
        self.generation = generation
        for bucket_name, key, versions, tags in self._read(self._path(generation)):
            bucket = _bucket(bucket_name)
            if bucket is None:
                raise ValueError(f"the journal puts into {bucket_name}, which does not exist")
            bucket.keys.setlist(key, versions)
            tagger, arn = _tagger(), versions[-1].arn
            tagger.delete_all_tags_for_resource(arn)
            tagger.tag_resource(arn, [{"Key": k, "Value": v} for k, v in tags.items()])
            self._records += 1

    def _read(self, path: Path) -> Iterator[Any]:
        """Whole records; the last may be cut short by a `kill -9`, before it was answered."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        position = 0
        while position + _FRAME.size <= len(data):
            size, checksum = _FRAME.unpack_from(data, position)
            record = data[position + _FRAME.size : position + _FRAME.size + size]
            if len(record) < size or zlib.crc32(record) != checksum:
                break
            position += _FRAME.size + size
            yield pickling.loads(record, self._blobs)
        if position < len(data):
            with path.open("r+b") as stream:
                stream.truncate(position)

    def _path(self, generation: int) -> Path:
        return self._folder / f"s3.{generation}.journal"


def _plain_put(request: WireRequest) -> tuple[str, str] | None:
    """Bucket and key of a request that puts one object and does nothing else."""
    if request.method != "PUT" or not _PATH_STYLE_HOST.match(request.header("host")):
        return None
    if any(not name.lower().startswith("x-") for name in request.query):
        return None
    bucket, _, key = unquote(request.raw_path.lstrip("/")).partition("/")
    return (bucket, key) if bucket and key else None


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT_ID]["aws"]


def _bucket(name: str) -> Any | None:
    return _backend().buckets.get(name)


def _tagger() -> Any:
    return _backend().tagger
