"""What is collected after a release, and what must never be."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from release.driver.collect import (
    MIN_AGE_SECONDS,
    Collection,
    Leftover,
    find,
    remove_alarms,
    select,
)
from release.driver.loop import Driver
from release.driver.turn import DriverOptions
from release.state import EndpointState, GoodVersion, Release
from tests.unit.fake_cloud import ENDPOINT, FakeHistory, config_of, manifest, target
from tests.unit.release_strategies import CANARY, FAST, cloud_of

NOW = 1_000_000.0
NOTHING = Collection((), (), ())


def leftover(version: str, age_seconds: float = 2 * MIN_AGE_SECONDS) -> Leftover:
    made = target(version)
    return Leftover(
        made.endpoint_config_name,
        NOW - age_seconds,
        made.content_hash,
        (made.model_name,),
        (made.artifact_uri,),
    )


def good(version: str) -> GoodVersion:
    made = target(version)
    return GoodVersion(
        version=version,
        content_hash=made.content_hash,
        endpoint_config_name=made.endpoint_config_name,
        model_name=made.model_name,
        package_sha256=made.package_sha256,
        registry_uri=made.registry_uri,
        since=0.0,
    )


def collected(
    *found: Leftover, serving: str = "wine-test-c9", state: EndpointState | None = None
) -> Collection:
    staged = manifest("8")
    return select(found, state or EndpointState(ENDPOINT), staged, {serving}, NOW)


def test_what_nothing_needs_goes_with_its_model_and_artifact() -> None:
    assert collected(leftover("1")) == Collection(
        ("wine-test-c1",), ("wine-test-m1",), ("s3://artifacts/1/model.tar.gz",)
    )


def test_what_serves_stays() -> None:
    assert collected(leftover("9")) == NOTHING


def test_what_the_manifest_names_stays() -> None:
    assert collected(leftover("8")) == NOTHING


def test_the_last_good_versions_stay() -> None:
    state = EndpointState(ENDPOINT, good=(good("3"), good("2")))
    assert collected(leftover("3"), leftover("2"), leftover("1"), state=state).configs == (
        "wine-test-c1",
    )


def test_another_configuration_of_a_good_versions_content_stays() -> None:
    again = replace(leftover("2"), config="wine-test-c2-again")
    assert collected(again, state=EndpointState(ENDPOINT, good=(good("2"),))) == NOTHING


def test_what_is_young_stays_for_an_up_may_be_about_to_name_it() -> None:
    assert collected(leftover("1", age_seconds=MIN_AGE_SECONDS - 1)) == NOTHING


def test_a_model_and_an_artifact_that_something_kept_names_stay() -> None:
    shared = replace(leftover("1"), models=("wine-test-m9",), artifacts=leftover("9").artifacts)
    assert collected(shared, leftover("9")) == Collection(("wine-test-c1",), (), ())


def test_nothing_goes_while_a_release_runs() -> None:
    running = object.__new__(Release)
    state = EndpointState(ENDPOINT, current=running)
    assert collected(leftover("1"), state=state) == NOTHING


# --- what is found, by AWS's answers


class Answers:
    """A boto3 client whose paginators answer from ``pages``; remembers what was asked and done."""

    def __init__(self, **pages: Any) -> None:
        self._pages = pages
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get_paginator(self, operation: str) -> Any:
        def paginate(**arguments: Any) -> list[Any]:
            self.asked.append((operation, arguments))
            return list(self._pages[operation])

        return SimpleNamespace(paginate=paginate)

    def delete_alarms(self, **arguments: Any) -> None:
        self.asked.append(("delete_alarms", arguments))


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [("wine-test", ["wine"]), ("cellar", ["wine", "cellar"])],
)
def test_configurations_are_listed_once_where_one_part_of_their_names_covers_both(
    endpoint: str, parts: list[str]
) -> None:
    sagemaker = Answers(list_endpoint_configs=[{"EndpointConfigs": []}])
    made = replace(manifest("8"), endpoint_name=endpoint)
    cloud: Any = {"sagemaker": sagemaker}
    assert find(cloud, made) == ()
    assert [asked["NameContains"] for _, asked in sagemaker.asked] == parts


IDS = ("wine-20260102T030405-ab12", "wine-20260103T030405-cd34")
LEFT = (f"{IDS[0]}-errors-landed", f"{IDS[1]}-errors-candidate", f"{IDS[0]}-gate")
OTHERS = (
    "wine-errors",
    "wine-20260102T030405-ff99-errors-landed",
    f"{IDS[0]}x-errors-landed",
    "wine-red-20260102T030405-ab12-gate",
)


def alarmed() -> Answers:
    pages = [{"MetricAlarms": [{"AlarmName": n}]} for n in (*LEFT, *OTHERS)]
    return Answers(describe_alarms=[*pages, {"CompositeAlarms": []}])


def test_alarms_that_an_ended_release_left_go_and_nobody_elses() -> None:
    cloudwatch = alarmed()
    cloud: Any = {"cloudwatch": cloudwatch}
    state = EndpointState(ENDPOINT, releases=IDS)
    assert remove_alarms(cloud, state, manifest("8")) == LEFT
    assert cloudwatch.asked == [
        ("describe_alarms", {"AlarmNamePrefix": "wine-", "AlarmTypes": ["MetricAlarm"]}),
        ("delete_alarms", {"AlarmNames": list(LEFT)}),
    ]


def test_no_alarm_goes_while_a_release_runs() -> None:
    cloudwatch = alarmed()
    cloud: Any = {"cloudwatch": cloudwatch}
    running = object.__new__(Release)
    state = EndpointState(ENDPOINT, current=running, releases=IDS)
    assert remove_alarms(cloud, state, manifest("8")) == ()
    assert cloudwatch.asked == []


def test_nothing_is_collected_once_the_next_release_has_begun() -> None:
    """It may need what the last one no longer does."""
    cloud, history = cloud_of(), FakeHistory()
    collected: list[str] = []

    def collector(state: EndpointState, _manifest: object) -> list[str]:
        collected.append(state.good[0].version)
        return []

    def promote(version: str) -> None:
        made = manifest(version, strategy=CANARY)
        cloud.configs[f"wine-test-c{version}"] = config_of(version)
        Driver(made, cloud, history, DriverOptions(pace=FAST, collector=collector)).release(
            retry=False
        )

    promote("2")
    assert collected == ["2"]
    running: list[Release] = []

    def begin_another(state: EndpointState) -> None:
        if state.current is not None:
            running.append(state.current)
        elif history.after_save is begin_another:
            history.shared["state"] = replace(state, current=running[0])

    history.after_save = begin_another
    promote("3")
    assert collected == ["2"]
