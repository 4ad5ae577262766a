"""What answers: a loaded model behind one interface, whatever it was made with."""

from __future__ import annotations

from typing import Protocol

from inference.formats.codecs import Decoded, Predictions


class Engine(Protocol):
    """A loaded model; called with checked rows it answers one JSON value a row.

    ``name``: linear, forest, onnx, sklearn, pyfunc or native. ``is_quick``: a call with few rows
    takes microseconds, so it is made on the event loop. ``merges``: packaging proved that rows
    answer the same whatever comes beside them, so rows of several requests may come in one call.
    ``takes_matrix``: it needs ``Decoded.matrix`` alone, and not its columns. A quick engine may be
    called by two threads at once: the loop, and the one of large bodies.
    """

    name: str
    is_quick: bool
    merges: bool
    takes_matrix: bool

    def __call__(self, decoded: Decoded) -> Predictions:
        """Raises whatever the model raises; bad rows are the caller's to find out."""
        ...
