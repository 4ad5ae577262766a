"""Opens a converted engine's files; their hashes were checked before, and none can carry code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts.engine import (
    ARRAYS_FILE,
    CONVERTED,
    ENGINE_FILE,
    FOREST,
    GRAPH_FILE,
    LINEAR,
    EngineFile,
)
from contracts.errors import ContractError
from inference.engines import Engine
from inference.errors import PackageRefusedError
from inference.formats.signature import Signature


def load_engine(folder: Path, signature: Signature, *, merges: bool) -> Engine:
    """The engine whose files lie in ``folder``.

    Raises:
        PackageRefusedError: a file is absent or not what this server knows.
    """
    path = folder / ENGINE_FILE
    try:
        file = EngineFile.from_json(path.read_text(), str(path))
        if file.engine not in CONVERTED:
            raise ValueError(f"engine is {file.engine!r}; this server knows {', '.join(CONVERTED)}")
        return _engine(folder, signature, file, merges)
    except (ContractError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise _refused(folder, error) from error
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            raise _refused(folder, error) from error
        raise


def _refused(folder: Path, error: Exception) -> PackageRefusedError:
    reason = " ".join(str(error).split())[:300]
    return PackageRefusedError(
        f"{folder} cannot be loaded ({type(error).__name__}: {reason}); "
        "package the model again with this version of Slipway"
    )


def _engine(folder: Path, signature: Signature, file: EngineFile, merges: bool) -> Engine:
    if file.engine == LINEAR:
        from inference.engines.linear import Linear

        return Linear(signature, file, _arrays(folder), merges=merges)
    graph = (folder / GRAPH_FILE).read_bytes()
    if file.engine == FOREST:
        from inference.engines.forest import Forest

        return Forest(signature, file, _arrays(folder), graph, merges=merges)
    from inference.engines.onnx import Onnx

    return Onnx(signature, file, _arrays(folder), graph, merges=merges)


def _arrays(folder: Path) -> dict[str, Any]:
    import numpy as np

    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
