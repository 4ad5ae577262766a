"""What a conversion comes to before it is proven, and its files: the same bytes each time."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from contracts.engine import ARRAYS_FILE, ENGINE_FILE, GRAPH_FILE, EngineFile

Array = Any


@dataclass(frozen=True)
class Candidate:
    """An engine's files in memory; ``points``: for each column, values where the model may turn.

    ``graph`` is empty where the engine has none.
    """

    file: EngineFile
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])
    graph: bytes = b""
    points: dict[int, Array] = field(default_factory=dict[int, Array])

    def write(self, folder: Path) -> None:
        """Write ``engine.json`` and whichever of the others there are."""
        folder.mkdir(parents=True)
        (folder / ENGINE_FILE).write_text(self.file.to_json())
        if self.arrays:
            (folder / ARRAYS_FILE).write_bytes(_npz(self.arrays))
        if self.graph:
            (folder / GRAPH_FILE).write_bytes(self.graph)


def _npz(arrays: dict[str, Array]) -> bytes:
    """A ``.npz`` whose bytes depend on names and values alone: no time, no platform."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(
                data, np.ascontiguousarray(arrays[name]), version=(1, 0), allow_pickle=False
            )
            info = zipfile.ZipInfo(f"{name}.npy")
            info.create_system = 3
            archive.writestr(info, data.getvalue())
    return out.getvalue()
