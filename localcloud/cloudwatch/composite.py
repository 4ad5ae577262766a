"""Rules of composite alarms: ``ALARM(a) AND NOT (OK("b c") OR INSUFFICIENT_DATA(d))``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.service import ServiceError

MAX_CHILDREN = 100
STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
_STATE = re.compile(r"\s*(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"([^\"]*)\"|([^()\"]*?))\s*\)")
_WORD = re.compile(r"\s*(AND|OR|NOT|TRUE|FALSE|\(|\))", re.IGNORECASE)
_MAX_DEPTH = 40


@dataclass(frozen=True)
class IsIn:
    """Whether the alarm of that name is in that state."""

    name: str
    state: str


@dataclass(frozen=True)
class Not:
    operand: Rule


@dataclass(frozen=True)
class Both:
    left: Rule
    right: Rule


@dataclass(frozen=True)
class Either:
    left: Rule
    right: Rule


Rule = bool | IsIn | Not | Both | Either


def parse(text: str) -> Rule:
    """The rule's tree; raises ``ValidationError`` for what is no rule."""
    parser = _Parser(text)
    rule = parser.either()
    parser.end()
    if len(children(rule)) > MAX_CHILDREN:
        raise _refuse(f"it names more than {MAX_CHILDREN} alarms")
    return rule


def holds(rule: Rule, state_of: Callable[[str], str]) -> bool:
    match rule:
        case bool():
            return rule
        case IsIn(name, state):
            return state_of(name) == state
        case Not(operand):
            return not holds(operand, state_of)
        case Both(left, right):
            return holds(left, state_of) and holds(right, state_of)
        case Either(left, right):
            return holds(left, state_of) or holds(right, state_of)


def children(rule: Rule) -> list[str]:
    """The names of the alarms in the rule, each once."""
    match rule:
        case bool():
            return []
        case IsIn(name, _):
            return [name]
        case Not(operand):
            return children(operand)
        case Both(left, right) | Either(left, right):
            return list(dict.fromkeys([*children(left), *children(right)]))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def word(self) -> str | None:
        match = _WORD.match(self.text, self.position)
        return match[1].upper() if match else None

    def skip(self) -> None:
        match = _WORD.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def end(self) -> None:
        if self.text[self.position :].strip():
            raise _refuse(f"unexpected text at position {self.position}")

    def either(self) -> Rule:
        left = self.both()
        while self.word() == "OR":
            self.skip()
            left = Either(left, self.both())
        return left

    def both(self) -> Rule:
        left = self.single()
        while self.word() == "AND":
            self.skip()
            left = Both(left, self.single())
        return left

    def single(self) -> Rule:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _refuse("it is nested too deeply")
        try:
            return self.operand()
        finally:
            self.depth -= 1

    def operand(self) -> Rule:
        if match := _STATE.match(self.text, self.position):
            self.position = match.end()
            name = match[2] if match[2] is not None else match[3]
            if not name:
                raise _refuse(f"{match[1]} needs the name of an alarm")
            return IsIn(_name(name), match[1])
        word = self.word()
        self.skip()
        match word:
            case "TRUE" | "FALSE":
                return word == "TRUE"
            case "NOT":
                return Not(self.single())
            case "(":
                rule = self.either()
                if self.word() != ")":
                    raise _refuse(f"')' is needed at position {self.position}")
                self.skip()
                return rule
            case _:
                raise _refuse(f"an alarm's state is needed at position {self.position}")


def _name(text: str) -> str:
    """An alarm is named by its name or its ARN."""
    return text.partition(":alarm:")[2] if text.startswith("arn:") else text


def _refuse(why: str) -> ServiceError:
    return ServiceError("ValidationError", f"Error in AlarmRule: {why}.")
