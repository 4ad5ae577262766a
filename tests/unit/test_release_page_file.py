"""The page on this machine: where it is written, and what stops it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.release.page import PageError, write_page
from tests.unit.evidence_samples import promoted


def test_a_page_is_written_below_the_project(tmp_path: Path) -> None:
    file = write_page(tmp_path, "wine-1", json.dumps(promoted()))

    assert file == tmp_path / ".slipway" / "pages" / "wine-1.html"
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_id_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    file = write_page(tmp_path, "../../up/wine-1", json.dumps(promoted()))

    assert file.parent == tmp_path / ".slipway" / "pages"


def test_evidence_of_another_form_is_said_to_have_no_page(tmp_path: Path) -> None:
    with pytest.raises(PageError) as refused:
        write_page(tmp_path, "wine-1", "{}")

    assert str(refused.value) == (
        "the evidence of wine-1 is of a form that has no page; "
        "`slipway show wine-1 --json` prints it as it is"
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".slipway").write_text("a file")

    with pytest.raises(PageError) as refused:
        write_page(tmp_path, "wine-1", json.dumps(promoted()))

    file = tmp_path / ".slipway" / "pages" / "wine-1.html"
    assert str(refused.value) == f"{file}: Not a directory; make its folder writable"
