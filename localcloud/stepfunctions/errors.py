"""What goes wrong in an execution."""

from __future__ import annotations


class StateError(Exception):
    """A failure with an error name and a cause, which Retry and Catch look at."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
