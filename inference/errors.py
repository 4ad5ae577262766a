"""What the model server answers where it cannot answer with predictions."""

from __future__ import annotations

from contracts.errors import SlipwayError


class InferenceError(SlipwayError):
    """Root of this package's errors."""


class PackageRefusedError(InferenceError):
    """The model directory is not what it should be, or holds code that nobody allowed."""


class ServerError(InferenceError):
    """The server cannot start."""


class RequestError(InferenceError):
    """The request is at fault; ``status`` is the HTTP status it gets (4xx, or 501)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ModelFailedError(InferenceError):
    """The model itself raised on input that fits its signature: a 500, in one line."""


class ModelGoneError(ModelFailedError):
    """The process of a native model died, or was ended because it did not answer (``is_hung``)."""

    def __init__(self, message: str, *, is_hung: bool = False) -> None:
        super().__init__(message)
        self.is_hung = is_hung


def shown(value: object) -> str:
    """A value of a client's, cut so that an error never carries more than 64 characters of it."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested deeply, or a number of thousands of digits
        return f"a {type(value).__name__}"
    return text if len(text) <= 64 else text[:61] + "..."
