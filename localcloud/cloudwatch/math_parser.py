"""GetMetricData's expressions as trees. Pure; nothing is computed here."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|"
    r"(?P<text>'[^']*'|\"[^\"]*\")|(?P<op><=|>=|==|!=|&&|\|\||[-+*/^()<>,\[\]]))"
)
_WORDS = {"AND": "&&", "OR": "||"}
# Weakest first; "^" binds from the right.
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"==", "!="}),
    frozenset({"<", "<=", ">", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/"}),
)
# Brackets deeper than this are no expression that a person wrote.
_MAX_DEPTH = 40


class MathSyntaxError(Exception):
    """The text is no expression; the message says where it stops being one."""


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Name:
    """Another query's id, or a word such as REPEAT or ASC."""

    name: str


@dataclass(frozen=True)
class Negative:
    operand: Node


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Array:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple[Node, ...]


Node = Number | Text | Name | Negative | Binary | Array | Call


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        MathSyntaxError: it is none.
    """
    parser = _Parser(_tokens(text))
    node = parser.binary(0)
    parser.end()
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise MathSyntaxError(f"unexpected character at position {position}")
        kind = str(match.lastgroup)
        word = _WORDS.get(match[kind]) if kind == "name" else None
        found.append((kind, match[kind]) if word is None else ("op", word))
        position = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    def peek(self) -> str | None:
        """The operator that comes next; None for anything else."""
        if self.position >= len(self.tokens):
            return None
        kind, text = self.tokens[self.position]
        return text if kind == "op" else None

    def take(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise MathSyntaxError("it ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, wanted: str) -> None:
        _, text = self.take()
        if text != wanted:
            raise MathSyntaxError(f"'{text}' where '{wanted}' is needed")

    def end(self) -> None:
        if self.position < len(self.tokens):
            raise MathSyntaxError(f"unexpected '{self.tokens[self.position][1]}'")

    def binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while (symbol := self.peek()) in _LEVELS[level]:
            self.take()
            left = Binary(str(symbol), left, self.binary(level + 1))
        return left

    def unary(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise MathSyntaxError("it is nested too deeply")
        try:
            if self.peek() == "-":
                self.take()
                return Negative(self.unary())
            base = self.primary()
            if self.peek() == "^":
                self.take()
                return Binary("^", base, self.unary())
            return base
        finally:
            self.depth -= 1

    def primary(self) -> Node:
        kind, text = self.take()
        match kind:
            case "number":
                return Number(float(text))
            case "text":
                return Text(text[1:-1])
            case "name":
                return Call(text, self.items(")")) if self.peek() == "(" else Name(text)
            case _:
                return self.bracket(text)

    def bracket(self, text: str) -> Node:
        if text == "(":
            node = self.binary(0)
            self.expect(")")
            return node
        if text == "[":
            self.position -= 1
            return Array(self.items("]"))
        raise MathSyntaxError(f"unexpected '{text}'")

    def items(self, closing: str) -> tuple[Node, ...]:
        """What stands between the opening bracket that comes next and ``closing``."""
        self.take()
        if self.peek() == closing:
            self.take()
            return ()
        found = [self.binary(0)]
        while self.peek() == ",":
            self.take()
            found.append(self.binary(0))
        self.expect(closing)
        return tuple(found)
