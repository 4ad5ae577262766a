"""What the world is told: the end of a release though telling fails at first, and only what is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from release.aws.cloud import UnavailableError
from release.driver.progress import Collaborators, Told
from release.driver.turn import TELL_SECONDS
from release.errors import LockedError
from release.observation import MetricQuery, Series
from release.state import EndpointState, Release
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


def test_what_another_driver_may_have_decided_otherwise_is_not_told() -> None:
    history, told = FakeHistory(), list[str]()

    def announce(running: Release, _told: int) -> Told:
        told.extend(entry.kind for entry in running.log)
        return Told(len(running.log))

    def taken_over(state: EndpointState) -> None:
        running = state.current
        if running is not None and running.steps:
            history.shared["state"] = replace(history.shared["state"])

    history.before_save = taken_over
    with pytest.raises(LockedError, match="another process has taken over"):
        release(cloud_of(), staged(CANARY), history, beside=Collaborators(announce=announce))
    assert "weight" in told
    assert "step" not in told


@pytest.mark.parametrize(("failures", "is_told"), [(4, True), (1000, False)])
def test_the_minutes_of_the_evidence_are_waited_for_like_the_telling(
    failures: int, is_told: bool
) -> None:
    cloud, history, left = cloud_of(), FakeHistory(), [failures]
    read = cloud.series

    def series(endpoint_name: str, query: MetricQuery) -> Series:
        running = history.shared["state"].current
        if running is not None and running.outcome is not None and left[0]:
            left[0] -= 1
            raise UnavailableError("aws did not answer GetMetricData: Throttling")
        return read(endpoint_name, query)

    cloud.series = series
    result = release(cloud, staged(CANARY), history)
    assert result.outcome == "promoted"
    assert (result.candidate_requests > 0) == is_told
