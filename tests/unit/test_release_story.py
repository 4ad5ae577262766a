"""What a release tells on stderr while it runs, to a person and to a pipeline."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from release.driver.progress import Event
from release.gates.verdicts import Answer, GateVerdict, StepVerdict
from scripts.release import story as release_story
from scripts.release.screen import clock
from scripts.release.story import story

HOLD = StepVerdict(
    Answer.HOLD, (GateVerdict("errors", Answer.HOLD, "errors 0 % against 0 %, not sure yet"),)
)


def looks(minutes: int) -> list[Event]:
    """A look a minute at a step that bakes."""
    data = {"started_at": 0.0, "verdict": HOLD}
    return [Event(60.0 * i, "progress", "bake", data) for i in range(1, minutes + 1)]


def test_where_nobody_watches_a_line_now_and_then_says_that_it_lives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = iter(range(0, 6000, 60))
    with story(lambda: float(next(seconds))) as observe:
        for event in looks(12):
            observe(event)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "05:00  bake, hold: errors 0 % against 0 %, not sure yet"
    assert len(told) == 2


def test_on_a_terminal_the_last_line_says_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=40)
    monkeypatch.setattr(release_story, "stderr", console)
    with story() as observe:
        observe(Event(1.0, "candidate", "candidate at 20 %", {}))
        observe(looks(2)[1])
    shown = screen.getvalue()
    assert "00:00  candidate at 20 %" in shown
    assert "01:59  bake, hold: errors 0 % against" not in shown
    assert "02:00  bake, hold: errors 0 % again" in shown


def test_a_paused_release_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter((0.0, 300.0, 300.0))
    with story(lambda: next(seconds)) as observe:
        observe(Event(60.0, "progress", "bake", {"started_at": 0.0, "paused": True}))
    assert capsys.readouterr().err == "01:00  bake, paused\n"


@pytest.mark.parametrize(("at", "text"), [(65, "01:05"), (3599, "59:59"), (7325, "2:02:05")])
def test_from_an_hour_on_the_clock_has_hours(at: float, text: str) -> None:
    assert clock(at, 0.0) == text
