"""What a driver's observer is shown after each look: the story, the minutes, where it stands."""

from __future__ import annotations

from typing import Any

from release.controller import advance as controller
from release.controller.needs import JUDGED
from release.driver.progress import Event, Observer
from release.observation import Observation
from release.state import Release


class Teller:
    """Remembers what was shown, so that each line comes once."""

    def __init__(self, observer: Observer) -> None:
        self.now = 0.0
        self._observer = observer
        self._entries = 0
        self._minutes = 0

    def begin(self, release: Release | None) -> None:
        """What was told before this driver took over is not told again."""
        self._entries = 0 if release is None else len(release.log)
        self._minutes = 0 if release is None else len(release.minutes)

    def say(self, kind: str, text: str) -> None:
        self._observer(Event(self.now, kind, text))

    def report(self, release: Release, observation: Observation) -> None:
        for entry in release.log[self._entries :]:
            # A driver that goes on with it tells times since its beginning, too.
            data = {**entry.data, "started_at": release.started_at}
            self._observer(Event(entry.at, entry.kind, entry.text, data))
        for minute in release.minutes[self._minutes :]:
            data = {
                "weight": round(100 * minute.share, 1),
                "live": minute.live,
                "candidate": minute.candidate,
            }
            self._observer(Event(minute.start, "minute", "", data))
        self._entries, self._minutes = len(release.log), len(release.minutes)
        endpoint = observation.endpoint
        data: dict[str, Any] = {
            "stage": release.stage,
            "phase": release.manifest.release.phases[release.phase].kind,
            "paused": release.paused_at is not None,
            "status": endpoint.status,
            "variants": endpoint.variants,
            "deployment": endpoint.deployment,
            "started_at": release.started_at,
        }
        if release.stage in JUDGED:
            data["verdict"] = controller.verdict(release, observation)
        self._observer(Event(endpoint.now, "progress", release.stage, data))
