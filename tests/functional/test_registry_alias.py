"""MLflow follows a release: where `champion` points, and what links to the evidence."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from contracts.history import evidence_key
from model_code import registry
from release.errors import InterruptedReleaseError, NotFoundError
from release.evidence.document import ReleaseResult
from release.state import EndpointState, Entry
from scripts.registry.alias import follow
from scripts.registry.follow import SEEN, catch_up, catching_up, follow_result
from scripts.release.stack import ReleaseStack
from tests.functional.model_store import register, store_uri

MODEL = "followed"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two versions of one model."""
    import pandas as pd
    from sklearn.dummy import DummyRegressor

    uri = store_uri(tmp_path_factory)
    example = pd.DataFrame({"x": [0.0, 1.0]})
    for constant in (1.0, 2.0):
        register(uri, MODEL, DummyRegressor().fit(example, [constant] * 2), example)
    return uri


def result(version: str, **more: Any) -> ReleaseResult:
    values: dict[str, Any] = {
        "id": f"{MODEL}-release-{version}",
        "model": MODEL,
        "endpoint": f"{MODEL}-local",
        "purpose": "release",
        "strategy": "canary",
        "from_version": "1",
        "to_version": version,
        "registry_uri": f"models:/{MODEL}/{version}",
        "outcome": "promoted",
        "reason": "",
        "steps": (),
        "candidate_requests": 0,
        "candidate_errors": 0,
        "seconds_from_first_error_to_zero_weight": None,
        "seconds": 1.0,
    }
    return ReleaseResult(**values | more)


def champion(store: str) -> str:
    return registry.resolve(store, f"{MODEL}@champion").version


def test_the_alias_goes_where_the_traffic_goes_and_back(store: str) -> None:
    assert follow(store, result("1"), "history") is None
    assert follow(store, result("2"), "history") is None
    assert champion(store) == "2"
    back = result("1", purpose="rollback", outcome="rolled_back")
    assert follow(store, back, "history") is None
    assert champion(store) == "1"
    tags = registry.resolve(store, f"{MODEL}/2").tags
    assert tags["slipway.outcome"] == "promoted"
    assert tags["slipway.evidence"] == f"s3://history/{evidence_key(result('2').id)}"


@pytest.mark.parametrize("outcome", ["rolled_back", "inconclusive"])
def test_a_candidate_that_did_not_land_gets_its_evidence_and_no_alias(
    store: str, outcome: str
) -> None:
    follow(store, result("1"), "history")
    assert follow(store, result("2", outcome=outcome), "history") is None
    assert champion(store) == "1"
    assert registry.resolve(store, f"{MODEL}/2").tags["slipway.outcome"] == outcome


def test_what_no_registry_knows_is_told_and_moves_nothing(store: str) -> None:
    follow(store, result("1"), "history")
    text = follow(store, result("2", registry_uri="s3://somewhere"), "history")
    assert text == "s3://somewhere names no version; no alias was moved"
    text = follow(store, result("9"), "history")
    assert text is not None
    assert text.startswith("the registry was not updated: ")
    assert champion(store) == "1"


