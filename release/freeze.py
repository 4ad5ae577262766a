"""A freeze: for a time no release of the stack begins. One that runs goes on; a rollback may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from release.errors import FrozenError


@dataclass(frozen=True)
class Freeze:
    """``until`` in epoch seconds, None until it is lifted; ``models`` empty: all of the stack."""

    by: str
    reason: str
    at: float
    until: float | None = None
    models: tuple[str, ...] = ()

    def holds(self, model: str, now: float) -> bool:
        is_over = self.until is not None and now >= self.until
        return not is_over and (not self.models or model in self.models)

    @property
    def text(self) -> str:
        """Who, until when and why, for people."""
        until = "it is lifted"
        if self.until is not None:
            until = datetime.fromtimestamp(self.until, UTC).strftime("%Y-%m-%d %H:%M UTC")
        why = f": {self.reason}" if self.reason else ""
        return f"frozen by {self.by} until {until}{why}"


def refuse_frozen(freeze: Freeze | None, model: str, now: float) -> None:
    """Raise FrozenError while the freeze holds."""
    if freeze is not None and freeze.holds(model, now):
        raise FrozenError(
            f"releases of {model} are {freeze.text}; `slipway unfreeze` lifts it "
            "(`slipway rollback` works all the same)"
        )
