"""What models answered, from data capture in S3: histograms a minute, and pairs of a shadow."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.release_manifest import LIVE_VARIANT
from release.aws.cloud import RefusedError, call
from release.capture.histograms import Bins, choose, counted
from release.capture.records import LineError, Record, agree, record
from release.observation import Pairs, Series

MINUTE = 60.0
# A file is named by its first record or by when it was written, and comes minutes late (facts 8).
EARLY_SECONDS, LATE_SECONDS = 120.0, 900.0
MAX_BYTES_PER_MINUTE = 4 * 1024 * 1024
MAX_BYTES_PER_CALL = 256 * 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
RELATIVE, ABSOLUTE = 1e-4, 1e-6


@dataclass(frozen=True)
class CaptureQuery:
    """Which minutes (starting in ``since`` … ``until``) of which variants.

    ``destination`` is the endpoint's DestinationS3Uri. ``pair`` names two variants whose answers
    are to be compared. ``bins`` None: chosen from live's answers in these minutes.
    """

    destination: str
    endpoint: str
    variants: tuple[str, ...]
    since: float
    until: float
    bins: Bins | None = None
    pair: tuple[str, str] | None = None
    relative: float = RELATIVE
    absolute: float = ABSOLUTE


@dataclass(frozen=True)
class Captures:
    """By variant and minute the counts of ``bins``; by minute the pairs.

    ``notes`` say what a reader of the numbers should know: sampled, malformed, unmatched.
    ``bins`` must be given again for the next minutes, so that they stay the same.
    """

    predictions: dict[str, dict[float, tuple[int, ...]]] = field(
        default_factory=dict[str, dict[float, tuple[int, ...]]]
    )
    pairs: dict[float, Pairs] = field(default_factory=dict[float, Pairs])
    bins: Bins | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Tally:
    malformed: int = 0
    unreadable: int = 0
    repeated: int = 0


Answers = dict[str, dict[str, Record]]


class CaptureReader:
    """Reads captures from S3, in bounded memory: of busy minutes a sample, the same every time."""

    def __init__(
        self,
        s3: Any,
        max_bytes_per_minute: int = MAX_BYTES_PER_MINUTE,
        max_bytes_per_call: int = MAX_BYTES_PER_CALL,
    ) -> None:
        self._s3 = s3
        self._per_minute = max_bytes_per_minute
        self._per_call = max_bytes_per_call

    def __call__(self, query: CaptureQuery) -> Captures:
        """What is there now; minutes that come later are there at a later call.

        Raises:
            UnavailableError: S3 did not answer.
        """
        try:
            return self._read(query)
        except RefusedError as error:
            return Captures(bins=query.bins, notes=(f"captures cannot be read: {error}",))

    def _read(self, query: CaptureQuery) -> Captures:
        bucket, prefix = _place(query)
        files = {v: self._files(bucket, f"{prefix}/{v}", query) for v in query.variants}
        minutes = max(1.0, (query.until - query.since) / MINUTE + 1)
        total = sum(size for found in files.values() for _, size in found)
        share = min(1.0, self._per_minute * minutes * len(query.variants) / max(1, total))
        notes: list[str] = []
        if share < 1:
            notes.append(f"{share:.1%} of the captured answers were looked at, chosen by their id")
        tally = _Tally()
        answers: Answers = {}
        left, left_out = self._per_call, 0
        for variant, found in files.items():
            kept: dict[str, Record] = {}
            budget = left // (len(files) - len(answers))
            for key, size in found:
                if size > budget:
                    left_out += 1
                    continue
                budget, left = budget - size, left - size
                self._take(bucket, key, query, share, kept, tally)
            answers[variant] = kept
        if left_out:
            notes.append(f"{left_out} capture files were left out: more than is read at once")
        return summarize(query, answers, [*notes, *_complaints(tally)])

    def _files(self, bucket: str, prefix: str, query: CaptureQuery) -> list[tuple[str, int]]:
        """Keys and sizes, in their order, of files that may hold records of these minutes."""
        found: list[tuple[str, int]] = []
        for hour in hours(query.since - EARLY_SECONDS, query.until + MINUTE + LATE_SECONDS):
            paginator = self._s3.get_paginator("list_objects_v2")
            under = f"{prefix}/{hour:%Y/%m/%d/%H}/"
            pages = call(paginator.paginate(Bucket=bucket, Prefix=under).build_full_result)
            for item in pages.get("Contents", []):
                key = str(item["Key"])
                if _may_hold(key.removeprefix(under), hour, query):
                    found.append((key, int(item.get("Size", 0))))
        return sorted(found)

    def _take(
        self,
        bucket: str,
        key: str,
        query: CaptureQuery,
        share: float,
        kept: dict[str, Record],
        tally: _Tally,
    ) -> None:
        try:
            body = call(self._s3.get_object, Bucket=bucket, Key=key)["Body"]
        except RefusedError as error:
            if error.code in ("NoSuchKey", "404"):
                return
            raise
        for line in lines(body, tally):
            try:
                told = record(line)
            except LineError:
                tally.malformed += 1
                continue
            if told is None or not query.since <= told.at < query.until + MINUTE:
                continue
            if share < 1 and not is_chosen(told.id, share):
                continue
            if told.rows is None:
                tally.unreadable += 1
            elif told.id in kept:
                tally.repeated += 1
            else:
                kept[told.id] = told


def lines(body: Any, tally: _Tally) -> Iterator[bytes]:
    """The lines of an object, one after the other; one that is too long is malformed."""
    pending = b""
    is_too_long = False
    for chunk in _chunks(body):
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            if not is_too_long and line.strip():
                yield line
            is_too_long = False
        if len(pending) > MAX_LINE_BYTES:
            tally.malformed += not is_too_long
            is_too_long, pending = True, b""
    if pending.strip() and not is_too_long:
        yield pending


def _chunks(body: Any) -> Iterator[bytes]:
    while chunk := call(body.read, amt=65536):
        yield chunk


# --- pure


def is_chosen(key: str, share: float) -> bool:
    """The same answer for the same id at any time, so that both sides of a pair are chosen."""
    return zlib.crc32(key.encode()) < share * 2**32


def hours(since: float, until: float) -> list[datetime]:
    first = datetime.fromtimestamp(since, UTC).replace(minute=0, second=0, microsecond=0)
    count = int((until - first.timestamp()) // 3600) + 1
    return [first + timedelta(hours=i) for i in range(count)]


def _may_hold(name: str, hour: datetime, query: CaptureQuery) -> bool:
    """By ``MM-SS-…``; a name of another form may hold anything."""
    try:
        minute, second = int(name[0:2]), int(name[3:5])
    except ValueError:
        return name.endswith(".jsonl")
    at = hour.timestamp() + 60 * minute + second
    return query.since - EARLY_SECONDS <= at <= query.until + MINUTE + LATE_SECONDS


def _place(query: CaptureQuery) -> tuple[str, str]:
    bucket, _, prefix = query.destination.removeprefix("s3://").partition("/")
    return bucket, "/".join(part for part in (prefix.strip("/"), query.endpoint) if part)


def _minute(at: float) -> float:
    return at // MINUTE * MINUTE


def summarize(query: CaptureQuery, answers: Answers, notes: Sequence[str] = ()) -> Captures:
    """Histograms and pairs of the answers, by variant and id."""
    bins = query.bins
    if bins is None:
        bins = choose(
            row.head for told in answers.get(LIVE_VARIANT, {}).values() for row in told.rows or ()
        )
    predictions: dict[str, dict[float, tuple[int, ...]]] = {}
    if bins is not None:
        for variant, told in answers.items():
            predictions[variant] = _histograms(bins, told.values())
    pairs, unmatched = _pairs(query, answers)
    every = list(notes)
    if unmatched:
        every.append(f"{unmatched:,} answers have no counterpart in the other variant")
    return Captures(predictions, pairs, bins, tuple(every))


def _histograms(bins: Bins, told: Iterable[Record]) -> dict[float, tuple[int, ...]]:
    found: dict[float, list[Record]] = {}
    for each in told:
        found.setdefault(_minute(each.at), []).append(each)
    return {
        start: counted(bins, (row.head for r in of_minute for row in r.rows or ()))
        for start, of_minute in sorted(found.items())
    }


def _pairs(query: CaptureQuery, answers: Answers) -> tuple[dict[float, Pairs], int]:
    """Pairs by live's minute, and how many answers have no counterpart."""
    if query.pair is None:
        return {}, 0
    live, shadow = (answers.get(variant, {}) for variant in query.pair)
    counts: dict[float, Pairs] = {}
    for key in sorted(live.keys() & shadow.keys()):
        mine, other = live[key], shadow[key]
        is_same = agree(mine.rows or (), other.rows or (), query.relative, query.absolute)
        start = _minute(mine.at)
        before = counts.get(start, Pairs(0, 0))
        counts[start] = (
            replace(before, agree=before.agree + 1)
            if is_same
            else replace(before, differ=before.differ + 1)
        )
    # Of live only a share is mirrored: what the shadow answered is what should have a counterpart.
    return dict(sorted(counts.items())), len(shadow.keys() - live.keys())


def _complaints(tally: _Tally) -> list[str]:
    found: list[str] = []
    if tally.malformed:
        found.append(f"{tally.malformed:,} lines of capture files are malformed")
    if tally.unreadable:
        found.append(f"{tally.unreadable:,} captured answers hold no predictions that can be read")
    if tally.repeated:
        found.append(f"{tally.repeated:,} captured answers repeat an id and were counted once")
    return found


def with_predictions(series: Series, captures: Captures) -> Series:
    """The minutes of ``series`` with what was captured of them."""
    return {
        variant: {
            start: replace(minute, predictions=captures.predictions[variant][start])
            if start in captures.predictions.get(variant, {})
            else minute
            for start, minute in minutes.items()
        }
        for variant, minutes in series.items()
    }
