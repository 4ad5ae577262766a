"""How many instances each variant needs, so that traffic never meets a fleet too small for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from contracts.release_manifest import LIVE_VARIANT, Shadow
from release.gates import CountedMinute
from release.observation import Endpoint
from release.state import Release

# The rate of requests is taken from so many minutes at the most.
RATE_MINUTES = 5


def candidate_count(weight: float, live_count: int) -> int:
    """Instances that carry ``weight`` percent of what ``live_count`` carry."""
    return max(1, math.ceil(weight / 100 * live_count - 1e-9))


def adds_instances(weights: Sequence[float], index: int, live_count: int) -> bool:
    """Whether the step of this index needs instances that the ones before it did not."""
    before = max((candidate_count(w, live_count) for w in weights[:index]), default=0)
    return candidate_count(weights[index], live_count) > before


def live_count(endpoint: Endpoint, release: Release) -> int:
    live = endpoint.variant(LIVE_VARIANT)
    return release.before.count if live is None else live.desired_count


def alone_count(endpoint: Endpoint) -> int:
    """Instances that live needs once it gets the traffic of the variants beside it too."""
    sharing = [v for v in endpoint.variants if v.name == LIVE_VARIANT or v.current_weight > 0]
    return sum(variant.desired_count for variant in sharing)


def carried_count(release: Release, endpoint: Endpoint) -> int:
    """Instances of live that carry 100 %: those of the start, times the traffic's shown growth.

    Growth is shown where it exceeds three standard errors of the ratio of the first to the last
    counted minutes' requests; scaling has not seen it, for the candidate took its share.
    """
    count = max(release.before.count, live_count(endpoint, release))
    some = min(RATE_MINUTES, len(release.minutes) // 2)
    first, last = release.minutes[:some], release.minutes[len(release.minutes) - some :]
    began = sum(_from_callers(release, minute) for minute in first)
    ended = sum(_from_callers(release, minute) for minute in last)
    if not began or not ended:
        return count
    ratio = (ended / len(last)) / (began / len(first))
    shown = ratio * (1 - 3 * math.sqrt(1 / began + 1 / ended))
    needed = math.ceil(release.before.count * shown - 1e-9)
    scaling = release.manifest.scaling
    limit = scaling.max_instances if scaling is not None else needed
    return max(count, min(needed, limit))


def _from_callers(release: Release, minute: CountedMinute) -> int:
    """A shadow gets copies; only it comes before another phase, and it is one step."""
    is_copied = minute.step == 0 and isinstance(release.manifest.release.phases[0], Shadow)
    return minute.live.requests + (0 if is_copied else minute.candidate.requests)
