"""moto's services on disk: kept after every request that changes something, before its answer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from localcloud import moto_hooks, pickling
from localcloud.blobs import BlobStore
from localcloud.persistence import StateFiles, moto_writer
from localcloud.s3_journal import S3Journal
from localcloud.wire import WireRequest

log = logging.getLogger(__name__)

_FORGET_INSTANCES_EVERY = 256
_COLLECT_BLOBS_EVERY = 64
_S3 = "s3"


class MotoState:
    """Keeps and restores moto's stores; the caller holds the service's lock."""

    def __init__(self, folder: Path) -> None:
        self._files = StateFiles(folder, moto_writer())
        self._blobs = BlobStore(folder / "blobs")
        self._journal = S3Journal(folder, self._blobs)
        self._kept = 0
        self._unkept: dict[str, str] = {}

    @property
    def restored(self) -> dict[str, str]:
        return {**self._files.restored, **self._unkept}

    def keep(self, service: str, request: WireRequest | None) -> None:
        """Put on disk what the request may have changed; None for a change without a request."""
        self._kept += 1
        if self._kept % _FORGET_INSTANCES_EVERY == 0:
            moto_hooks.forget_instances()
        try:
            is_s3 = service == _S3
            if is_s3 and request is not None and self._journal.add(request):
                return
            state, blobs = pickling.dumps(_content(service), self._blobs)
        except Exception as error:
            # A store that cannot be kept is still a store that works: say so once, go on.
            if service not in self._unkept:
                log.exception("the state of %s cannot be kept", service)
                self._unkept[service] = f"not kept: {type(error).__name__}: {error}"
            return
        self._unkept.pop(service, None)
        if is_s3:
            self._checkpoint_s3(state, blobs)
        else:
            self._files.write(service, state)

    def restore(self) -> None:
        """Fill moto's stores from the files; what is unreadable is told in ``restored``."""
        for service in self._files.services():
            self._files.restore(service, lambda data, n, s=service: self._load(s, data, n))

    def clear(self) -> None:
        self._files.clear()
        self._files.restored.clear()
        self._unkept.clear()
        self._journal.start(0)
        self._blobs.keep_only(set())

    def _load(self, service: str, data: bytes, generation: int) -> None:
        _fill(pickling.loads(data, self._blobs))
        if service == _S3:
            self._journal.replay(generation)

    def _checkpoint_s3(self, state: bytes, blobs: set[str]) -> None:
        """The journal belongs to the state file of its generation, so this empties it."""
        generation = self._journal.generation + 1
        self._files.write(_S3, state, generation)
        self._journal.start(generation)
        if generation % _COLLECT_BLOBS_EVERY == 0:
            self._blobs.keep_only(blobs)


def _content(service: str) -> list[tuple[Any, dict[str, Any]]]:
    """Every backend of the service with its attributes; the backend itself goes as a reference."""
    from moto.backends import get_backend

    stores: Any = get_backend(service)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return [(backend, vars(backend)) for _, _, backend in stores.iter_backends()]


def _fill(content: list[tuple[Any, dict[str, Any]]]) -> None:
    """Give the backends their attributes back; they stay who they are, for others refer to them."""
    for backend, attributes in content:
        vars(backend).clear()
        vars(backend).update(attributes)
        if backend.__class__.__module__ == "moto.s3.models":
            _register_buckets(backend)


def _register_buckets(backend: Any) -> None:
    """S3's common namespace of bucket names lies beside the backends, not in them."""
    names = pickling.backends_of(type(backend)).bucket_accounts
    for name in backend.buckets:
        names[name] = (backend.partition, backend.account_id)
