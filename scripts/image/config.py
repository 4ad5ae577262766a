"""The image's digest in ``Pulumi.<stack>.yaml``: one line changes, all others stay as they are."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any, cast

import yaml

from contracts import atomic
from contracts.errors import SlipwayError
from scripts.release.stack import LOCAL_STACK, settings_file

DEFAULTS, MODELS = "slipway:defaults", "slipway:models"
# What the stack files of this project carry until there is an image.
PLACEHOLDER = re.compile(r"^[ \t]*#[ \t]*image:.*$", re.MULTILINE)


class StackFileError(SlipwayError):
    """The stack's file cannot be given the image."""


def stack_file(root: Path, stack: str) -> Path:
    """The file of ``stack``, which must be there and may take an image."""
    if stack == LOCAL_STACK:
        raise StackFileError(
            f"stack is {stack!r}, which runs its own model server and takes no image; "
            "name another with --stack"
        )
    return settings_file(root, stack)


def image_of(file: Path, model: str | None = None) -> str | None:
    """The image that the file names now, for ``model`` or for all."""
    return _image_of(_parsed(file.read_text(), file), model)


def image_before(file: Path, model: str | None) -> str | None:
    """The image that ``model`` has now: its own, or the one for all.

    Raises:
        StackFileError: the file has no such model.
    """
    document = _parsed(file.read_text(), file)
    _refuse_unknown(document, file, model)
    return _image_of(document, model) or _image_of(document, None)


def _image_of(document: dict[str, Any], model: str | None) -> str | None:
    place: Any = _config(document)
    for key in _keys(model)[:-1]:
        place = place.get(key) or {} if isinstance(place, dict) else {}
    found = place.get("image") if isinstance(place, dict) else None
    return found if isinstance(found, str) else None


def write_image(file: Path, image: str, model: str | None = None) -> bool:
    """Name ``image`` for ``model``, else for all; False where it stood there already.

    Raises:
        StackFileError: the file is no such map, or has no such model; it is left as it was.
    """
    before = file.read_text()
    document = _parsed(before, file)
    keys = ("config", *_keys(model))
    wanted = copy.deepcopy(document)
    place = wanted
    _refuse_unknown(document, file, model)
    for key in keys[:-1]:
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            raise StackFileError(
                f"{file.name}: {key} is {str(cast('Any', place))[:64]!r}; a map is needed; "
                f"correct it, or write `image: {image}` there yourself"
            )
    place["image"] = image
    after = _edited(before, keys, image)
    if not _says(after, wanted):
        raise StackFileError(
            f"{file.name} is written in a way that cannot be changed safely; "
            f"write `image: {image}` below {keys[-2]} yourself"
        )
    if after != before:
        atomic.write_text(file, after)
    return after != before


def _refuse_unknown(document: dict[str, Any], file: Path, model: str | None) -> None:
    """Raises StackFileError where the file has no such model."""
    if model is None:
        return
    config: Any = _config(document)
    found: Any = config.get(MODELS) if isinstance(config, dict) else None
    models = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if model not in models:
        known = ", ".join(str(name) for name in models) or "none"
        raise StackFileError(
            f"{file.name} has no model {model!r}; it has {known}; name one of them"
        )


def _keys(model: str | None) -> tuple[str, ...]:
    return (DEFAULTS, "image") if model is None else (MODELS, model, "image")


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        document: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise StackFileError(f"{file.name} is no YAML ({error}); correct it first") from None
    if not isinstance(document, dict):
        raise StackFileError(f"{file.name} is no map; `config:` with values below is needed")
    return cast("dict[str, Any]", document)


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return yaml.safe_load(text) == wanted
    except yaml.YAMLError:
        return False


def _config(document: dict[str, Any]) -> Any:
    return document.get("config") or {}


def _edited(text: str, keys: tuple[str, ...], image: str) -> str:
    """``text`` with the value of ``keys`` replaced, or set at the first key that is missing."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, key in enumerate(keys):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next((value for name, value in pairs if name.value == key), None)
        if found is None or _is_empty(found):
            return _inserted(text, node, keys[depth:], found, image)
        node = found
    return text[: node.start_mark.index] + image + text[node.end_mark.index :]


def _is_empty(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _inserted(text: str, node: Any, keys: tuple[str, ...], empty: Any, image: str) -> str:
    """The missing ``keys`` inside ``node``; ``empty`` is the first one's value if it has none."""
    if node is None:
        return text.rstrip("\n") + ("\n" if text.strip() else "") + _lines(keys, 0, image)
    if empty is not None:
        value = f" {image}"
        if len(keys) > 1:
            value = "\n" + _lines(keys[1:], node.start_mark.column + 2, image).rstrip("\n")
        at = text.rindex(":", 0, empty.start_mark.index + 1) + 1
        return text[:at] + value + text[empty.end_mark.index :]
    if node.flow_style:
        at = node.start_mark.index + 1
        inside = f"image: {image}"
        for key in reversed(keys[:-1]):
            inside = f"{key}: {{{inside}}}"
        return text[:at] + inside + (", " if node.value else "") + text[at:]
    start, end = node.start_mark.index, node.end_mark.index
    line = text.rindex("\n", 0, start) + 1 if "\n" in text[:start] else 0
    added = _lines(keys, node.start_mark.column, image)
    placeholder = PLACEHOLDER.search(text, line, end) if keys == ("image",) else None
    if placeholder is not None:
        return text[: placeholder.start()] + added.rstrip("\n") + text[placeholder.end() :]
    return text[:line] + added + text[line:]


def _lines(keys: tuple[str, ...], indent: int, image: str) -> str:
    lines = [f"{' ' * (indent + 2 * depth)}{key}:" for depth, key in enumerate(keys)]
    return "\n".join([*lines[:-1], f"{lines[-1]} {image}"]) + "\n"
