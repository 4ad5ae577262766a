"""The local image's name follows the sources that it would carry."""

from __future__ import annotations

import re
from pathlib import Path

from localcloud.image import local_image


def test_the_image_is_named_by_its_sources(tmp_path: Path) -> None:
    assert re.fullmatch(r"slipway-local@sha256:[0-9a-f]{64}", local_image())
    for folder in ("inference", "contracts"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / "a.py").write_text("1")
    first = local_image(tmp_path)
    assert local_image(tmp_path) == first
    (tmp_path / "inference" / "notes.txt").write_text("not shipped")
    assert local_image(tmp_path) == first
    (tmp_path / "contracts" / "deep" / "a.py").write_text("2")
    assert local_image(tmp_path) != first
    (tmp_path / "contracts" / "deep" / "a.py").rename(tmp_path / "contracts" / "a.py")
    assert local_image(tmp_path) != first
