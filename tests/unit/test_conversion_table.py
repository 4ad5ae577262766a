"""Every entry of the docs' table of what converts: trained, stored by MLflow, converted, proven."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from model_code.conversion.child import Task
from model_code.mlmodel import inputs_of
from scripts.proving.judge import judge
from tests.unit.conversion_models import TABLE, Made, linear_xgboost, logistic, save

DOCS = Path(__file__).resolve().parents[2] / "docs" / "conversion.md"


def table() -> dict[str, str]:
    """Model to engine, as the docs say."""
    section = DOCS.read_text().partition("## What converts")[2].partition("## ")[0]
    rows = re.findall(r"^\| (.+?) \| (linear|forest|onnx|none) \|$", section, flags=re.MULTILINE)
    return dict(rows)


def judged(made: Made, folder: Path, *, allows_code: bool = False, has_params: bool = False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(made, folder)
        engine = "sklearn" if made.flavor in {"sklearn", "pickle"} else "pyfunc"
        task = Task(str(folder), inputs_of(folder), made.output, engine, allows_code)
        return judge(replace(task, has_params=has_params))


def test_the_docs_and_the_models_here_are_the_same_list() -> None:
    assert list(table()) == list(TABLE)


@pytest.mark.parametrize("entry", list(TABLE))
def test_every_entry_converts_as_the_docs_say(entry: str, tmp_path: Path) -> None:
    from threadpoolctl import threadpool_limits

    wanted = table()[entry]
    with threadpool_limits(1):  # its threads spin where other tests use the cores
        for number, made in enumerate(TABLE[entry]()):
            verdict, candidate = judged(made, tmp_path / str(number))
            assert (verdict.engine or "none") == wanted, verdict.reason
            assert (candidate is None) == (wanted == "none")
            assert bool(verdict.reason) == (wanted == "none")
            if wanted != "none":
                assert verdict.rows >= 1000
                assert verdict.worst["share_of_tolerance_at_most"] <= 1
            if wanted in {"linear", "forest"}:
                assert verdict.merges


def test_params_may_change_what_a_model_answers_unless_it_is_scikit_learns(tmp_path: Path) -> None:
    (booster,) = linear_xgboost()
    verdict, candidate = judged(booster, tmp_path / "xgboost", has_params=True)
    assert candidate is None
    assert verdict.reason == "its signature has params, by which it may answer otherwise"
    verdict, candidate = judged(logistic()[0], tmp_path / "sklearn", has_params=True)
    assert verdict.engine == "linear"
    assert candidate is not None


def test_a_pickle_converts_where_its_loading_is_allowed(tmp_path: Path) -> None:
    (made,) = TABLE["a pickle"]()
    verdict, _ = judged(made, tmp_path / "m")
    assert "it is stored as a pickle, which could run anything" in verdict.reason
    assert "package it with --allow-code" in verdict.reason
    verdict, _ = judged(made, tmp_path / "again", allows_code=True)
    assert verdict.engine == "linear"
