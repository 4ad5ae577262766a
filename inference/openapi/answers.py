"""What one answer of a model looks like, as JSON schema: from its signature and ``--output``."""

from __future__ import annotations

from typing import Any

from contracts.package import ArchiveIndex
from inference.formats.frames import LABEL, PROBABILITIES

__all__ = ["LABEL", "PROBABILITIES", "answer_schema"]


def answer_schema(index: ArchiveIndex) -> dict[str, Any]:
    """The schema of one row's answer; ``{}`` where nobody declared it."""
    number = {"type": "number", "format": "double"}
    match index.output:
        case "predict_proba":
            if index.outputs.get("type") != "array":
                return {"type": "array", "items": number}
            # Several labels a row have a list of probabilities each.
            is_declared = index.outputs["items"].get("type") == "number"
            return index.outputs if is_declared else {"type": "array"}
        case "both":
            if index.outputs.get("type") == "object":
                return index.outputs
            return {
                "type": "object",
                "properties": {
                    LABEL: index.outputs,
                    PROBABILITIES: {"type": "array", "items": number},
                },
                "required": [LABEL, PROBABILITIES],
            }
        case _:
            return index.outputs
