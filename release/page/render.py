"""A release's evidence as one HTML page: the verdict first, then why, then the details.

The page needs no network and runs no script. All that comes from the evidence is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from importlib import resources
from string import Template
from typing import Any

from release.page.charts import figures
from release.page.drawing import SIZES, svg
from release.page.figure import Figure, Table
from release.page.parts import configuration, facts, hooks, steps, story
from release.page.text import duration
from release.state import ROLLBACK

TEMPLATE = "page.html"
# Outcome → what it is called, how it looks, and the sign that says it without colour.
VERDICTS = {
    "promoted": ("Promoted", "good", "✓"),
    "rolled_back": ("Rolled back", "bad", "✗"),
    "inconclusive": ("Inconclusive", "unsure", "?"),
    "compared": ("Compared", "good", "≈"),
}
MEANINGS = {
    "promoted": "The new version serves all traffic.",
    "rolled_back": "The version from before serves all traffic again.",
    "inconclusive": (
        "Neither answer was shown; what served before serves, unless the reason says otherwise."
    ),
    "compared": "The versions were compared on copied traffic; nothing was moved.",
}


def render(told: dict[str, Any]) -> str:
    """The page of the evidence ``told`` (the JSON document, parsed)."""
    versions = f"{told.get('from_version') or 'unknown'} → {told['to_version']}"
    word, _, _ = _verdict(told)
    began = datetime.fromtimestamp(float(told["started_at"]), UTC)
    template = Template(resources.files("release.page").joinpath(TEMPLATE).read_text("utf-8"))
    return template.substitute(
        title=escape(f"{told['model']} {versions}: {word.lower()}"),
        heading=escape(f"{told['model']} {versions}"),
        subheading=escape(
            f"{_kind(told)} on endpoint {told['endpoint']}, {began:%d %B %Y, %H:%M} UTC"
        ),
        body="\n".join(_body(told)),
        footer=escape(
            f"Release {told['id']}. The same as data: releases/{told['id']}.json in the history "
            "bucket. Times are UTC."
        ),
    )


def page_of(text: str) -> str | None:
    """The page of an evidence's JSON text; None where it is of a form that cannot be drawn."""
    try:
        return render(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _kind(told: dict[str, Any]) -> str:
    if told.get("purpose") == ROLLBACK:
        return "Rollback"
    strategy = str(told.get("strategy", "")).replace("_", "/")
    return f"Release by {strategy}"


def _verdict(told: dict[str, Any]) -> tuple[str, str, str]:
    """Name, look and sign; a rollback that a person asked for went well."""
    outcome = str(told["outcome"])
    name, look, sign = VERDICTS.get(outcome, (outcome.replace("_", " "), "unsure", "?"))
    if told.get("purpose") == ROLLBACK and outcome == "rolled_back":
        return name, "good", "✓"
    return name, look, sign


def _body(told: dict[str, Any]) -> Iterable[str]:
    word, look, sign = _verdict(told)
    meaning = MEANINGS.get(str(told["outcome"]), "")
    reason = str(told.get("reason") or "")
    why = f"<p><strong>Why:</strong> {escape(reason)}</p>" if reason else ""
    took = f"after {duration(float(told['seconds']))}"
    yield (
        f'<div class="verdict {look}" role="group" aria-label="Verdict">'
        f'<p class="word"><span aria-hidden="true">{sign}</span> {escape(word)} {took}</p>'
        f"<p>{escape(meaning)}</p>{why}</div>"
    )
    yield _section("facts", "At a glance", facts(told))
    yield _section("steps", "Steps and their verdicts", steps(told))
    drawn = "".join(_figure(figure) for figure in figures(told))
    yield _section("charts", "Over time", drawn)
    yield _section("hooks", "Answers of hooks", hooks(told))
    yield _section("story", "What happened", story(told))
    yield _section("configuration", "Configuration before and after", configuration(told))


def _section(slug: str, title: str, content: str) -> str:
    if not content:
        return ""
    return (
        f'<section aria-labelledby="{slug}-h"><h2 id="{slug}-h">{escape(title)}</h2>'
        f"{content}</section>"
    )


def _figure(figure: Figure) -> str:
    chart = figure.chart
    keys = "".join(
        f'<li><svg viewBox="0 0 30 10" aria-hidden="true">'
        f'<path class="{style} line" d="M0 5H30"/></svg>{escape(name)}</li>'
        for style, name in figure.legend
    )
    drawings = "".join(svg(chart, size) for size in SIZES)
    return (
        f'<figure aria-labelledby="{chart.slug}-c"><h3 id="{chart.slug}-c">{escape(chart.title)}'
        f"</h3><figcaption>{escape(figure.caption)}</figcaption>"
        f'<ul class="legend">{keys}</ul>{drawings}{_details(figure)}</figure>'
    )


def _details(figure: Figure) -> str:
    title = f"{figure.chart.title} as a table"
    return (
        f"<details><summary>{escape(title)}</summary>"
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(title)}">'
        f"{_table(figure.table, title)}</div></details>"
    )


def _table(table: Table, caption: str) -> str:
    heads = "".join(f'<th scope="col" class="n">{escape(c)}</th>' for c in table.columns)
    rows = "".join(
        "<tr>" + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in table.rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
