"""Which cases are measured, in which order, and within which time; what the report says."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from benchmarks import serving, serving_cases, serving_peers
from benchmarks.serving_cases import Bench, Case, Measured, cases, round_seconds
from benchmarks.serving_goals import GOALS, goals
from benchmarks.serving_load import Load, LoadError, Round
from benchmarks.serving_models import Served
from benchmarks.serving_peers import FLOOR, MLFLOW, NOOP, OURS, PEERS, CannotRunError
from benchmarks.serving_report import Row, StartRow, plot, report, row
from benchmarks.serving_servers import Running

CASE = Case("logreg", "json", 1, 16)


def made(cpu_us: float, foreign: float = 0.0, batch: float | None = None) -> Round:
    return Round(1000, cpu_us, 10.0, 20.0, 5000.0, batch, foreign)


class Clock:
    """Time that passes only by rounds of load; the rounds' figures are given."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, cpu: dict[str, float], foreign: list[float]
    ) -> None:
        self.now = 0.0
        self.rounds: list[str] = []
        self.seconds: list[int] = []
        self.cpu = cpu
        self.foreign = itertools.cycle(foreign)
        monkeypatch.setattr(serving_cases, "measure", self._measure)
        monkeypatch.setattr(serving_cases, "check", lambda *_: None)
        monkeypatch.setattr(serving_cases.time, "monotonic", lambda: self.now)

    def _measure(self, server: Running, load: Load, seconds: int, scratch: Path) -> Round:
        self.now += seconds
        self.rounds.append(server.peer.name)
        self.seconds.append(seconds)
        if self.cpu[server.peer.name] < 0:
            raise LoadError("3 of 9 requests were not answered with 2xx")
        return made(self.cpu[server.peer.name], next(self.foreign))


def bench(tmp_path: Path, names: tuple[str, ...], pairs: int) -> Bench:
    for shape in ("instances.json", "split.json", "csv"):
        (tmp_path / f"1.{shape}").write_text("{}")
    served = Served("logreg", tmp_path, tmp_path, "linear", None, None)
    servers = {name: Running(PEERS[name], 1, 1) for name in names}
    return Bench(served, servers, tmp_path, 0, pairs)


def test_goals_have_their_cases_and_every_case_is_there_on_request() -> None:
    some = [case for model in ("logreg", "forest", "flights") for case in cases(model)]
    for goal in GOALS:
        assert any(all(getattr(c, k) == v for k, v in goal.where.items()) for c in some), goal
    assert {(c.model, c.format) for c in some} == {
        (m, f) for m in ("logreg", "forest", "flights") for f in ("json", "csv")
    }
    assert len(list(cases("forest", every=True))) == 2 * 2 * 3


def test_pairs_are_adjacent_and_their_order_alternates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, {OURS: 20, FLOOR: 10, NOOP: 15}, [0.0])
    found = bench(tmp_path, (OURS, FLOOR, NOOP), 2).measure(CASE, 60)
    assert clock.rounds == [
        *(OURS, FLOOR, FLOOR, OURS),
        *(OURS, NOOP, NOOP, OURS),
        *(FLOOR, NOOP, NOOP, FLOOR),
    ]
    assert found.pairs == {
        (FLOOR, OURS): [(10, 20)] * 2,
        (NOOP, OURS): [(15, 20)] * 2,
        (NOOP, FLOOR): [(15, 10)] * 2,
    }
    assert {name: len(rounds) for name, rounds in found.rounds.items()} == {
        OURS: 4,
        FLOOR: 4,
        NOOP: 4,
    }


def test_a_disturbed_round_is_made_anew_and_the_quietest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, {OURS: 20, FLOOR: 10}, [0.5, 0.04])
    found = bench(tmp_path, (OURS, FLOOR), 2).measure(CASE, 60)
    assert len(clock.rounds) == 8
    assert all(r.foreign == 0.04 for rounds in found.rounds.values() for r in rounds)


def test_on_a_noisy_machine_it_ends_in_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, {OURS: 20, FLOOR: 10}, [0.5])
    found = bench(tmp_path, (OURS, FLOOR), 7).measure(CASE, 30)
    assert 14 < len(clock.rounds) <= 30
    assert clock.now <= 30
    assert len(found.pairs[FLOOR, OURS]) == 7, "no pair is given up"


def test_where_the_time_is_short_rounds_are_cut_and_not_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, {OURS: 20, MLFLOW: 9000}, [0.0])
    monkeypatch.setattr(serving_cases, "round_seconds", lambda *_: 3)
    found = bench(tmp_path, (OURS, MLFLOW), 7).measure(CASE, 30)
    assert len(found.pairs[MLFLOW, OURS]) == 7
    assert clock.now <= 30
    assert min(clock.seconds) >= 1


def test_a_peer_that_fails_under_load_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, {OURS: 20, FLOOR: -1}, [0.0])
    found = bench(tmp_path, (OURS, FLOOR), 2).measure(CASE, 60)
    assert row(FLOOR, "none", CASE, found, "").reason == (
        "3 of 9 requests were not answered with 2xx"
    )
    Clock(monkeypatch, {OURS: -1, FLOOR: 10}, [0.0])
    with pytest.raises(LoadError):
        bench(tmp_path, (OURS, FLOOR), 1).measure(CASE, 60)


