"""Options of a training, the flights' columns, and archives whose bytes never vary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from model_code import flights, registry
from model_code.archive import write_archive
from model_code.errors import RegistryError, TrainingError
from model_code.train import TrainingOptions


def test_the_default_options_can_be_trained() -> None:
    TrainingOptions().check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "svm"}, "estimator is 'svm'; one of logreg, hgb, forest"),
        ({"evaluate_month": 4}, r"evaluate-month is 4; a month after the training months \(4\)"),
        ({"airports": ("JFK", "BER")}, r"airports has \['BER'\]; some of EWR, JFK, LGA"),
        ({"sample": 99}, "sample is 99; at least 100 rows are needed"),
        ({"sample": 0, "estimator": ""}, "estimator is ''; .*; sample is 0; at least 100"),
    ],
)
def test_options_that_cannot_be_trained_are_refused_all_at_once(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainingOptions(**options).check()


@pytest.mark.parametrize("months", [(), (0,), (12, 13)])
def test_months_that_no_year_has_are_refused(months: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match="months from 1 to 12 are needed"):
        flights.load_flights(months)


FLIGHTS = """month,sched_dep_time,sched_arr_time,arr_delay,carrier,origin,dest,distance,time_hour
1,515,819,16,UA,EWR,IAH,1400,2013-01-01T10:00:00Z
1,2359,100,15,UA,EWR,IAH,1400,2013-01-02T04:00:00Z
1,600,700,,UA,EWR,IAH,1400,2013-01-01T11:00:00Z
2,600,700,99,UA,EWR,IAH,1400,2013-02-01T11:00:00Z
"""
WEATHER = """origin,time_hour,temp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib
EWR,2013-01-01T09:00:00Z,39.0,59.0,270,10.3,,0.0,1012.0,10.0
EWR,2013-01-01T10:00:00Z,1.0,1.0,1,1.0,1.0,1.0,1.0,1.0
"""


def test_a_flight_is_seen_with_what_is_known_before_it_leaves(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    (tmp_path / "weather.csv").write_text(WEATHER)
    frame = flights.load_flights((1,), tmp_path)
    assert list(frame.columns) == [*flights.FEATURES, flights.TARGET]
    assert len(frame) == 2, "a flight without an arrival or of another month is among them"
    assert frame["late"].tolist() == [1, 0], "late is more than 15 minutes"
    assert frame["departure_minute"].tolist() == [315, 1439]
    assert frame["day_of_week"].tolist() == [1, 1], "the day is not New York's"
    assert frame["temp"].tolist()[0] == 39.0, "the weather is not that of the hour before"
    assert frame["temp"].isna().tolist() == [False, True]


def test_an_archive_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    entries = [("slipway.json", b"{}"), ("model/weights", os.urandom(100))]
    write_archive(tmp_path / "a.tar.gz", entries)
    os.utime(tmp_path / "a.tar.gz", (0, 0))
    write_archive(tmp_path / "of-another-name.tar.gz", entries)
    first = (tmp_path / "a.tar.gz").read_bytes()
    assert first == (tmp_path / "of-another-name.tar.gz").read_bytes()
    write_archive(tmp_path / "b.tar.gz", [*entries, ("model/more", b"")])
    assert first != (tmp_path / "b.tar.gz").read_bytes()


@pytest.mark.parametrize("reference", ["", "a", "a/", "a/b", "a/1/2", "a@", "a@b@c", "/1", "a/-1"])
def test_what_names_no_version_is_refused_before_the_store_is_asked(reference: str) -> None:
    with pytest.raises(RegistryError, match=r"names no model version; write MODEL/VERSION"):
        registry.resolve("sqlite:////nowhere/at/all.db", reference)


def test_the_store_is_the_one_that_mlflow_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert registry.tracking_uri(tmp_path) == "http://mlflow:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert registry.tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/.slipway/mlflow.db"
