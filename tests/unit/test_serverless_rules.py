"""Paths, resource policies, inputs of targets, configurations: the pure parts."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import jsonpath
from localcloud.cloudwatch.alarm_event import alarm_data
from localcloud.cloudwatch.alarms import Alarm
from localcloud.event_input import envelope, target_input
from localcloud.lambda_ import configuration, policies
from localcloud.lambda_.packages import Packages
from localcloud.lambda_.store import Function, Store
from localcloud.provider.archives import zipped
from localcloud.provider.errors import ProviderError
from localcloud.provider.values import ARCHIVE, ASSET, Asset
from localcloud.service import ServiceError

RULE = "arn:aws:events:us-east-1:123456789012:rule/r"
ACCOUNT = "123456789012"
KEYS = st.text(st.characters(categories=["L", "N"]), min_size=1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", {"a": [1, {"b": 2}], "c d": 3}),
        ("$.a[1].b", 2),
        ("$['c d']", 3),
        ("$.a[-1]['b']", 2),
        ("$.a[*]", [1, {"b": 2}]),
        ("$.a[0:1]", [1]),
    ],
)
def test_paths(path: str, expected: Any) -> None:
    assert jsonpath.get(path, {"a": [1, {"b": 2}], "c d": 3}) == expected


@pytest.mark.parametrize("path", ["a", "$..a", "$.a[?(@.b)]", "$.", "$[x]", "$.a b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(jsonpath.PathError):
        jsonpath.parse(path)


@given(st.dictionaries(KEYS, st.integers()), st.lists(KEYS, min_size=1, max_size=4))
def test_what_is_put_is_found_again_and_nothing_else_moves(
    value: dict[str, int], keys: list[str]
) -> None:
    value.pop(keys[0], None)
    path = "$" + "".join(f"['{key}']" for key in keys)
    changed = jsonpath.put(path, value, "new")
    assert jsonpath.get(path, changed) == "new"
    assert {k: v for k, v in changed.items() if k != keys[0]} == value


def statement(**more: Any) -> dict[str, Any]:
    params = {
        "StatementId": "s",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
    }
    return policies.statement({**params, **more}, "arn:f")


@pytest.mark.parametrize(
    ("more", "source", "is_allowed"),
    [
        ({}, "arn:aws:sns:x", True),
        ({"SourceArn": "arn:aws:sns:x"}, "arn:aws:sns:x", True),
        ({"SourceArn": "arn:aws:sns:*"}, "arn:aws:sns:x", True),
        ({"SourceArn": "arn:aws:sns:y"}, "arn:aws:sns:x", False),
        ({"SourceAccount": ACCOUNT}, "arn:aws:sns:x", True),
        ({"SourceAccount": "999999999999"}, "arn:aws:sns:x", False),
        ({"Principal": "events.amazonaws.com"}, "arn:aws:sns:x", False),
        ({"Action": "lambda:*"}, "arn:aws:sns:x", True),
        ({"Action": "lambda:GetFunction"}, "arn:aws:sns:x", False),
        ({"EventSourceToken": "t"}, "arn:aws:sns:x", False),
    ],
)
def test_what_a_policy_allows(more: dict[str, Any], source: str, is_allowed: bool) -> None:
    found = policies.allows(
        [statement(**more)], "sns.amazonaws.com", "lambda:InvokeFunction", source, ACCOUNT
    )
    assert found is is_allowed


def test_a_denial_wins() -> None:
    denial = {"Effect": "Deny", "Principal": "*", "Action": "*"}
    assert not policies.allows(
        [statement(), denial], "sns.amazonaws.com", "lambda:InvokeFunction", "s", ACCOUNT
    )
    assert not policies.allows([], "sns.amazonaws.com", "lambda:InvokeFunction", "s", ACCOUNT)


EVENT = envelope(
    {
        "version": "0",
        "id": "i",
        "source": "s",
        "time": 1_790_000_000.0,
        "detail": {"n": 1, "t": 'a "b"'},
        "ingestion-time": 1.0,
    }
)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({}, json.dumps(EVENT)),
        ({"Input": '{"x": 1}'}, '{"x": 1}'),
        ({"InputPath": "$.detail.n"}, "1"),
        (
            {"InputTransformer": {"InputPathsMap": {"n": "$.detail.n"},
                                  "InputTemplate": '"n is <n>"'}},
            '"n is 1"',
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"t": "$.detail.t", "n": "$.detail.n"},
                                  "InputTemplate": '{"t": <t>, "n": <n>, "in": "<t>!"}'}},
            '{"t": "a \\"b\\"", "n": 1, "in": "a \\"b\\"!"}',
        ),
        (
            {"InputTransformer": {"InputTemplate": '{"r": <aws.events.rule-name>}'}},
            '{"r": "r"}',
        ),
    ],
)  # fmt: skip
def test_what_a_target_gets(target: dict[str, Any], expected: str) -> None:
    assert target_input(target, EVENT, RULE) == expected


def test_an_event_has_its_time_as_text_and_nothing_of_motos() -> None:
    assert EVENT["time"] == "2026-09-21T14:13:20Z"
    assert "ingestion-time" not in EVENT


GOOD = {"FunctionName": "f", "Runtime": "python3.11", "Handler": "a.b", "Role": "r"}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"Runtime": None}, "Runtime is mandatory"),
        ({"Runtime": "nodejs22.x"}, "does not run in the local cloud; use python3.11"),
        ({"PackageType": "Image"}, "container images"),
        ({"Layers": ["arn"]}, "does not run layers"),
        ({"VpcConfig": {"SubnetIds": ["s"]}}, "functions in a VPC"),
        ({"Timeout": 901}, "less than or equal to 900"),
        ({"MemorySize": 64}, "greater than or equal to 128"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"),
        ({"Environment": {"Variables": {"AB": "x" * 4095}}}, "4KB limit"),
    ],
)
def test_configurations_that_are_refused(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ServiceError, match=text):
        configuration.created({**GOOD, **more})


def test_what_an_update_takes_away_is_gone() -> None:
    first = configuration.created(
        {**GOOD, "Environment": {"Variables": {"AB": "x"}}, "KMSKeyArn": "k"}
    )
    changed = configuration.changed(first, {"Environment": {"Variables": {}}, "KMSKeyArn": ""})
    assert "Environment" not in changed
    assert "KMSKeyArn" not in changed
    assert changed["Timeout"] == 3


@pytest.mark.parametrize(
    ("reference", "qualifier"),
    [
        ("f", None),
        ("f:1", "1"),
        (f"{ACCOUNT}:function:f", None),
        ("arn:aws:lambda:us-east-1:123456789012:function:f", None),
        ("arn:aws:lambda:us-east-1:123456789012:function:f:live", "live"),
    ],
)
def test_functions_by_name_and_arn(reference: str, qualifier: str | None) -> None:
    store = Store({("us-east-1", "f"): Function("f", "us-east-1", {})})
    assert store.find(reference, "us-east-1")[1] == qualifier
    with pytest.raises(ServiceError, match="Function not found"):
        store.find("g", "us-east-1")


def test_an_archive_that_reaches_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../evil.py", "x")
    with pytest.raises(ServiceError, match="outside of its folder"):
        Packages(tmp_path).put(stream.getvalue())


def test_the_runtime_has_boto3_and_no_more(tmp_path: Path) -> None:
    names = {path.stem for path in Packages(tmp_path).runtime().iterdir()}
    assert {"boto3", "botocore"} <= names
    assert not names & {"numpy", "localcloud", "requests"}


def text_asset(text: str) -> Asset:
    return Asset(ASSET, {"text": text, "hash": text})


def test_archives_become_the_same_zip_every_time(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "m.py").write_text("m")
    nested = Asset(ARCHIVE, {"path": str(tmp_path / "lib")})
    archive = Asset(ARCHIVE, {"assets": {"app.py": text_asset("a"), "lib": nested}})
    first = zipped(archive)
    with zipfile.ZipFile(io.BytesIO(first)) as found:
        assert {n: found.read(n) for n in found.namelist()} == {"app.py": b"a", "lib/m.py": b"m"}
    (tmp_path / "lib" / "m.py").write_text("m")
    assert zipped(archive) == first
    (tmp_path / "own.zip").write_bytes(first)
    assert zipped(Asset(ARCHIVE, {"path": str(tmp_path / "own.zip")})) == first


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"path": "code"}, "is relative"),
        ({"path": "/no/such/folder"}, "there is no file or folder"),
        ({"uri": "https://x"}, "reads no remote archives"),
    ],
)
def test_archives_that_cannot_be_read(fields: dict[str, str], text: str) -> None:
    with pytest.raises(ProviderError, match=text):
        zipped(Asset(ARCHIVE, fields))


def test_a_composite_alarms_event_holds_its_rule() -> None:
    alarm = Alarm(
        "arn",
        {"AlarmName": "a", "AlarmRule": "ALARM(b)"},
        1.0,
        type="CompositeAlarm",
        state="ALARM",
    )
    found = alarm_data(alarm, ("OK", "fine", None, 0.0))
    assert found["configuration"]["alarmRule"] == "ALARM(b)"
    assert found["previousState"]["value"] == "OK"
