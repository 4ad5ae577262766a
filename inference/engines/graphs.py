"""ONNX Runtime sessions as the engines use them: one thread, nothing that spins, no fall-back."""

from __future__ import annotations

from typing import Any

from contracts.engine import EngineFile
from inference.engines.features import Arrays, Features
from inference.formats.signature import Signature


class OnGraph:
    """What engines on a graph share: our own features, then the graph on ONNX Runtime."""

    is_quick = True

    def __init__(
        self,
        signature: Signature,
        file: EngineFile,
        arrays: Arrays,
        graph: bytes,
        *,
        merges: bool,
        is_optimised: bool = True,
    ) -> None:
        self.merges = merges
        self._features = Features(signature, file, arrays)
        self.takes_matrix = self._features.takes_matrix
        self._takes_null = file.takes_null
        self._run = session(graph, is_optimised=is_optimised).run


def session(graph: bytes, *, is_optimised: bool = True) -> Any:
    """An ``InferenceSession`` on the CPU; raises what ONNX Runtime raises on a graph it refuses.

    ``is_optimised``: the graph has several nodes, of which fewer can be made.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # An arena keeps what the largest call took; the process's own memory is there for the next.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    if not is_optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    made = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    # It keeps the graph's bytes for as long as it lives, for other providers to fall back on.
    vars(made).pop("_model_bytes", None)
    return made
