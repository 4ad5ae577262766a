"""moto's stores as bytes: what plain pickling cannot carry, or would carry far too much of.

Backends become references, so a state holds the content of one service and nothing of another;
object bytes go into blob files; AWS's own managed policies, locks, keys and local functions are
made again.
"""

from __future__ import annotations

import io
import marshal
import pickle
import sys
import threading
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from localcloud import moto_hooks
from localcloud.blobs import BlobStore

_INLINE_BYTES = 2048
_BLOB_NAME = "_slipway_blob"
_LOCK_TYPES = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
_PLAIN_DICTS = (dict, OrderedDict, defaultdict)
_Reduced = tuple[Any, ...]


class StatePickler(pickle.Pickler):
    """Pickles parts of moto's stores; ``blobs`` names the blob files that the result needs."""

    def __init__(self, stream: io.BytesIO, store: BlobStore) -> None:
        super().__init__(stream, protocol=5)
        self.blobs: set[str] = set()
        self._store = store
        self._reducers: dict[type, Callable[[Any], _Reduced] | None] = {}

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        try:
            reducer = self._reducers[kind]
        except KeyError:
            reducer = self._reducers[kind] = self._find_reducer(kind)
        return NotImplemented if reducer is None else reducer(obj)

    def _find_reducer(self, kind: type) -> Callable[[Any], Any] | None:
        from moto.core.base_backend import BaseBackend
        from moto.iam.models import AWSManagedPolicy
        from moto.s3.models import FakeKey

        if kind in _LOCK_TYPES:
            return lambda _: (_LOCK_TYPES[kind], ())
        if kind is types.FunctionType:
            return _reduce_function
        if issubclass(kind, BaseBackend):
            return _reduce_backend
        if issubclass(kind, FakeKey):
            return self._reduce_key
        if issubclass(kind, AWSManagedPolicy):
            return _reduce_aws_policy
        if kind.__module__.startswith("cryptography."):
            return _reduce_private_key
        if issubclass(kind, dict) and kind not in _PLAIN_DICTS:
            return _reduce_dict
        return None

    def _reduce_key(self, key: Any) -> _Reduced:
        """An S3 object: small ones with their bytes, others with the name of a blob file."""
        known: str | None = key.__dict__.get(_BLOB_NAME)
        state = {k: v for k, v in key.__dict__.items() if k not in ("_value_buffer", "lock")}
        if key.disposed:
            value: bytes | str = b""
        elif key.contentsize <= _INLINE_BYTES:
            value = key.value
        else:
            value = known if self._store.has(known) else self._store.put(key.value)
            key.__dict__[_BLOB_NAME] = state[_BLOB_NAME] = value
            self.blobs.add(value)
        return _new, (type(key),), (state, value), None, None, _set_key_state


class StateUnpickler(pickle.Unpickler):
    """Reads what :class:`StatePickler` wrote; object bytes come from ``store``."""

    def __init__(self, stream: io.BytesIO, store: BlobStore) -> None:
        super().__init__(stream)
        self._store = store

    def find_class(self, module: str, name: str, /) -> Any:
        if module == __name__ and name == _set_key_state.__name__:
            return self._set_key_state
        return super().find_class(module, name)

    def _set_key_state(self, key: Any, state: tuple[dict[str, Any], bytes | str]) -> None:
        fields, value = state
        content = self._store.get(value) if isinstance(value, str) else value
        key.__setstate__({**fields, "value": content})


def dumps(value: Any, store: BlobStore) -> tuple[bytes, set[str]]:
    """``value`` as bytes, and the blobs that belong to it."""
    stream = io.BytesIO()
    pickler = StatePickler(stream, store)
    pickler.dump(value)
    return stream.getvalue(), pickler.blobs


def loads(data: bytes, store: BlobStore) -> Any:
    return StateUnpickler(io.BytesIO(data), store).load()


def _new(kind: Any) -> Any:
    return kind.__new__(kind)


def _set_key_state(key: Any, state: Any) -> None:
    """Stands in the pickle for :meth:`StateUnpickler._set_key_state`, which has the blobs."""
    raise NotImplementedError("S3 objects are read with StateUnpickler")


def _reduce_dict(value: Any) -> _Reduced:
    """A subclass of dict by its real content: several of moto's show another one to iterators."""
    content = (vars(value), dict(dict.items(value)), getattr(value, "default_factory", None))
    return _new, (type(value),), content, None, None, _set_dict_state


def _set_dict_state(value: Any, content: tuple[dict[str, Any], dict[Any, Any], Any]) -> None:
    attributes, items, factory = content
    vars(value).update(attributes)
    plain = OrderedDict if isinstance(value, OrderedDict) else dict
    plain.update(value, items)
    if isinstance(value, defaultdict):
        value.default_factory = factory


def _reduce_backend(backend: Any) -> _Reduced:
    return _backend, (type(backend), backend.account_id, backend.region_name)


def _backend(kind: type, account_id: str, region: str) -> Any:
    return backends_of(kind)[account_id][region]


def backends_of(kind: type) -> Any:
    """moto's store of all backends of one class."""
    from moto.core.base_backend import BackendDict

    module = sys.modules.get(kind.__module__) or __import__(kind.__module__, fromlist=["_"])
    for value in vars(module).values():
        if isinstance(value, BackendDict) and value.backend is kind:
            return value
    raise pickle.PicklingError(f"moto has no store of {kind.__module__}.{kind.__qualname__}")


def _reduce_aws_policy(policy: Any) -> _Reduced:
    own = {"attachment_count": policy.attachment_count} if policy.attachment_count else None
    return _aws_policy, (policy.account_id, policy.partition, policy.arn), own


def _aws_policy(account_id: str, partition: str, arn: str) -> Any:
    return moto_hooks.load_aws_policies(account_id, partition)[arn]


def _reduce_private_key(key: Any) -> Any:
    from cryptography.hazmat.primitives import serialization

    if not hasattr(key, "private_bytes"):
        return NotImplemented
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _private_key, (pem,)


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(pem, password=None)


def _reduce_function(function: types.FunctionType) -> Any:
    """Lambdas inside functions (factories of default dictionaries); others go by name."""
    if "<locals>" not in function.__qualname__ and "<lambda>" not in function.__qualname__:
        return NotImplemented
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    code = marshal.dumps(function.__code__)
    return _function, (code, function.__module__, function.__defaults__, cells)


def _function(
    code: bytes, module: str, defaults: tuple[Any, ...] | None, cells: tuple[Any, ...]
) -> types.FunctionType:
    home = sys.modules.get(module) or __import__(module, fromlist=["_"])
    closure = tuple(types.CellType(value) for value in cells)
    return types.FunctionType(
        marshal.loads(code), vars(home), argdefs=defaults, closure=closure or None
    )
