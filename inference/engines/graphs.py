"""ONNX Runtime sessions as the engines use them: one thread, nothing that spins, no fall-back."""

from __future__ import annotations

from typing import Any


def session(graph: bytes) -> Any:
    """An ``InferenceSession`` on the CPU; raises what ONNX Runtime raises on a graph it refuses."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
