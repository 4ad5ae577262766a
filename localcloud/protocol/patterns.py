"""Regular expressions of AWS's service models (Java's dialect), matched as AWS does: in full."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

_PROPERTY = re.compile(r"\\p\{(\w+)\}")
_POSIX = {
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "ASCII": "\x00-\x7f",
    "Print": "\x20-\x7e",
}
# Java writes the planes above the first as ranges of surrogate pairs.
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
# Java takes a repeated end of text for the end of text; Python refuses it.
_REPEATED_END = re.compile(r"\$\{\d+,\d+\}")
_UPPER_PLANES = r"\U00010000-\U0010FFFF"


def matches(pattern: str, text: str) -> bool:
    return _compile(pattern).fullmatch(text) is not None


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    translated = _REPEATED_END.sub("$", pattern.replace(_SURROGATES, _UPPER_PLANES))
    return re.compile(_PROPERTY.sub(_property, translated))


def _property(found: re.Match[str]) -> str:
    """The characters of a Unicode category; the models use ``\\p`` only where a class may stand."""
    name = found[1]
    members = _POSIX[name] if name in _POSIX else _category(name)
    opened = found.string.count("[", 0, found.start()) > found.string.count("]", 0, found.start())
    return members if opened else f"[{members}]"


@cache
def _category(name: str) -> str:
    """Ranges of all characters whose category is ``name`` (``L``) or begins with it (``Lu``)."""
    ranges: list[str] = []
    start: int | None = None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)).startswith(name)
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(ranges)
