"""Whole numbers that an operator sets."""

from __future__ import annotations

from inference.errors import ServerError, shown

# More digits than any number that a setting can mean.
MOST_DIGITS = 18


def whole_number(name: str, text: str, allowed: str, least: int = 0, most: int = 10**18) -> int:
    """The number that ``text``, the value of the setting ``name``, spells in ASCII digits.

    ``allowed`` says in words what it may be.

    Raises:
        ServerError: it spells none, or one below ``least`` or above ``most``.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    if not is_number or not least <= int(text) <= most:
        raise ServerError(f"{name} is {shown(text)}; {allowed} is needed")
    return int(text)
