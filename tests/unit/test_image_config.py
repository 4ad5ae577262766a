"""The image's digest in the stack's file: one value changes, everything else stays."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
import yaml

from scripts.image.config import StackFileError, image_of, stack_file, write_image
from scripts.release.stack import StackError

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/slipway@sha256:" + "a" * 64
OTHER = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/slipway@sha256:" + "b" * 64


def written(folder: Path, text: str) -> Path:
    file = folder / "Pulumi.dev.yaml"
    file.write_text(text)
    return file


def changes(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_projects_own_files_take_it_in_the_line_kept_for_it(tmp_path: Path, stack: str) -> None:
    before = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    file = written(tmp_path, before)

    assert write_image(file, IMAGE)

    changed = changes(before, file.read_text())
    assert [line[:2] for line in changed] == ["- ", "+ "]
    assert changed[1] == f"+     image: {IMAGE}"
    assert image_of(file) == IMAGE


def test_an_image_is_replaced_and_its_comment_stays(tmp_path: Path) -> None:
    before = (
        f"config:\n  slipway:defaults:\n    a: 1 # one\n    image: '{OTHER}'  # pushed on Monday\n"
        "  # below\n  slipway:models: {wine: {package: dist/wine/1}}\n"
    )
    file = written(tmp_path, before)

    assert write_image(file, IMAGE)
    assert file.read_text() == before.replace(f"'{OTHER}'", IMAGE)
    assert not write_image(file, IMAGE), "the same image again changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "config:\n",
        "config: {}\n",
        "config:\n  aws:region: eu-west-1\n",
        "config:\n  aws:region: eu-west-1\n  slipway:defaults: {instanceType: ml.m5.large}\n",
        "config:\n  slipway:defaults: {}\n",
        "config:\n  slipway:defaults:\n  aws:region: eu-west-1\n",
        "config:\n  slipway:defaults:\n    image:\n    instanceType: ml.m5.large\n",
        "config:\n  slipway:defaults:\n    # of all\n    instanceType: ml.m5.large\n",
        "config:\n    slipway:defaults:\n        instanceType: ml.m5.large",
    ],
)
def test_it_finds_its_place_in_every_way_of_writing(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    wanted = yaml.safe_load(text) or {}
    wanted["config"] = wanted.get("config") or {}
    defaults = wanted["config"].get("slipway:defaults") or {}
    wanted["config"]["slipway:defaults"] = {**defaults, "image": IMAGE}

    assert write_image(file, IMAGE)

    assert yaml.safe_load(file.read_text()) == wanted
    assert all(comment in file.read_text() for comment in text.splitlines() if "#" in comment)


def test_one_models_image_is_written_below_that_model(tmp_path: Path) -> None:
    before = (
        "config:\n  slipway:models:\n    wine:\n      package: dist/wine/1 # the first\n"
        "    beer: {package: dist/beer/1}\n"
    )
    file = written(tmp_path, before)

    write_image(file, IMAGE, "wine")
    write_image(file, OTHER, "beer")

    assert changes(before, file.read_text()) == [
        f"+       image: {IMAGE}",
        "-     beer: {package: dist/beer/1}",
        f"+     beer: {{image: {OTHER}, package: dist/beer/1}}",
    ]
    assert (image_of(file, "wine"), image_of(file, "beer"), image_of(file)) == (IMAGE, OTHER, None)


@pytest.mark.parametrize(
    ("text", "model", "told"),
    [
        (
            "config: {slipway:models: {wine: {}}}\n",
            "bear",
            "Pulumi.dev.yaml has no model 'bear'; it has wine; name one of them",
        ),
        ("config: {}\n", "bear", "has no model 'bear'; it has none"),
        ("config: 3\n", None, "config is '3'; a map is needed; correct it, or write `image: 1111"),
        ("- a\n", None, "is no map; `config:` with values below is needed"),
        ("a: [\n", None, "Pulumi.dev.yaml is no YAML"),
        (
            "config:\n  slipway:defaults: &d\n    a: 1\n  slipway:other: *d\n",
            None,
            "is written in a way that cannot be changed safely; write `image: 1111",
        ),
    ],
)
def test_what_cannot_take_it_is_told_and_left(
    tmp_path: Path, text: str, model: str | None, told: str
) -> None:
    file = written(tmp_path, text)

    with pytest.raises(StackFileError) as refused:
        write_image(file, IMAGE, model)

    assert told in str(refused.value)
    assert file.read_text() == text


def test_a_stack_without_a_file_and_the_local_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"no stack .test.: Pulumi\.test\.yaml is missing"):
        stack_file(tmp_path, "test")
    with pytest.raises(StackFileError, match="stack is 'local', which runs its own model server"):
        stack_file(tmp_path, "local")