def test_a_release_makes_no_registry_where_none_is(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert follow(uri, result("1"), "history") == (
        f"there is no registry at {uri}: no alias was moved; is MLFLOW_TRACKING_URI the right one?"
    )
    assert not any(tmp_path.iterdir())


# --- releases that nobody saw the end of


@dataclass
class Place:
    """A stack whose history has these releases, the oldest first."""

    root: Path
    results: tuple[ReleaseResult, ...]
    bucket: str = "history"
    closed: Entry | None = None
    reads: int = 0

    @property
    def s3(self) -> Place:
        return self

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        self.reads += 1
        found = next(r for r in self.results if Key == evidence_key(r.id))
        return {"Body": io.BytesIO(json.dumps(found.to_dict()).encode()), "ETag": "x"}

    def state_or_new(self, endpoint: str) -> EndpointState:
        releases = tuple(r.id for r in self.results)
        return EndpointState(endpoint, releases=releases, closed=self.closed)


@pytest.fixture
def root(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return tmp_path


def caught_up(place: Place, capsys: pytest.CaptureFixture[str]) -> str:
    catch_up(cast("ReleaseStack", place), f"{MODEL}-local")
    return capsys.readouterr().err.strip()


def story(*outcomes: tuple[str, str, str], tag: str) -> tuple[ReleaseResult, ...]:
    """Version, purpose and outcome of each release."""
    return tuple(
        result(version, id=f"{tag}-{i}", purpose=purpose, outcome=outcome)
        for i, (version, purpose, outcome) in enumerate(outcomes)
    )


def test_the_alias_catches_up_with_the_last_release_that_put_something_in_place(
    store: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(store, result("1", id="before"), "history")
    told = story(("2", "release", "promoted"), ("1", "release", "rolled_back"), tag="lambda")
    place = Place(root, told)

    assert caught_up(place, capsys) == (
        f"registry: champion is now {MODEL}/2, as release lambda-0 left it"
    )
    assert champion(store) == "2"
    tags = registry.resolve(store, f"{MODEL}/2").tags
    assert tags["slipway.evidence"] == f"s3://history/{evidence_key('lambda-0')}"

    reads = place.reads
    assert caught_up(place, capsys) == ""
    assert place.reads == reads, "what was looked at once is not looked at again"


def test_a_rollback_that_nobody_saw_moves_it_back(
    store: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(("2", "release", "promoted"), ("1", "rollback", "rolled_back"), tag="back")
    assert "champion is now followed/1, as release back-1 left it" in caught_up(
        Place(root, told), capsys
    )
    assert champion(store) == "1"


def test_a_release_is_followed_once_whatever_moves_the_alias_later(
    store: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(("2", "release", "promoted"), tag="once")
    follow_result(cast("ReleaseStack", Place(root, told)), told[0])
    registry.set_alias(store, MODEL, "1", "champion")

    assert caught_up(Place(root, told), capsys) == ""
    (root / SEEN).unlink()
    assert caught_up(Place(root, told), capsys) == "", "the registry itself knows it too"
    assert champion(store) == "1"


def test_what_is_held_is_not_over_and_is_followed_when_it_is(
    store: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(store, result("1", id="held-before"), "history")
    (held,) = story(("2", "release", "held"), tag="held")
    follow_result(cast("ReleaseStack", Place(root, (held,))), held)

    promoted = story(("2", "release", "promoted"), tag="held")
    assert "champion is now followed/2" in caught_up(Place(root, promoted), capsys)


def test_a_registry_that_does_not_know_the_version_is_told_of_once(
    store: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(("2", "release", "promoted"), tag="unknown")
    other = root / "other.db"
    other.touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    place = Place(root, told)
    assert caught_up(place, capsys) == (
        f"warning: the registry does not know {MODEL}/2, which serves on {MODEL}-local: no alias "
        "was moved; is MLFLOW_TRACKING_URI the right one?"
    )
    assert caught_up(place, capsys) == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert "champion is now followed/2" in caught_up(place, capsys), "another store is asked anew"


def test_a_registry_that_does_not_answer_is_asked_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place = Place(root, story(("2", "release", "promoted"), tag="away"))
    for _ in range(2):
        text = caught_up(place, capsys)
        assert "warning: the registry was not asked whether it follows: the MLflow" in text


@pytest.mark.parametrize(
    ("error", "says"),
    [(NotFoundError("no release runs"), True), (InterruptedReleaseError(), False)],
)
def test_it_catches_up_where_no_release_could_be_but_not_when_interrupted(
    error: Exception, says: bool, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = cast("ReleaseStack", Place(root, story(("2", "release", "promoted"), tag=f"w{says}")))
    with pytest.raises(type(error)), catching_up(place, f"{MODEL}-local"):
        raise error
    assert ("champion is now" in capsys.readouterr().err) is says


def test_where_there_is_nothing_to_follow_nothing_is_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(("2", "release", "promoted"), tag="nothing")
    destroyed = Entry(0.0, "closed", "destroyed", {})
    elsewhere = (result("2", id="nothing-8", registry_uri="s3://somewhere"),)
    for place in (Place(root, ()), Place(root, told, closed=destroyed), Place(root, elsewhere)):
        assert caught_up(place, capsys) == ""
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert caught_up(Place(tmp_path, told), capsys) == ""
    assert not (tmp_path / ".slipway" / "mlflow.db").exists()
