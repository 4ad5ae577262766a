"""How releases look in a terminal: events as lines, plans, status and evidence as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from scripts.console import stdout

if TYPE_CHECKING:
    from release.driver.progress import Event
    from release.evidence.document import ReleaseResult

SIGNS = {
    "promoted": "[green]✓[/green]",
    "compared": "[green]✓[/green]",
    "rolled_back": "[red]✗[/red]",
    "inconclusive": "?",
    "held": "?",
}
MINUTES_SHOWN = 60
# A table of releases needs that many; on a narrower terminal each has two lines.
HISTORY_COLUMNS = 96
WORDS = {"rolled_back": "rolled back"}
# Told by their results; shown one by one they would only repeat.
SILENT = frozenset({"progress", "minute", "action", "ended", "planned", "held"})


def line(event: Event, started_at: float) -> str | None:
    """One line of a release's story, None for what is not worth one."""
    if event.kind in SILENT:
        return None
    since = clock(event.at, started_at)
    if event.kind == "retreat":
        # Why is told by the step before it, and by the result.
        return f"{since}  going back"
    if event.kind != "step":
        return f"{since}  {event.text}"
    data = event.data
    counts = f"{_counts('live', data['live'])} │ {_counts('candidate', data['candidate'])}"
    if not data["live"]["requests"] and not data["candidate"]["requests"]:
        # An alarm or a hook may be faster than the first minute that counts.
        counts = "no whole minute counted yet"
    verdict = data["verdict"].upper() if data["verdict"] == "fail" else data["verdict"]
    return f"{since}  {data['weight']:3g} %  {counts} │ {verdict} {event.text}"


def clock(at: float, started_at: float) -> str:
    """Minutes and seconds, from an hour on with hours: 02:05, 1:02:05."""
    since = max(0, round(at - started_at))
    hours = f"{since // 3600}:" if since >= 3600 else ""
    return f"{hours}{since % 3600 // 60:02d}:{since % 60:02d}"


def _counts(name: str, counts: dict[str, Any]) -> str:
    p95 = counts["p95_us"]
    latency = f"  p95 {p95 / 1000:.3g} ms" if p95 is not None else ""
    return f"{name} {counts['requests']:,} req {counts['errors']:,} err{latency}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"
    return f"{seconds / 86400:.1f}".removesuffix(".0") + " days"