def test_what_is_answered_wrongly_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(server: Running, *_: object) -> None:
        if server.peer.name == wrong_one:
            raise CannotRunError("answers 1 of 2 values other than the model")

    clock = Clock(monkeypatch, {OURS: 20, FLOOR: 10}, [0.0])
    monkeypatch.setattr(serving_cases, "check", wrong)
    wrong_one = FLOOR
    found = bench(tmp_path, (OURS, FLOOR), 1).measure(CASE, 60)
    assert found.reasons == {FLOOR: "answers 1 of 2 values other than the model"}
    assert not clock.rounds
    wrong_one = OURS
    with pytest.raises(CannotRunError, match=r"our own server: logreg, 1 row of json, 16 conn"):
        bench(tmp_path, (OURS, FLOOR), 1).measure(CASE, 60)


@pytest.mark.parametrize(
    ("name", "one", "seconds"),
    [(OURS, 0.0001, 1), (OURS, 0.004, 4), (OURS, 1.0, 10), (MLFLOW, 0.02, 3)],
)
def test_a_round_has_a_thousand_requests_where_that_can_be_waited_for(
    name: str, one: float, seconds: int
) -> None:
    assert round_seconds(name, one) == seconds


def test_a_row_takes_the_end_of_the_interval_that_is_worse_for_its_server() -> None:
    found = Measured(
        {OURS: [made(20, 0.01, 8.0), made(22, 0.03, 10.0)], NOOP: [made(10)], FLOOR: [made(5)]},
        {
            (MLFLOW, OURS): [(8000, 20), (10000, 20)],
            (NOOP, OURS): [(10, 20), (12, 20)],
            (FLOOR, OURS): [(5, 20), (4, 20)],
            (NOOP, FLOOR): [(10, 5), (11, 5)],
        },
        {},
    )
    ours = row(OURS, "linear", CASE, found, "")
    assert (ours.ratio_to_mlflow, ours.ratio_to_noop, ours.ratio_to_floor) == (400, 0.5, 5)
    assert (ours.cpu_us, ours.batch_mean, ours.foreign, ours.pairs) == (21, 9, 0.02, 2)
    noop = row(NOOP, "none", CASE, found, "")
    assert (noop.ratio_to_floor, noop.ratio_to_ours, noop.ratio_to_mlflow) == (2.2, 0.5, None)
    assert row(MLFLOW, "pyfunc", CASE, found, "gone").reason == "gone"


def test_goals_are_met_or_missed_or_left_out_where_nothing_was_measured() -> None:
    ours = Row(OURS, "logreg", "json", 1, 16, ratio_to_mlflow=400.0, ratio_to_floor=4.5)
    noop = Row(NOOP, "logreg", "json", 1, 16, ratio_to_floor=2.2)
    starts = [
        StartRow(OURS, "logreg", "linear", 0.5, 60.0, 3),
        StartRow(MLFLOW, "logreg", "pyfunc", 9.0, 360.0, 3),
        StartRow(OURS, "odd", "native", 9.0, 400.0, 3),
        StartRow(MLFLOW, "odd", "pyfunc", 9.0, 400.0, 3),
    ]
    assert goals([ours, noop], starts) == [
        "met     logreg, c=16: MLflow to ours: 400 (at least 350)",
        "MISSED  logreg, c=16: ours to the floor: 4.5 (at most 4)",
        "met     logreg, c=16: the no-op to the floor: 2.2 (at most 2.2)",
        "met     logreg: cold start, MLflow to ours: 18 (at least 15)",
        "MISSED  logreg: memory, MLflow to ours: 6 (at least 7)",
    ]
    assert goals([], []) == []


def test_the_report_shows_figures_reasons_and_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        Row(OURS, "logreg", "json", 1, 16, engine="linear", cpu_us=23.456, foreign=0.2),
        Row(MLFLOW, "logreg", "json", 1, 16, cpu_us=10414.65, ratio_to_ours=444.2, foreign=0.0),
        Row("triton", "logreg", "json", 1, 16, reason="comes as an image only"),
    ]
    report(rows, [StartRow(OURS, "logreg", "linear", 0.571, 26.3, 3)], tmp_path / "a" / "plot.svg")
    shown = capsys.readouterr().out
    for text in ("23.5", "10,415", "444", "20%", "comes as an image only", "0.57", "26.3"):
        assert text in shown
    assert "The machine was not quiet: others used more than 5% of a core" in shown
    assert "the median round of 1 of 3 rows" in " ".join(shown.split())
    assert "<svg" in (tmp_path / "a" / "plot.svg").read_text()
    plot([], tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()


def test_what_is_not_installed_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(
        "logreg", tmp_path, tmp_path, "linear", None, None, "runs code", "skl2onnx cannot"
    )
    monkeypatch.setenv("PATH", "")
    for name, reason in (
        (FLOOR, r"no C compiler \(cc\); on Debian: apt-get install gcc"),
        (MLFLOW, "runs code"),
        ("fastapi+onnxruntime", "skl2onnx cannot"),
        ("mms", "needs Java; on Debian: apt-get install"),
        ("triton", "comes as a container image only"),
    ):
        with pytest.raises(CannotRunError, match=reason):
            PEERS[name].start(served, 1, tmp_path)
    with pytest.raises(CannotRunError, match="takes no CSV"):
        PEERS["bentoml"].shape("csv")


def test_a_peer_that_cannot_be_installed_says_what_the_installer_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_peers, "ENVIRONMENTS", tmp_path)
    with pytest.raises(CannotRunError, match=r"cannot be installed: .*nowhere\.whl"):
        serving_peers.environment("x", f"x @ file://{tmp_path}/nowhere.whl")
    assert not (tmp_path / "x" / "ready").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--peers mlflow,nginx", "--peers has nginx; there are floor, noop, "),
        ("--models svm", "--models has svm; there are logreg, forest, flights"),
        ("--pairs 0", "--pairs is 0; 1 or more is needed"),
    ],
)
def test_unknown_words_are_refused(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        serving.main(words.split())
    assert told in " ".join(capsys.readouterr().err.split())
