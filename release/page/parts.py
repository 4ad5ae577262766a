"""The parts of a release's page that are words and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from release.page.text import duration, interval

LOOKS = {"pass": "good", "fail": "bad"}
SIGNS = {"pass": "✓", "fail": "✗"}
# Told by other parts of the page.
UNTOLD = frozenset({"hook", "progress", "minute"})
MAX_STORY = 200


def facts(told: dict[str, Any]) -> str:
    """Who, how long against what was predicted, and what it cost in requests."""
    requests = int(told.get("candidate_requests") or 0)
    errors = int(told.get("candidate_errors") or 0)
    copies, bad_copies = (int(told.get(f"mirrored_{n}") or 0) for n in ("requests", "errors"))
    zero = told.get("seconds_from_first_error_to_zero_weight")
    items: list[tuple[str, str, str]] = [
        ("Took", duration(float(told["seconds"])), _predicted(told)),
        ("Requests to the new version", f"{requests:,}", ""),
        ("Of these failed", f"{errors:,}", _percent(errors, requests)),
    ]
    if copies:
        items += [
            ("Requests copied to its shadow", f"{copies:,}", "nobody got its answers"),
            ("Of the copies failed", f"{bad_copies:,}", _percent(bad_copies, copies)),
        ]
    if zero is not None and errors:
        items.append(("From its first error to weight 0", duration(float(zero)), ""))
    items.append(("Started by", str(told.get("started_by") or "unknown"), _drivers(told)))
    rows = "".join(
        f'<div{_wide(value)}><dt>{escape(name)}</dt><dd class="{_code(value)}">{escape(value)}'
        f"{f' <small>{escape(more)}</small>' if more else ''}</dd></div>"
        for name, value, more in items
    )
    return f"<dl>{rows}</dl>"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2g} %" if whole else ""


def _wide(value: str) -> str:
    return ' class="wide-item"' if len(value) > 24 else ""


def _code(value: str) -> str:
    return "code" if value.startswith("arn:") else ""


def _predicted(told: dict[str, Any]) -> str:
    plan = told.get("predicted")
    if not plan or not plan.get("seconds"):
        return "nothing was predicted"
    least, expected, most = plan["seconds"]
    bounds = f"at least {duration(least)}, at most {duration(most)}"
    if expected is None:
        return f"predicted: {bounds}"
    return f"predicted: {duration(expected)}; {bounds}"


def _drivers(told: dict[str, Any]) -> str:
    taken = max(0, len(told.get("drivers") or []) - 1)
    if not taken:
        return ""
    return "continued once" if taken == 1 else f"continued {taken} times"


# --- steps


def steps(told: dict[str, Any]) -> str:
    rows: list[dict[str, Any]] = told.get("steps_in_detail") or []
    if not rows:
        return ""
    # A shadow is the first step, and its weight is the share of requests that it got copies of.
    copied = [told.get("strategy") == "shadow" and not row.get("step") for row in rows]
    columns = ("Weight", "Verdict", "Took", "Errors live", "Errors candidate", "Why")
    heads = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{name}"{_tight(name)}>{cell}</td>'
            for name, cell in zip(columns, _step(row, is_copied=is_copied), strict=True)
        )
        + "</tr>"
        for row, is_copied in zip(rows, copied, strict=True)
    )
    return (
        '<table class="stacked"><caption>Errors as a share of the requests that counted, with 95 % '
        f"intervals (Wilson).</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def _tight(column: str) -> str:
    return "" if column == "Why" else ' class="tight"'


def _step(row: dict[str, Any], *, is_copied: bool) -> tuple[str, ...]:
    verdict = str(row["verdict"])
    look = LOOKS.get(verdict, "unsure")
    sign = SIGNS.get(verdict, "?")
    return (
        f"{float(row['weight']):g} %{' copied' if is_copied else ''}",
        _coloured(look, f'<span aria-hidden="true">{sign}</span> {escape(verdict)}'),
        escape(duration(float(row["seconds"]))),
        _share(row.get("live")),
        _share(row.get("candidate")),
        escape(str(row.get("text") or "")),
    )


def _coloured(look: str, content: str) -> str:
    return f'<span class="{look}-text">{content}</span>'


def _share(counts: dict[str, Any] | None) -> str:
    if not counts or not counts.get("requests"):
        return "–"
    told = counts["error_share"]
    shown = f"{100 * float(told['share']):.2g} %"
    more = f"{int(counts['errors']):,} of {int(counts['requests']):,}"
    return (
        f'{escape(shown)}<br class="wide-only"> '
        f"<small>{escape(interval(told['low'], told['high']))}<br>{escape(more)}</small>"
    )


# --- hooks


def hooks(told: dict[str, Any]) -> str:
    rows: list[dict[str, Any]] = told.get("hooks") or []
    if not rows:
        return ""
    body = "".join(
        f"<tr><td>{_clock(told, row['at'])}</td><td>{escape(str(row.get('name', '')))}</td>"
        f'<td><span class="{LOOKS.get(str(row.get("answer")), "unsure")}-text">'
        f"{escape(str(row.get('answer', '')).replace('_', ' '))}</span></td>"
        f"<td>{escape(str(row.get('text') or ''))}</td></tr>"
        for row in rows
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("When", "Hook", "Answer", "Text"))
    return _scroll(
        "Answers of hooks",
        f"<table><caption>Each time that an answer changed.</caption><thead><tr>{heads}</tr>"
        f"</thead><tbody>{body}</tbody></table>",
    )


# --- the story


def story(told: dict[str, Any]) -> str:
    entries = [e for e in told.get("log") or [] if e.get("kind") not in UNTOLD]
    left = len(entries) - MAX_STORY
    if left > 0:
        half = MAX_STORY // 2
        gap = {"at": entries[half]["at"], "text": f"… {left} more entries are in the data …"}
        entries = [*entries[:half], gap, *entries[-half:]]
    items = "".join(
        f'<li><span class="soft">{_clock(told, entry["at"])}</span><span>{escape(_line(entry))}'
        "</span></li>"
        for entry in entries
    )
    return f'<ol class="story">{items}</ol>' if items else ""


def _line(entry: dict[str, Any]) -> str:
    text = str(entry.get("text") or "")
    data = entry.get("data") or {}
    match entry.get("kind"):
        case "started":
            return f"started: {text}, by {data.get('by', 'unknown')}"
        case "step" if isinstance(data.get("weight"), int | float):
            return f"{data['weight']:g} %: {data.get('verdict', '')}, {text}"
        case "planned":
            return f"planned: {text}"
        case "retreat":
            return f"going back: {text}"
        case "ended":
            return f"ended: {text.replace('_', ' ')}"
        case "revised":
            return f"metrics revised: {text}"
        case _:
            return text or str(entry.get("kind", ""))


def _clock(told: dict[str, Any], at: Any) -> str:
    """When (UTC), and how long after the beginning."""
    moment = datetime.fromtimestamp(float(at), UTC)
    since = float(at) - float(told["started_at"])
    is_long = float(told.get("seconds") or 0.0) >= 86400
    shown = f"{moment:%d %b %H:%M}" if is_long else f"{moment:%H:%M:%S}"
    title = f"{moment:%Y-%m-%d %H:%M:%S} UTC, {duration(max(0.0, since))} after the start"
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}" title="{title}">{shown}</time>'


# --- configuration


def configuration(told: dict[str, Any]) -> str:
    """What differs between the endpoint configurations, then what is the same."""
    both = told.get("configuration") or {}
    before, after = _flat(both.get("before")), _flat(both.get("after"))
    if not after:
        before_name, after_name = told.get("config_before"), told.get("config_after")
        return (
            f'<p>From <span class="code">{escape(str(before_name))}</span> to '
            f'<span class="code">{escape(str(after_name))}</span>.</p>'
        )
    keys = sorted(before.keys() | after.keys())
    changed = [key for key in keys if before.get(key) != after.get(key)]
    same = [key for key in keys if key not in changed]
    if not changed:
        first = "<p>It serves by the same configuration as before.</p>"
    else:
        first = _scroll("What changed", _settings("What changed", changed, before, after))
    rest = _scroll("What is the same", _settings("What is the same", same, before, after))
    return f"{first}<details><summary>What is the same</summary>{rest}</details>"


def _settings(
    caption: str, keys: list[str], before: Mapping[str, str], after: Mapping[str, str]
) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(key)}</th>'
        f'<td class="code" data-label="Before">{escape(before.get(key, "–"))}</td>'
        f'<td class="code" data-label="After">{escape(after.get(key, "–"))}</td></tr>'
        for key in keys
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Setting", "Before", "After"))
    return (
        f'<table class="stacked"><caption>{caption}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _flat(config: dict[str, Any] | None) -> dict[str, str]:
    """``ProductionVariants[live].ModelName`` → value, and tags."""
    if not config:
        return {}
    found = {"Name": str(config.get("name", ""))}
    found |= dict(_paths("", config.get("body") or {}))
    found |= {f"tag {key}": str(value) for key, value in (config.get("tags") or {}).items()}
    return found


def _paths(path: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            name = item.get("VariantName", i) if isinstance(item, dict) else i
            yield from _paths(f"{path}[{name}]", item)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _scroll(label: str, content: str) -> str:
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}'
        "</div>"
    )
