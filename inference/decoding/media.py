"""Media types: what a body is, and what an answer may be (RFC 9110, sections 8.3 and 12.5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference.errors import RequestError, shown

JSON, CSV, JSON_LINES = "application/json", "text/csv", "application/jsonlines"
# SageMaker says jsonlines; the others are what clients send for the same.
LINES = frozenset(
    {JSON_LINES, "application/jsonl", "application/x-jsonlines", "application/x-ndjson",
     "application/ndjson"}
)  # fmt: skip
ARROW = frozenset({"application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"})
PARQUET = frozenset({"application/vnd.apache.parquet", "application/x-parquet"})
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
ANSWERS = f"{JSON}, {CSV} or {JSON_LINES}"

_PART = re.compile(r'((?:[^",;]|"(?:[^"\\]|\\.)*+"?)*+)([,;]?)')
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")


@dataclass(frozen=True)
class _Range:
    """One media range of ``Accept``; a higher ``precision`` decides over a lower one."""

    kind: str
    parameters: dict[str, str]
    quality: float
    position: int

    @property
    def precision(self) -> int:
        return 0 if self.kind == "*/*" else 1 if self.kind.endswith("/*") else 2

    def matches(self, offered: str) -> bool:
        if self.parameters.get("header", "absent") != "absent":
            return False  # an answer in CSV has no header
        if self.parameters.get("charset", "utf-8") not in CHARSETS:
            return False
        main = self.kind.removesuffix("*")
        return self.kind in ("*/*", offered) or (main.endswith("/") and offered.startswith(main))


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """``text/csv; header=present`` as its type and its parameters, in lower case."""
    kinds = _split(header)
    return kinds[0] if kinds else ("", {})


def _split(header: str) -> list[tuple[str, dict[str, str]]]:
    """The members of a list of media types; commas and semicolons in quotes part nothing."""
    members: list[list[str]] = [[]]
    for part, end in _PART.findall(header):
        members[-1].append(part.strip())
        if end == ",":
            members.append([])
    found: list[tuple[str, dict[str, str]]] = []
    for kind, *rest in filter(None, members):
        parameters: dict[str, str] = {}
        for name, _, value in (part.partition("=") for part in rest):
            parameters.setdefault(name.strip().lower(), value.strip(' \t"').lower())
        if kind:
            found.append((kind.lower(), parameters))
    return found


def accepted(accept: str, content_type: str = "", *, batch: bool = False) -> str:
    """The type to answer with, as the client names it.

    The most precise range decides over each type we offer, and the highest q wins; of equals the
    one named more precisely, then earlier. Absent or ``*/*`` means JSON, in batch transform the
    body's own type, since SageMaker joins what comes out to what went in.
    """
    first = _of_body(content_type) if batch else JSON
    if not accept.strip():
        return first
    ranges = [_range(*member, i) for i, member in enumerate(_split(accept))]
    named = [r.kind for r in ranges if r.kind in LINES]
    best, best_rank = "", (0.0, 0, 0)
    for offered in dict.fromkeys((first, JSON, CSV, JSON_LINES, *named)):
        matching = [r for r in ranges if r.matches(offered)]
        if not matching:
            continue
        decides = max(matching, key=lambda r: (r.precision, r.quality, -r.position))
        rank = (decides.quality, decides.precision, -decides.position)
        if decides.quality and (not best or rank > best_rank):
            best, best_rank = offered, rank
    if not best:
        raise RequestError(406, f"accept is {shown(accept)}; {ANSWERS} can be answered")
    return best


def _range(kind: str, parameters: dict[str, str], position: int) -> _Range:
    """What is malformed gets q=0: nobody can tell what was meant."""
    text = parameters.get("q", "1")
    quality = float(text) if _QUALITY.match(text) else 0.0
    return _Range(kind, parameters, quality, position)


def _of_body(content_type: str) -> str:
    kind, _ = media_type(content_type)
    return kind if kind == CSV or kind in LINES else JSON
