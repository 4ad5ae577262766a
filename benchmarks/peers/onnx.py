"""ONNX Runtime for all hand-written peers: one thread, no spinning. Needs numpy and onnxruntime."""

from typing import Any

import numpy as np
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(string)": np.object_}


class Model:
    """The model in a file; called with rows of values it answers the probabilities, an array."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [(i.name, TYPES[i.type]) for i in self._session.get_inputs()]
        self._output = self._session.get_outputs()[-1].name

    @property
    def is_matrix(self) -> bool:
        """It takes one matrix of numbers, not a column for each input."""
        return len(self._inputs) == 1

    def __call__(self, rows: list[list[Any]]) -> np.ndarray:
        """One matrix of numbers, or a column for each input where there are several."""
        if self.is_matrix:
            name, kind = self._inputs[0]
            feed = {name: np.asarray(rows, dtype=kind)}
        else:
            columns = zip(*rows, strict=True)
            feed = {
                name: np.asarray(column, dtype=kind).reshape(-1, 1)
                for (name, kind), column in zip(self._inputs, columns, strict=True)
            }
        return self._session.run([self._output], feed)[0]
