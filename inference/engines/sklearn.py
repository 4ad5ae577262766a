"""scikit-learn models as skops stored them, without MLflow and without running code of theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from contracts.variables import TRUSTED_TYPES
from inference.engines.frames import FrameEngine
from inference.errors import PackageRefusedError
from inference.formats.frames import method, null_of
from inference.formats.signature import Signature

SKOPS_FILE = "model.skops"
# Libraries that the server itself carries: their types are trusted, never by the artifact's word.
# What a partial calls is a type of its own to skops, and looked at by itself.
TRUSTED_ROOTS = ("sklearn.", "numpy.", "scipy.", "pandas.", "functools.partial")


def load_skops(
    path: Path, signature: Signature, output: str, trusted: Collection[str] | None, *, merges: bool
) -> FrameEngine:
    """The model in ``path``, answering ``output``; ``trusted`` is None where all types are allowed.

    Raises:
        PackageRefusedError: it needs types that are neither scikit-learn's nor ``trusted``.
    """
    import skops.io

    needed = skops.io.get_untrusted_types(file=path)
    foreign = [n for n in needed if not n.startswith(TRUSTED_ROOTS) and n not in (trusted or ())]
    if foreign and trusted is not None:
        raise PackageRefusedError(
            f"{path} needs the types {', '.join(foreign)}, which nobody allowed; if you trust "
            f"them, set {TRUSTED_TYPES} to their names, separated by commas"
        )
    model = skops.io.load(path, trusted=needed)
    call = answering_method(model, output)
    return FrameEngine("sklearn", signature, call, merges=merges, null=null_of(model))


def answering_method(model: Any, output: str) -> Callable[[Any], Any]:
    """Raises PackageRefusedError where the model cannot answer ``output``."""
    try:
        return method(model, output)
    except AttributeError:
        raise PackageRefusedError(
            f"the model ({type(model).__name__}) has no {output}; package it with another --output"
        ) from None
