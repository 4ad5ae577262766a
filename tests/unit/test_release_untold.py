"""The end of a release is told, though telling fails at first."""

from __future__ import annotations

from release.driver.progress import Collaborators, Told
from release.driver.turn import TELL_SECONDS
from release.state import Release
from tests.unit.fake_cloud import FakeHistory
from tests.unit.release_strategies import CANARY, cloud_of, release, staged


class Line:
    """Tells the log's length; the end of a release fails ``failures`` times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.told: list[str | None] = []

    def __call__(self, release: Release, told: int) -> Told:
        if release.outcome is not None and self.failures > 0:
            self.failures -= 1
            return Told(told, "promoted could not be announced: SNS does not answer")
        self.told.append(release.outcome)
        return Told(len(release.log))


def test_an_end_that_cannot_be_told_is_told_a_little_later() -> None:
    line, history = Line(failures=2), FakeHistory()

    result = release(cloud_of(), staged(CANARY), history, beside=Collaborators(announce=line))

    assert result.outcome == "promoted"
    assert line.told[-1] == "promoted"
    assert history.load().current is None


def test_a_world_that_never_listens_holds_the_end_up_for_two_minutes_only() -> None:
    line, history, cloud = Line(failures=1000), FakeHistory(), cloud_of()
    beside = Collaborators(announce=line)

    result = release(cloud, staged(CANARY), history, beside=beside)

    assert result.outcome == "promoted"
    assert history.load().current is None
    tries = 1000 - line.failures
    assert 1 < tries <= TELL_SECONDS / cloud.tick + 2