def moment(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")


def show_result(result: ReleaseResult, option: str = "") -> None:
    """``option`` is what commands have to end with to mean the release's stack."""
    word = WORDS.get(result.outcome, result.outcome)
    versions = f"{result.from_version or 'unknown'} → {result.to_version}"
    done = result.purpose == "rollback" and result.outcome == "rolled_back"
    sign = SIGNS["promoted" if done else result.outcome]
    stdout.print(f"{sign} {result.model} {versions}: {word} in {duration(result.seconds)}")
    if result.reason:
        stdout.print(f"  {result.reason}", markup=False, soft_wrap=True)
    if result.candidate_requests:
        errors = f"{result.candidate_errors:,} failed"
        stdout.print(f"  the new version got {result.candidate_requests:,} requests, {errors}")
    if result.mirrored_requests:
        failed = f"{result.mirrored_errors:,} failed; nobody got those answers"
        stdout.print(f"  its shadow got copies of {result.mirrored_requests:,} more, {failed}")
    seconds = result.seconds_from_first_error_to_zero_weight
    if seconds is not None and result.outcome != "promoted":
        stdout.print(f"  {duration(seconds)} from its first error to weight 0")
    if result.steps and result.steps[-1].verdict == result.outcome == "inconclusive":
        stdout.print(f"  `slipway plan{option}` tells what would help", markup=False)
    if result.outcome == "held":
        stdout.print(
            f"  a person decides: `slipway promote-now{option}` or `slipway abort{option}`",
            markup=False,
        )
        return
    stdout.print(f"  evidence: slipway show {result.id}{option}", markup=False)


def show_history(rows: list[dict[str, Any]], limit: int, total: int) -> None:
    """At most ``limit`` of ``total`` releases; where there are more, how to see them."""
    if not rows:
        stdout.print("no releases yet")
        return
    if stdout.width < HISTORY_COLUMNS:
        for row in rows:
            stdout.print(f"{row['id']}", markup=False, soft_wrap=True)
            versions = f"{row['from_version'] or '–'} → {row['to_version']}"
            stdout.print(
                f"  {moment(row['started_at'])} UTC, {versions}: {_outcome(row)}, "
                f"{duration(row['seconds'])}",
                markup=False,
                soft_wrap=True,
            )
    else:
        stdout.print(_history_table(rows))
    if total > limit:
        text = f"the newest {limit} of {total} releases; `--limit {total}` lists them all"
        stdout.print(text, markup=False, soft_wrap=True)
    pages = [row["page"] for row in rows if row.get("page")]
    if pages:
        stdout.print(
            f"`slipway show ID --open` shows a release's page; the newest: {pages[0]}",
            markup=False,
            soft_wrap=True,
        )


def _outcome(row: dict[str, Any]) -> str:
    return str(WORDS.get(row["outcome"], row["outcome"]))


def _history_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("release", "when (UTC)", "from", "to", "outcome", "took"):
        # `slipway show` takes the whole id, so it is never shortened.
        table.add_column(name, no_wrap=name == "release", overflow="fold")
    for row in rows:
        table.add_row(
            row["id"],
            moment(row["started_at"]),
            row["from_version"] or "–",
            row["to_version"],
            _outcome(row),
            duration(row["seconds"]),
        )
    return table


def show_evidence(told: dict[str, Any]) -> None:
    word = WORDS.get(told["outcome"], told["outcome"])
    stdout.print(f"[bold]{told['id']}[/bold] {told['from_version']} → {told['to_version']}: {word}")
    if told["reason"]:
        stdout.print(f"  {told['reason']}", markup=False, soft_wrap=True)
    stdout.print(
        f"  {moment(told['started_at'])} UTC, {duration(told['seconds'])}{_promised(told)}"
    )
    stdout.print(f"  started by {told['started_by']}", markup=False)
    if told["config_before"] == told["config_after"]:
        stdout.print(f"  configuration {told['config_after']}, as before", markup=False)
    else:
        changed = f"{told['config_before']} → {told['config_after']}"
        stdout.print(f"  configuration {changed}", markup=False)
    for verdict in told["verdicts"]:
        text = f"  {verdict['weight']:g} %: {verdict['verdict']} after "
        text += f"{duration(verdict['seconds'])}: {verdict['text']}"
        stdout.print(text, markup=False, soft_wrap=True)
    if told["timeline"]:
        _show_minutes(told["timeline"])


def _promised(told: dict[str, Any]) -> str:
    """What the plan foretold when the release began, where it did."""
    plan = told.get("predicted") or {}
    if not plan.get("seconds"):
        return ""
    least, expected, most = plan["seconds"]
    between = f"{duration(least)} to {duration(most)}"
    if expected is None:
        return f" (planned: {between})"
    return f" (planned: {duration(expected)}, {between})"


def _show_minutes(timeline: list[dict[str, Any]]) -> None:
    """The newest minutes; a release of days has thousands, which the page draws."""
    shown = timeline[-MINUTES_SHOWN:]
    if len(shown) < len(timeline):
        text = (
            f"the last {len(shown)} of {len(timeline):,} minutes; --json has all, --open draws them"
        )
        stdout.print(f"  {text}", markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "minute (UTC)",
        "candidate",
        "live req",
        "err",
        "p95 ms",
        "cand req",
        "err",
        "p95 ms",
    ):
        table.add_column(name, justify="left" if name.startswith("minute") else "right")
    for row in shown:
        copied = None if row["candidate"] else row.get("shadow")
        cells = [*_minute_cells(row["live"]), *_minute_cells(copied or row["candidate"])]
        share = "copies" if copied else f"{row['weight']:g} %"
        table.add_row(moment(row["start"]), share, *cells)
    stdout.print(table)


def _minute_cells(counts: dict[str, Any] | None) -> tuple[str, str, str]:
    if counts is None:
        return "–", "–", "–"
    p95 = counts["p95_us"]
    return (
        f"{counts['requests']:,}",
        f"{counts['errors']:,}",
        "–" if p95 is None else f"{p95 / 1000:.3g}",
    )
