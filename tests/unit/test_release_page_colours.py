"""The page's colours can be told apart by people who see fewer of them."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import pytest

Colour = tuple[float, float, float]

# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
SIGHT = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def schemes() -> dict[str, dict[str, str]]:
    page = resources.files("release.page").joinpath("page.html").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    found = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", block)) for block in blocks]
    light, dark, paper = found
    return {"light": light, "dark": {**light, **dark}, "print": {**light, **paper}}


def linear(text: str) -> Colour:
    digits = text[1:] if len(text) == 7 else "".join(c * 2 for c in text[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return r, g, b


def seen(colour: Colour, sight: str) -> Colour:
    r, g, b = (
        min(1.0, max(0.0, sum(m * c for m, c in zip(row, colour, strict=True))))
        for row in SIGHT[sight]
    )
    return r, g, b


def lab(colour: Colour) -> Colour:
    r, g, b = colour
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(a: str, b: str, sight: str) -> float:
    """CIE76; 2.3 is a just noticeable difference, 20 is told apart at a glance."""
    left, right = lab(seen(linear(a), sight)), lab(seen(linear(b), sight))
    return sum((p - q) ** 2 for p, q in zip(left, right, strict=True)) ** 0.5


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_lines_that_share_a_chart_are_told_apart(scheme: str, sight: str) -> None:
    """They also differ by their dashes, and each verdict has a sign and a word."""
    colours = schemes()[scheme]

    for one, other in (("live", "candidate"), ("candidate", "good")):
        assert distance(colours[one], colours[other], sight) > 20, (one, other)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_colour_is_set_for_every_scheme(scheme: str) -> None:
    names = {"page", "card", "ink", "soft", "rule", "grid", "live", "candidate", "good", "bad"}

    assert names <= schemes()[scheme].keys()
    for one, other in itertools.combinations(("ink", "soft"), 2):
        assert schemes()[scheme][one] != schemes()[scheme][other]
