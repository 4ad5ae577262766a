"""The intrinsic functions of the Amazon States Language, for JSONPath state machines. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.stepfunctions.errors import StateError

Resolve = Callable[[str], Any]
_CALL = re.compile(r"\s*(States\.\w+)\s*\(")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_PATH_END = re.compile(r"[^,)\s]+")
MAX_RANGE = 1000
MAX_HASHED = 10_000


def evaluate(text: str, resolve: Resolve) -> Any:
    """The value of ``States.X(...)``; ``resolve`` evaluates paths.

    Raises:
        StateError: ``States.IntrinsicFailure``.
    """
    parser = _Parser(text, resolve)
    value = parser.call()
    parser.end()
    return value


class _Parser:
    def __init__(self, text: str, resolve: Resolve) -> None:
        self._text, self._at, self._resolve = text, 0, resolve

    def call(self) -> Any:
        found = _CALL.match(self._text, self._at)
        if found is None:
            raise self._error("a function call is expected")
        self._at = found.end()
        function = _FUNCTIONS.get(found[1])
        if function is None:
            raise self._error(f"there is no function {found[1]}")
        arguments = self._arguments()
        try:
            return function(*arguments)
        except StateError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise self._error(f"{found[1]}: {error}") from None

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise self._error("something follows the call")

    def _arguments(self) -> list[Any]:
        found: list[Any] = []
        while True:
            self._skip()
            if self._peek() == ")":
                self._at += 1
                return found
            if found:
                if self._peek() != ",":
                    raise self._error("',' or ')' is expected")
                self._at += 1
                self._skip()
            found.append(self._argument())

    def _argument(self) -> Any:
        if self._peek() == "'":
            return self._quoted()
        if self._text.startswith("States.", self._at):
            return self.call()
        found = _NUMBER.match(self._text, self._at)
        if found:
            self._at = found.end()
            return json.loads(found[0])
        found = _PATH_END.match(self._text, self._at)
        if found is None:
            raise self._error("an argument is expected")
        self._at = found.end()
        word = found[0]
        if word in ("true", "false", "null"):
            return json.loads(word)
        if not word.startswith("$"):
            raise self._error(f"{word!r} is no argument")
        return self._resolve(word)

    def _quoted(self) -> str:
        self._at += 1
        result = ""
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == "'":
                return result
            if character == "\\" and self._peek() in ("'", "\\", "{", "}"):
                # Format must still tell an escaped brace from a placeholder.
                result += ("\\" if self._peek() in "{}" else "") + self._peek()
                self._at += 1
            else:
                result += character
        raise self._error("a quote is not closed")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self) -> None:
        while self._peek().isspace():
            self._at += 1

    def _error(self, why: str) -> StateError:
        return StateError("States.IntrinsicFailure", f"{self._text!r} at {self._at}: {why}")


def _format(template: str, *values: Any) -> str:
    parts = re.split(r"(?<!\\)\{\}", template)
    if len(parts) != len(values) + 1:
        raise ValueError(f"{len(parts) - 1} placeholders, {len(values)} values")
    shown = [v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for v in values]
    text = parts[0] + "".join(v + p for v, p in zip(shown, parts[1:], strict=True))
    return text.replace("\\{", "{").replace("\\}", "}")


def _hash(text: str, algorithm: str) -> str:
    name = algorithm.lower().replace("-", "")
    if name not in ("md5", "sha1", "sha256", "sha384", "sha512") or len(text) > MAX_HASHED:
        raise ValueError("the algorithm or the length of the text is not allowed")
    return hashlib.new(name, text.encode()).hexdigest()


def _range(first: int, last: int, step: int) -> list[int]:
    found = list(range(first, last + (1 if step > 0 else -1), step))
    if len(found) > MAX_RANGE:
        raise ValueError(f"more than {MAX_RANGE} items")
    return found


def _partition(items: list[Any], size: int) -> list[list[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _unique(items: list[Any]) -> list[Any]:
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def _merge(first: dict[str, Any], second: dict[str, Any], deep: bool) -> dict[str, Any]:
    if deep:
        raise ValueError("only shallow merges are supported")
    return {**first, **second}


def _split(text: str, delimiters: str) -> list[str]:
    return [t for t in re.split(f"[{re.escape(delimiters)}]", text) if t]


def _random(first: int, last: int, seed: int | None = None) -> int:
    return random.Random(seed).randrange(first, last)


def _array(*items: Any) -> list[Any]:
    return list(items)


def _contains(items: list[Any], item: Any) -> bool:
    return item in items


def _get_item(items: list[Any], index: int) -> Any:
    return items[index]


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()


def _to_string(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _add(first: float, second: float) -> int:
    return round(first) + round(second)


def _uuid() -> str:
    return str(uuid.uuid4())


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.Array": _array,
    "States.ArrayPartition": _partition,
    "States.ArrayContains": _contains,
    "States.ArrayRange": _range,
    "States.ArrayGetItem": _get_item,
    "States.ArrayLength": len,
    "States.ArrayUnique": _unique,
    "States.Base64Encode": _encode,
    "States.Base64Decode": _decode,
    "States.Format": _format,
    "States.Hash": _hash,
    "States.JsonMerge": _merge,
    "States.JsonToString": _to_string,
    "States.MathAdd": _add,
    "States.MathRandom": _random,
    "States.StringSplit": _split,
    "States.StringToJson": json.loads,
    "States.UUID": _uuid,
}
