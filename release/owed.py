"""What a release could not put back of ``live``'s scaling, for AWS refused it: whoever comes next
tries again (:mod:`release.driver.owed`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from release.observation import ScalingTarget

SCALE_IN = "DynamicScalingInSuspended"


@dataclass(frozen=True)
class OwedScaling:
    """``target`` is what was to be there again after ``release_id``; AWS refused it: ``why``.

    ``is_removed``: its target was removed, and may lack policies; else only scale-in is suspended.
    """

    target: ScalingTarget
    is_removed: bool
    release_id: str
    since: float
    why: str

    @property
    def text(self) -> str:
        what = "its target or policies are missing" if self.is_removed else "scale-in is suspended"
        return (
            f"the scaling of live is not as it was before release {self.release_id} ({what}); AWS "
            f"refused to put it back: {self.why}"
        )


def due(owed: OwedScaling, seen: ScalingTarget | None) -> ScalingTarget | None:
    """What is still to be put back beside what is seen; None where that was put right, or dropped.

    The bounds of now count: `up` sets them.
    """
    if owed.is_removed:
        if seen is None:
            return owed.target
        wanted = replace(seen.completed(owed.target), suspended=owed.target.suspended)
        return None if _same(wanted, seen) else wanted
    is_suspended = seen is not None and seen.suspended.get(SCALE_IN, False)
    if seen is None or not is_suspended or owed.target.suspended == seen.suspended:
        return None
    return replace(seen, suspended=owed.target.suspended)


def _same(one: ScalingTarget, other: ScalingTarget) -> bool:
    """Whether nothing is missing but tags, which not every caller may read."""
    counted = (len(one.policies), len(one.scheduled), one.suspended)
    return counted == (len(other.policies), len(other.scheduled), other.suspended)
