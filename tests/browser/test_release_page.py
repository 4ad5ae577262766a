"""The page of a release in a real browser: phone, dark, print, keys, screen reader, no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from release.page.render import render
from tests.browser.conftest import Browser
from tests.unit.evidence_samples import SAMPLES
from tests.unit.test_release_page import harmed

TAB, ENTER = "\ue004", "\ue007"

# The smallest contrast between a text and what is behind it, with the text (WCAG 2.2, 1.4.3).
CONTRAST = """
const linear = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 };
const parts = s => s.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const behind = e => {
  for (; e; e = e.parentElement) {
    const p = parts(getComputedStyle(e).backgroundColor);
    if (p.length < 4 || p[3] > 0) return p;
  }
  return [255, 255, 255];
};
let worst = [99, ''];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || ['title', 'desc', 'style'].includes(e.tagName)) continue;
  const style = getComputedStyle(e);
  const colour = e.closest('svg') ? style.fill : style.color;
  const [a, b] = [light(parts(colour)), light(behind(e.closest('svg') || e))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < worst[0]) worst = [ratio, e.textContent.slice(0, 60)];
}
return worst;
"""
# Elements that stick out of a page, but for what scrolls by itself.
STICKING_OUT = """
return [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll > *') && !e.closest('.skip') && !e.closest('thead'))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + ' ' + e.textContent.slice(0, 40));
"""
every_sample = pytest.mark.parametrize("name", SAMPLES)


def written(folder: Path, told: dict[str, Any]) -> Path:
    file = folder / "page.html"
    file.write_text(render(told), encoding="utf-8")
    return file


@every_sample
def test_a_page_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    browser.show(written(tmp_path, SAMPLES[name]()))

    assert browser.run("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert browser.console() == []
    assert browser.run("return document.documentElement.lang") == "en"


@every_sample
@pytest.mark.parametrize("width", [360, 390, 1000])
def test_nothing_sticks_out_of_a_phone_or_a_window(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    browser.show(written(tmp_path, SAMPLES[name]()), width)

    assert browser.run(STICKING_OUT) == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_words_without_end_stick_out_neither(browser: Browser, tmp_path: Path) -> None:
    told = harmed(SAMPLES["rolled_back"]())
    told["reason"] = told["started_by"] = "w" * 400

    browser.show(written(tmp_path, told), 360)

    assert browser.run("return document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("width", "shown"), [(360, "narrow"), (1000, "wide")])
def test_a_drawing_has_readable_text_at_its_width(
    browser: Browser, tmp_path: Path, width: int, shown: str
) -> None:
    browser.show(written(tmp_path, SAMPLES["promoted"]()), width)

    seen = browser.run(
        "return [...document.querySelectorAll('figure svg[role=img]')]"
        ".filter(e => e.getBoundingClientRect().width > 0)"
        ".map(e => [e.getAttribute('class'),"
        " e.querySelector('text').getBoundingClientRect().height])"
    )

    assert {kind for kind, _ in seen} == {shown}
    assert len(seen) == 5
    assert min(height for _, height in seen) >= 11


@every_sample
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, tmp_path: Path, name: str, scheme: str
) -> None:
    browser.show(written(tmp_path, SAMPLES[name]()), scheme=scheme)

    ratio, text = browser.run(CONTRAST)

    assert ratio >= 4.5, text


def test_it_is_dark_where_the_reader_wants_it_dark(browser: Browser, tmp_path: Path) -> None:
    page = written(tmp_path, SAMPLES["promoted"]())
    colours: dict[str, str] = {}
    for scheme in ("light", "dark"):
        browser.show(page, scheme=scheme)
        colours[scheme] = browser.run("return getComputedStyle(document.body).backgroundColor")

    assert colours == {"light": "rgb(246, 247, 249)", "dark": "rgb(16, 19, 23)"}


def test_on_paper_it_is_light_and_whole(browser: Browser, tmp_path: Path) -> None:
    browser.show(written(tmp_path, SAMPLES["promoted"]()), scheme="dark")
    browser.media("print", "dark")

    assert browser.run("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_keys_lead_past_the_heading_and_open_the_tables(browser: Browser, tmp_path: Path) -> None:
    browser.show(written(tmp_path, SAMPLES["promoted"]()))
    focused = "return document.activeElement.textContent.trim()"

    browser.press(TAB)
    assert browser.run(focused) == "To the verdict"
    browser.press(ENTER)
    assert browser.run("return document.activeElement.id") == "main"

    browser.press(TAB)
    assert browser.run(focused) == "Traffic split over time as a table"
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(ENTER)
    assert browser.run("return document.activeElement.parentElement.open") is True
    browser.press(TAB)
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == (
        "Traffic split over time as a table"
    )


def test_a_screen_reader_finds_landmarks_names_and_headings(
    browser: Browser, tmp_path: Path
) -> None:
    browser.show(written(tmp_path, SAMPLES["promoted"]()))

    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    told = [
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in nodes
        if not n.get("ignored")
    ]

    roles = [role for role, _ in told]
    for landmark in ("banner", "main", "contentinfo"):
        assert roles.count(landmark) == 1
    names = [name for role, name in told if role in ("image", "img")]
    assert [n.splitlines()[0] for n in names if n.startswith("Share of errors")]
    assert all(names)
    headings = [name for role, name in told if role == "heading"]
    assert headings[:4] == [
        "wine 1 → 2",
        "At a glance",
        "Steps and their verdicts",
        "Over time",
    ]
    assert "region" in roles
    assert ("group", "Verdict") in told


def test_a_hostile_text_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    browser.show(written(tmp_path, harmed(SAMPLES["promoted"]())))

    assert browser.run("return document.scripts.length + document.images.length") == 0
    assert browser.console() == []
