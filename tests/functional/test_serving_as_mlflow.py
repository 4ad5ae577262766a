"""Bodies that MLflow's scoring server takes give the same rows here, or are on the docs' list."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.errors import RequestError
from inference.formats import codecs
from inference.formats.frames import model_input
from inference.formats.params import Params
from inference.formats.signature import Signature
from model_code.signature import params_schema, row_schema
from tests.functional.mlflow_server import MlflowColumn, echo, model_of, scorer

JSON, CSV = "application/json", "text/csv"
COLUMNS: list[MlflowColumn] = [
    ("size", "double", True),
    ("small", "float", True),
    ("rooms", "long", True),
    ("floor", "integer", True),
    ("furnished", "boolean", True),
    ("town", "string", True),
    ("rent", "double", False),
    ("note", "string", False),
]
WITH_TIME = [*COLUMNS, ("built", "datetime", True)]
ROW: dict[str, Any] = {
    "size": 80.5,
    "small": 0.1,
    "rooms": 3,
    "floor": 2,
    "furnished": True,
    "town": "Bonn",
    "rent": 900.0,
    "note": "a note",
}
TIME = {"built": "2020-01-02T03:04:05"}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
Score = Callable[[str, bytes], list[Any] | None]


@pytest.fixture(scope="module")
def theirs() -> Score:
    return scorer(COLUMNS)


@pytest.fixture(scope="module")
def theirs_with_time() -> Score:
    return scorer(WITH_TIME)


def signature(columns: list[MlflowColumn]) -> Signature:
    specs = [{"name": name, "type": kind, "required": needed} for name, kind, needed in columns]
    return Signature.from_schema(row_schema(json.dumps(specs), "a test"))


def ours(kind: str, body: bytes, columns: list[MlflowColumn] = COLUMNS) -> list[Any]:
    of = signature(columns)
    return echo(model_input(of, codecs.decode(of, kind, body)))


def rows(count: int) -> list[dict[str, Any]]:
    chance = random.Random(5)
    towns = ["Bonn", "Köln", 'a "quoted", one', "two\nlines", " spaces "]
    return [
        {
            "size": chance.choice([chance.gauss(80, 20), 7, -0.0, 1e300, 5e-324]),
            "small": chance.choice([chance.random(), 3, 1e-40]),
            "rooms": chance.choice([chance.randrange(9), -(2**63), 2**63 - 1, 5.0]),
            "floor": chance.choice([chance.randrange(9), -(2**31), 2**31 - 1]),
            "furnished": chance.random() < 0.5,
            "town": chance.choice(towns),
            "rent": chance.choice([None, 900.0, 1]),
            "note": chance.choice(towns),
        }
        for _ in range(count)
    ]


def bodies(records: list[dict[str, Any]]) -> dict[str, tuple[str, bytes]]:
    names = list(records[0])
    values = [list(record.values()) for record in records]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    # Of a whole number with a fraction, MLflow's CSV takes not even .0.
    at = names.index("rooms")
    writer.writerows([*row[:at], int(row[at]), *row[at + 1 :]] for row in values)
    documents: dict[str, Any] = {
        "dataframe_records": records,
        "dataframe_split": {"columns": names, "data": values},
        "dataframe_split, index": {"columns": names, "index": [7] * len(values), "data": values},
        "instances": records,
        "inputs": {name: [record[name] for record in records] for name in names},
        "inputs, records": records,
    }
    made = {
        form: (JSON, json.dumps({form.partition(",")[0]: value}).encode())
        for form, value in documents.items()
    }
    return {**made, "csv": (CSV, out.getvalue().encode())}


@pytest.mark.parametrize("form", list(bodies([ROW])))
def test_what_mlflow_takes_gives_the_same_rows(theirs: Score, form: str) -> None:
    taken = 0
    for record in [ROW, *rows(60)]:
        for records in ([record], [record, ROW]):
            kind, body = bodies(records)[form]
            want = theirs(kind, body)
            if want is not None:
                taken += 1
                assert ours(kind, body) == want, body
    assert taken > 90, f"MLflow took {taken} bodies only, so little was compared"


@pytest.mark.parametrize("absent", ["rent", "note"])
def test_an_absent_optional_column_is_taken_as_mlflow_takes_it(theirs: Score, absent: str) -> None:
    kind, body = bodies([{k: v for k, v in ROW.items() if k != absent}])["dataframe_records"]
    assert ours(kind, body) == theirs(kind, body) is not None


def test_times_are_taken_as_mlflow_takes_them(theirs_with_time: Score) -> None:
    for time in ("2020-01-02T03:04:05", "2020-01-02 03:04:05.123456", "1999-12-31"):
        for form in ("dataframe_records", "dataframe_split", "instances"):
            kind, body = bodies([{**ROW, "built": time}])[form]
            want = theirs_with_time(kind, body)
            assert ours(kind, body, WITH_TIME) == want is not None, (time, form)


def record(**values: Any) -> tuple[str, bytes]:
    return JSON, json.dumps({"dataframe_records": [{**ROW, **TIME, **values}]}).encode()


def without_time(text: str) -> tuple[str, bytes]:
    return CSV, text.encode()


NAMES = ",".join(ROW)
# What the docs say of it; the body; and in our error.
STRICTER: list[tuple[str, tuple[str, bytes], str]] = [
    ("Text for a number", record(size="1.5"), "'1.5' came; a finite number"),
    ("Text for a number", record(rooms="5"), "'5' came; a whole number"),
    ("A number for text", record(town=5), "5 came; text is needed"),
    ("A fraction for a whole number", record(rooms=5.5), "5.5 came; a whole number"),
    ("A whole number beyond its type", record(floor=2**31), "2147483648 came; a whole number"),
    ("A whole number beyond its type", record(rooms=2**63), "came; a whole number"),
    ("A number beyond float32", record(small=1e39), "1e+39 came; a finite number"),
    ("true or false for a number", record(size=True), "True came; a finite number"),
    ("true or false for a number", record(furnished=1), "1 came; true or false is needed"),
    ("true or false for a number", record(furnished="x"), "'x' came; true or false is needed"),
    ("null where there is none", record(furnished=None), "null came; true or false"),
    ("null where there is none", record(town=None), "null came; text is needed"),
    ("null where there is none", record(built=None), "null came; a date and time"),
    ("Infinity", record(size=float("inf")), "the body holds Infinity"),
    ("A time that is no ISO 8601", record(built="Jan 2 2020"), "a date and time in ISO 8601"),
    ("A time that is no ISO 8601", record(built=5), "a date and time in ISO 8601"),
    (
        "params",
        (JSON, record()[1][:-1] + b', "params": {"a": 1}}'),
        "params came; the model's signature has none",
    ),
    (
        "A name that comes twice",
        (JSON, record()[1].replace(b'"size": 80.5', b'"size": 1, "size": 2')),
        "'size' came more than once",
    ),
]
STRICTER_CSV: list[tuple[str, tuple[str, bytes], str]] = [
    (
        "A CSV header with other columns",
        without_time(f"sea,{NAMES}\n1,80.5,0.1,3,2,true,Bonn,1,a\n"),
        "say text/csv; header=present to have it ignored",
    ),
    (
        "NA, null and their like in CSV",
        without_time(f"{NAMES}\nNA,0.1,3,2,true,Bonn,1,a\n"),
        "'NA' came; a finite number is needed",
    ),
    (
        "A CSV row with too few cells",
        without_time(f"{NAMES}\n80.5,0.1,3,2,true,Bonn\n"),
        "row 0 has 6 cells",
    ),
]


@pytest.mark.parametrize(("listed", "body", "message"), [*STRICTER, *STRICTER_CSV])
def test_where_we_are_stricter_mlflow_answers_and_the_docs_say_so(
    theirs: Score, theirs_with_time: Score, listed: str, body: tuple[str, bytes], message: str
) -> None:
    has_time = body[0] == JSON
    scored = (theirs_with_time if has_time else theirs)(*body)
    assert scored is not None, "MLflow refuses it as well"
    with pytest.raises(RequestError) as info:
        ours(*body, columns=WITH_TIME if has_time else COLUMNS)
    assert message in str(info.value)
    assert f"| {listed} |" in DOCS.read_text()


# What the docs say of it; what MLflow's model gets, and ours.
OTHERWISE: list[tuple[str, tuple[str, bytes], str, str]] = [
    (
        "null text in instances",
        (JSON, json.dumps({"instances": [{**ROW, "note": None}]}).encode()),
        '"note": "None", ',
        "",
    ),
    ("NA in text of CSV", without_time(f"{NAMES}\n1,1,1,1,true,NA,1,a\n"), "", '"town": "NA"'),
    ("Empty text in CSV", without_time(f"{NAMES}\n1,1,1,1,true,,1,a\n"), "", '"town": ""'),
]


@pytest.mark.parametrize(("listed", "body", "has", "has_here"), OTHERWISE)
def test_where_the_model_gets_something_else_the_docs_say_so(
    theirs: Score, listed: str, body: tuple[str, bytes], has: str, has_here: str
) -> None:
    scored = theirs(*body)
    assert scored is not None
    here = ours(*body)
    assert scored != here
    assert has in scored[0]
    assert has_here in here[0]
    assert f"| {listed} |" in DOCS.read_text()


SIZE: list[MlflowColumn] = [("size", "double", True)]


@pytest.fixture(scope="module")
def param_schema() -> Any:
    from mlflow.types.schema import ParamSchema, ParamSpec

    return ParamSchema(
        [
            ParamSpec("times", "double", 2.0),
            ParamSpec("single", "float", 0.5),
            ParamSpec("top", "integer", 3),
            ParamSpec("seed", "long", 7),
            ParamSpec("is_loud", "boolean", default=False),
            ParamSpec("town", "string", "Bonn"),
            ParamSpec("since", "datetime", "2020-01-01T00:00:00"),
            ParamSpec("stops", "string", ["."], shape=(-1,)),
            ParamSpec("weights", "double", [1.0], shape=(-1,)),
        ]
    )


NAMES_OF_PARAMS = ("times", "single", "top", "seed", "is_loud", "town", "since")
LISTS_OF_PARAMS = ("stops", "weights")
VALUES_OF_PARAMS: list[Any] = [
    *(None, 0, -3, 2**40, 0.5, 3.0, True, "x", "", "3", "2020-01-02", "2020-01-02T03:04:05.5"),
    *([], [1], [1.5, 2], ["a", "b"], [None], [[1]], ["a", 1], {}, {"a": 1}),
]
# MLflow leaves it out, or makes another type of it; here it is a 400.
STRICTER_PARAMS: list[dict[str, Any]] = [
    {"unknown": 1},
    {"seed": 2**70},
    {"since": ""},
    {"since": "3"},
]


def test_params_reach_the_model_as_mlflow_gives_them(param_schema: Any) -> None:
    theirs = scorer(SIZE, param_schema)
    model = model_of(SIZE, param_schema)
    schemas = params_schema(param_schema.to_json(), "a test")["properties"]
    of = Signature(signature(SIZE).columns, None, Params(schemas, reach_model=True))

    def ours(body: bytes) -> list[Any] | None:
        try:
            decoded = codecs.decode(of, JSON, body)
        except RequestError:
            return None
        return model.predict(model_input(of, decoded), params=decoded.params)

    given = [{name: v} for name in NAMES_OF_PARAMS + LISTS_OF_PARAMS for v in VALUES_OF_PARAMS]
    taken = 0
    for params in [None, {}, [1], "x", *given, {"times": 1, "stops": []}]:
        body = json.dumps({"dataframe_records": [{"size": 1.0}], "params": params}).encode()
        want = theirs(JSON, body)
        taken += want is not None
        if params not in STRICTER_PARAMS:
            assert ours(body) == want, params
    assert taken > 40, f"MLflow took {taken} bodies only, so little was compared"
    for params in STRICTER_PARAMS:
        body = json.dumps({"dataframe_records": [{"size": 1.0}], "params": params}).encode()
        assert theirs(JSON, body) is not None, params
        assert ours(body) is None, params
    assert "| params that the signature does not have |" in DOCS.read_text()
