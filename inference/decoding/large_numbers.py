"""The quick way for large bodies: as for small ones, for any engine, and V2's tensors beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import simdjson

from inference.decoding.decoded import Decoded, V2Request
from inference.decoding.large_json import may_have_endless_lists
from inference.decoding.numbers import NumberReader
from inference.decoding.simd import PROBLEMS, Part
from inference.decoding.tensors import DATATYPES
from inference.formats.signature import Signature

NUMBERS = DATATYPES - {"BOOL", "BYTES"}
V2_KEYS = frozenset({"id", "inputs", "outputs"})
# What is made of objects lets no other thread have its turn: 10 ms a megabyte.
OBJECTS_BYTES = 4 << 20
ARRAYS: dict[str, Any] = {"integer": np.int64, "boolean": np.bool_}


class LargeReader(NumberReader):
    """Reads what a thread of its own may take its time for.

    ``takes_matrix``: the engine needs no columns.
    """

    def __init__(self, signature: Signature, *, takes_matrix: bool) -> None:
        super().__init__(signature, OBJECTS_BYTES)
        self._signature = signature
        self._takes_matrix = takes_matrix

    def read(self, kind: str, body: bytes) -> Decoded | None:
        """A body of JSON, V2's JSON or CSV (``json``, ``v2``, ``csv``, ``csv_rows``)."""
        part: Part | None = None
        v2: V2Request | None = None
        if kind != "v2":
            part = getattr(self, kind)(body)
        if part is None and kind in ("json", "v2"):
            part, v2 = self._tensors(body)
        if part is None:
            return None
        matrix = self.matrix([part[1]])
        if not self.fits(matrix):
            return None
        if self._takes_matrix:
            return Decoded({}, part[0], matrix, v2=v2)
        return Decoded(self._columns_of(matrix), part[0], v2=v2)

    def _columns_of(self, matrix: Any) -> dict[str, list[Any]]:
        return {
            column.name: matrix[:, i].astype(ARRAYS.get(column.kind, np.float64)).tolist()
            for i, column in enumerate(self._signature.columns)
        }

    def _tensors(self, body: bytes) -> tuple[Part | None, V2Request | None]:
        """Tensors of numbers, one a column or one of all, straight into a buffer."""
        if self._booleans or may_have_endless_lists(body):
            return None, None
        try:
            document: Any = simdjson.Parser().parse(body)
            inputs, outputs = document["inputs"], document.get("outputs")
            asked = [] if outputs is None else list(outputs)
            names = [list(each.keys()) for each in (document, *inputs, *asked)]
            # Every name stands before a colon: none came twice, and there is no other object.
            if any(len(set(each)) != len(each) for each in names) or not V2_KEYS.issuperset(
                names[0]
            ):
                return None, None
            lists = body.count(b"[") - 1 - 2 * len(inputs) - (outputs is not None)
            if body.count(b":") != sum(map(len, names)):
                return None, None
            request_id, wanted = document.get("id"), [each["name"] for each in asked]
            texts = [*wanted, *([] if request_id is None else [request_id])]
            if not all(isinstance(text, str) for text in texts):
                return None, None
            v2 = V2Request(request_id, tuple(wanted))
            return self._of_tensors([_Tensor(each) for each in inputs], lists), v2
        except PROBLEMS:
            return None, None

    def _of_tensors(self, tensors: list[_Tensor], inner_lists: int) -> Part | None:
        """``inner_lists``: how many lists there are within the tensors' data."""
        by_name = {tensor.name: tensor for tensor in tensors}
        if not all(tensor.is_plain for tensor in tensors) or len(by_name) != len(tensors):
            return None
        if len(tensors) == 1 and tensors[0].name not in self._known:
            return self._of_one(tensors[0], inner_lists)
        if inner_lists or by_name.keys() != self._known:
            return None
        count = tensors[0].shape[0]
        matrix = np.empty((count, self.width))
        for i, name in enumerate(self.names):
            values = np.frombuffer(by_name[name].data.as_buffer(of_type="d"))
            if by_name[name].shape not in ([count], [count, 1]) or len(values) != count:
                return None
            matrix[:, i] = values
        return (count, matrix) if count else None

    def _of_one(self, tensor: _Tensor, inner_lists: int) -> Part | None:
        """A tensor of shape [rows, columns], its data flat or a list of lists."""
        data, count = tensor.data, tensor.shape[0]
        if tensor.shape != [count, self.width] or not count or inner_lists not in (0, count):
            return None
        if inner_lists and (len(data) != count or any(len(row) != self.width for row in data)):
            return None
        values = data.as_buffer(of_type="d")
        return (count, values) if len(self._rows(values)) == count else None


class _Tensor:
    """A tensor as simdjson gives it; ``is_plain``: numbers, of a name and a shape as they go."""

    def __init__(self, given: Any) -> None:
        self.name: Any = given["name"]
        self.shape: list[Any] = given["shape"].as_list()
        self.data: Any = given["data"]
        self.is_plain = (
            isinstance(self.name, str)
            and given["datatype"] in NUMBERS
            and 1 <= len(self.shape) <= 2
            and all(type(size) is int for size in self.shape)
        )
