"""Training, registry and packages: what is registered is found, and packaged to the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.canonical import sha256_file, sha256_text
from contracts.package import ARCHIVE_FILE, INDEX_FILE, MANIFEST_FILE, load_package
from inference.integrity import read_index
from inference.unpacking import unpack
from model_code import flights, registry
from model_code.errors import PackagingError, RegistryError
from model_code.package import package
from model_code.train import TrainingOptions, TrainingResult, train
from tests.functional.model_store import register, store_uri


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_uri(tmp_path_factory)


OPTIONS = TrainingOptions(
    model="small-delay", train_months=(1,), evaluate_month=2, sample=500, airports=("LGA",)
)


@pytest.fixture(scope="module")
def trained(store: str) -> TrainingResult:
    return train(OPTIONS, store)


def test_training_registers_a_challenger_with_its_metrics(
    store: str,
    trained: TrainingResult,
) -> None:
    version = registry.resolve(store, "small-delay@challenger")
    assert (version.model, version.version, version.run_id) == ("small-delay", "1", trained.run_id)
    assert version.aliases == ("challenger",)
    assert version.metrics == trained.metrics
    assert 0.5 < version.metrics["auc"] < 1, "the model is no better than chance"
    assert trained.rows == 500


def test_a_package_carries_the_signature_and_where_it_comes_from(
    store: str,
    trained: TrainingResult,
    tmp_path: Path,
) -> None:
    made = package(store, "small-delay/1", tmp_path)
    assert made.folder == tmp_path / "small-delay" / "1"
    manifest = load_package(made.folder)
    assert manifest == made.manifest
    assert (manifest.registry_uri, manifest.run_id) == ("models:/small-delay/1", trained.run_id)
    assert manifest.metrics == trained.metrics
    assert any(r.startswith("scikit-learn==") for r in manifest.runtime.requirements)
    inputs = manifest.signature["inputs"]
    assert inputs["x-columns"] == list(flights.FEATURES)
    assert inputs["properties"]["carrier"]["type"] == "string"
    assert inputs["properties"]["wind_gust"]["nullable"], "missing weather is no valid input"
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "out")
    index, digest = read_index(tmp_path / "out", manifest.index_sha256)
    assert digest == manifest.index_sha256
    assert (index.engine, index.output) == ("sklearn", "predict_proba")


def test_the_same_version_is_packaged_to_the_same_bytes(
    store: str,
    trained: TrainingResult,
    tmp_path: Path,
) -> None:
    first = package(store, "small-delay/1", tmp_path / "a").folder
    again = package(store, "small-delay@challenger", tmp_path / "b").folder
    for name in (ARCHIVE_FILE, MANIFEST_FILE):
        assert sha256_file(first / name) == sha256_file(again / name), f"{name} differs"
    over = package(store, "small-delay/1", tmp_path / "a").folder
    assert sha256_file(over / ARCHIVE_FILE) == sha256_file(again / ARCHIVE_FILE)
    left = sorted(p.name for p in (tmp_path / "a" / "small-delay").iterdir())
    assert left == ["1"], "packaging leaves something behind"


def test_aliases_move_from_version_to_version(store: str) -> None:
    import pandas as pd
    from sklearn.dummy import DummyRegressor

    example = pd.DataFrame({"x": [0.0, 1.0]})
    for constant in (1.0, 2.0):
        register(store, "dummy", DummyRegressor().fit(example, [constant] * 2), example)
    assert registry.resolve(store, "dummy@challenger").version == "2"
    registry.set_alias(store, "dummy", "1", registry.CHAMPION)
    registry.set_version_tags(store, "dummy", "1", {"evidence": "s3://x"})
    champion = registry.resolve(store, "dummy@champion")
    assert (champion.version, champion.tags["evidence"]) == ("1", "s3://x")
    registry.set_alias(store, "dummy", "2", registry.CHAMPION)
    assert registry.resolve(store, "dummy@champion").version == "2"
    assert [v.aliases for v in registry.versions(store, "dummy")] == [
        (),
        ("challenger", "champion"),
    ]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("small-delya/1", r"no model 'small-delya' in the registry; it has: .*small-delay"),
        ("small-delay/7", r"has no version 7; it has the versions 1 \(challenger\)"),
        ("small-delay@champion", r"has no alias 'champion'; it has the versions 1 \(challenger\)"),
        ("small-delay", r"'small-delay' names no model version; write MODEL/VERSION"),
        ("small-delay/one", r"names no model version; .* or MODEL@ALIAS"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(
    store: str,
    trained: TrainingResult,
    tmp_path: Path,
    reference: str,
    message: str,
) -> None:
    with pytest.raises(RegistryError, match=message):
        package(store, reference, tmp_path)
    assert not list(tmp_path.iterdir()), "a refused packaging leaves files behind"


def test_a_store_that_is_no_store_is_one_readable_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"the MLflow store at foo://host says: "):
        registry.names("foo://host")


def test_another_output_is_part_of_the_package(
    store: str,
    trained: TrainingResult,
    tmp_path: Path,
) -> None:
    made = package(store, "small-delay/1", tmp_path, output="predict")
    unpack(made.folder / ARCHIVE_FILE, tmp_path / "out")
    assert json.loads((tmp_path / "out" / INDEX_FILE).read_text())["output"] == "predict"
    text = (tmp_path / "out" / INDEX_FILE).read_text()
    assert sha256_text(text) == made.manifest.index_sha256
    with pytest.raises(PackagingError, match="output is 'score'; one of predict, predict_proba"):
        package(store, "small-delay/1", tmp_path, output="score")


def test_types_of_the_users_own_are_refused_when_they_are_logged(store: str) -> None:
    from collections import Counter

    import pandas as pd
    from sklearn.dummy import DummyRegressor

    example = pd.DataFrame({"x": [0.0]})
    model: Any = DummyRegressor().fit(example, [1.0])
    model.counted_ = Counter([1])
    with pytest.raises(RegistryError, match=r"needs the types collections\.Counter, which are not"):
        register(store, "counted", model, example)
    assert "counted" not in registry.names(store), "a refused model was registered"


def test_the_same_options_train_the_same_model(store: str, tmp_path: Path) -> None:
    again = [train(replace(OPTIONS, model=f"twin-{n}"), store).metrics for n in (1, 2)]
    assert again[0] == again[1]
