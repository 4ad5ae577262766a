"""Physical names that the program did not give, made as the bridge makes them."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from enum import Enum

from localcloud.provider.schema import AutoName
from localcloud.provider.values import Properties

RANDOM_DIGITS = 7
UNIQUE_ID_LENGTH = 26


class NamingError(Exception):
    """No name can be made within the rules."""


class Mode(Enum):
    """What the engine's autonaming configuration asks for."""

    DEFAULT = "default"
    PROPOSE = "propose"
    ENFORCE = "enforce"
    DISABLE = "disable"


@dataclass(frozen=True)
class NameRequest:
    """``logical`` is the name in the program; ``seed`` makes the random part repeatable."""

    logical: str
    seed: bytes = b""
    mode: Mode = Mode.DEFAULT
    proposed: str = ""


def auto_name(rule: AutoName, request: NameRequest, inputs: Properties) -> str | None:
    """A fresh name, or None where autonaming is switched off.

    Raises:
        NamingError: the name would be longer than the type allows.
    """
    if request.mode is Mode.DISABLE:
        return None
    if request.mode is Mode.ENFORCE:
        return request.proposed
    if request.mode is Mode.PROPOSE:
        name = _shaped(rule, request.proposed, inputs)
        if len(name) > rule.max:
            raise NamingError(f"proposed name '{name}' exceeds maximum length of {rule.max}")
        return name
    if not rule.suffix:
        return request.logical
    ending = ".fifo" if rule.fifo and inputs.get(rule.fifo) is True else ""
    start = _started(rule, request.logical) + "-"
    if len(start) + RANDOM_DIGITS + len(ending) > rule.max:
        raise NamingError(
            f"name '{start}' plus {RANDOM_DIGITS} random chars is longer than maximum length "
            f"{rule.max}; give the resource a shorter name, or set {rule.property}"
        )
    return start + _digits(request.seed, start) + ending


def unique_id() -> str:
    """Terraform's own suffix: 26 hexadecimal digits that sort by time."""
    digits = time.strftime("%Y%m%d%H%M%S", time.gmtime()) + secrets.token_hex(UNIQUE_ID_LENGTH)
    return digits[:UNIQUE_ID_LENGTH]


def physical_name(inputs: Properties) -> str:
    """The name at creation: as given, or made of the prefix."""
    name = inputs.get("name")
    if name:
        return str(name)
    return str(inputs.get("namePrefix") or "terraform-") + unique_id()


def name_prefix(name: str) -> str | None:
    """What Terraform reads back as the prefix of a name that ends in one of its suffixes."""
    start, suffix = name[:-UNIQUE_ID_LENGTH], name[-UNIQUE_ID_LENGTH:]
    if start and all(c in "0123456789abcdef" for c in suffix):
        return start
    return None


def _shaped(rule: AutoName, name: str, inputs: Properties) -> str:
    ending = ".fifo" if rule.fifo and inputs.get(rule.fifo) is True else ""
    return _started(rule, name) + ending


def _started(rule: AutoName, name: str) -> str:
    text = name.lower() if rule.lower else name
    return text if text.startswith(rule.prefix) else rule.prefix + text


def _digits(seed: bytes, start: str) -> str:
    if not seed:
        return secrets.token_hex(RANDOM_DIGITS)[:RANDOM_DIGITS]
    return hashlib.sha512(seed + start.encode()).hexdigest()[:RANDOM_DIGITS]
