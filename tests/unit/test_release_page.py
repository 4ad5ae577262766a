"""The page of a release: the verdict first, everything escaped, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest

from release.evidence.buckets import in_buckets
from release.gates.bands import Band, band
from release.page.charts import figures
from release.page.drawing import NARROW, WIDE, linear_ticks, time_text, time_ticks
from release.page.render import page_of, render
from release.page.text import duration, interval, power, tick_power
from tests.unit.evidence_samples import SAMPLES, promoted

VOID = {"meta", "link", "br", "line", "path", "circle"}


class Outline(HTMLParser):
    """Elements, texts and attributes of a page; notes tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all_of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.attributes if name == tag]

    def words(self) -> str:
        shown = [data for tag, data in self.texts if tag not in ("style", "title", "desc")]
        return re.sub(r"\s+", " ", " ".join(shown))


every_sample = pytest.mark.parametrize("name", SAMPLES)


@every_sample
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(name: str) -> None:
    page = render(SAMPLES[name]())

    outline = Outline(page)
    assert outline.open == []
    assert not {"script", "img", "iframe", "object", "form"} & outline.tags.keys()
    assert "http://" not in page.replace('xmlns="http://', "")
    assert "https://" not in page
    assert not re.search(r"\bon[a-z]+=", page)
    assert [a["href"] for a in outline.all_of("link")] == ["data:,"]
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


@every_sample
def test_a_page_has_landmarks_headings_and_names_for_everything_drawn(name: str) -> None:
    outline = Outline(render(SAMPLES[name]()))

    ids = Counter(a["id"] for _, a in outline.attributes if a.get("id"))
    assert [i for i, n in ids.items() if n > 1] == []
    for landmark in ("header", "main", "footer", "h1"):
        assert outline.tags[landmark] == 1
    for attrs in outline.all_of("svg"):
        if attrs.get("aria-hidden") != "true":
            assert attrs["role"] == "img"
            assert all(i in ids for i in str(attrs["aria-labelledby"]).split())
    for attrs in [*outline.all_of("section"), *outline.all_of("figure")]:
        assert attrs["aria-labelledby"] in ids
    assert outline.tags["table"] == outline.tags["caption"]
    for tag, attrs in outline.attributes:
        if tag == "th":
            assert attrs["scope"] in ("col", "row")
        if attrs.get("role") == "region":
            assert attrs["tabindex"] == "0", "what scrolls can be scrolled by keys"
            assert attrs["aria-label"]


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("promoted", "✓ Promoted after 58 min The new version serves all traffic.",
         "all steps passed, nothing fell after the swap"),
        ("rolled_back",
         "✗ Rolled back after 32 min The version from before serves all traffic again.",
         "failed at 5 %: errors 9.1 % against 0.41 %, e = 4.1e9"),
        ("inconclusive", ("? Inconclusive after 2 h 13 min Neither answer was shown; what served "
         "before serves, unless the reason says otherwise."),
         "no verdict within the longest bake at 1 %"),
        ("compared", ("≈ Compared after 45 min The versions were compared on copied traffic; "
         "nothing was moved."), "errors 0.4 % against 0.4 %, ×2 excluded"),
    ],
)  # fmt: skip
def test_the_verdict_comes_first_then_why(name: str, verdict: str, reason: str) -> None:
    words = Outline(render(SAMPLES[name]())).words()

    order = [words.index(part) for part in (verdict, "Why:", reason, "At a glance")]
    assert order == sorted(order)
    for section in ("Steps and their verdicts", "Over time", "What happened"):
        assert words.index(section) > order[-1]


def test_a_rollback_that_was_asked_for_is_no_failure() -> None:
    told = {**promoted(), "purpose": "rollback", "outcome": "rolled_back", "steps_in_detail": []}

    page = render(told)

    assert '<div class="verdict good"' in page
    assert "Rollback on endpoint wine-test" in page


def test_who_how_long_and_what_was_predicted_are_told() -> None:
    words = Outline(render(promoted())).words()

    assert "Took 58 min predicted: 41 min; at least 25 min, at most 8 h 20 min" in words
    assert "Started by arn:aws:sts::123456789012:assumed-role/release-engineers/ada@" in words
    assert "Requests to the new version 7,397 Of these failed 34 0.46 %" in words


def test_a_release_that_nothing_was_predicted_of_says_so() -> None:
    words = Outline(render({**promoted(), "predicted": None})).words()

    assert "58 min nothing was predicted" in words


def test_a_step_has_its_shares_with_intervals() -> None:
    words = Outline(render(promoted())).words()

    assert "1 % ✓ pass 13 min 0.47 % 0.37–0.58 % 75 of 16,103 0 % 0–2 % 0 of 187" in words


def test_each_chart_has_its_numbers_as_a_table() -> None:
    for figure in figures(promoted()):
        assert figure.table.rows, figure.chart.title
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)
        assert figure.caption
        assert figure.chart.description


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("promoted", ["Traffic split over time", "Share of errors", "Share of slow answers",
                      "p95 latency", "Strength of the evidence (e-values)"]),
        ("compared", ["Traffic split over time", "Share of errors", "Share of slow answers",
                      "p95 latency", "Pairs that differ",
                      "Strength of the evidence (e-values)"]),
    ],
)  # fmt: skip
def test_there_is_a_chart_for_what_there_are_numbers_for(name: str, titles: list[str]) -> None:
    assert [f.chart.title for f in figures(SAMPLES[name]())] == titles


def test_the_thresholds_of_the_e_values_are_drawn() -> None:
    (figure,) = [f for f in figures(promoted()) if f.chart.slug == "evidence"]

    assert [limit.text for limit in figure.chart.limits] == ["fail at 200", "pass at 20"]


def test_what_changed_in_the_configuration_is_told_apart_from_what_did_not() -> None:
    words = Outline(render(promoted())).words()

    changed, same = words.split("What is the same", 1)
    assert "ProductionVariants[live].ModelName wine-test-m1 wine-test-m2" in changed
    assert "ProductionVariants[live].InstanceType ml.c7i.large ml.c7i.large" in same
    assert "same configuration as before" in Outline(render(SAMPLES["rolled_back"]())).words()


def test_answers_of_hooks_are_told() -> None:
    words = Outline(render(promoted())).words()

    assert "08:11:40 orders pass 41 orders in the last minute" in words


# --- texts that mean harm, evidence of other forms


HARM = "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>&\"'${x}"


def harmed(value: Any) -> Any:
    """Every text of the evidence replaced, where it is not a word that the page looks up."""
    looked_up = {"outcome", "purpose", "kind", "strategy"}
    if isinstance(value, dict):
        return {k: v if k in looked_up else harmed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [harmed(item) for item in value]
    return HARM if isinstance(value, str) else value


@every_sample
def test_no_text_of_the_evidence_becomes_markup(name: str) -> None:
    told = SAMPLES[name]()

    page = Outline(render(harmed(told)))

    assert not {"script", "img"} & page.tags.keys()
    assert all("onerror" not in attrs for _, attrs in page.attributes)
    assert HARM in page.words()


def test_keys_from_aws_and_hooks_are_escaped_too() -> None:
    told = promoted()
    config = {"name": "c", "body": {HARM: HARM}, "tags": {HARM: HARM}}
    hook = {"at": told["started_at"], "name": HARM, "answer": HARM, "text": HARM}

    page = Outline(render({**told, "configuration": {"before": config, "after": None},
                           "hooks": [hook]}))  # fmt: skip

    assert not {"script", "img"} & page.tags.keys()


def test_evidence_of_an_older_release_without_the_new_parts_has_a_page() -> None:
    old = {k: promoted()[k] for k in (
        "id", "model", "endpoint", "purpose", "strategy", "from_version", "to_version", "outcome",
        "reason", "seconds", "started_at", "config_before", "config_after", "log", "timeline",
    )}  # fmt: skip

    words = Outline(render(old)).words()

    assert "From wine-test-c1 to wine-test-c2 ." in words


def test_an_empty_release_has_a_page() -> None:
    told = {**promoted(), "timeline": [], "log": [], "weights": [], "steps_in_detail": [],
            "e_values": None, "seconds": 0.0, "started_by": None}  # fmt: skip

    assert "Promoted after 0 s" in Outline(render(told)).words()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"outcome": "promoted"}'])
def test_what_is_no_evidence_has_no_page(text: str) -> None:
    assert page_of(text) is None


def test_the_document_as_it_is_written_has_a_page() -> None:
    assert page_of(json.dumps(promoted())) == render(promoted())


def test_an_outcome_that_the_page_does_not_know_is_shown_by_its_name() -> None:
    assert (
        "half_done".replace("_", " ")
        in Outline(render({**promoted(), "outcome": "half_done"})).words()
    )


def test_a_long_story_keeps_its_ends() -> None:
    told = promoted()
    log = [{"at": told["started_at"] + i, "kind": "x", "text": f"entry {i}"} for i in range(500)]

    words = Outline(render({**told, "log": log})).words()

    assert "entry 99 " in words
    assert "… 300 more entries are in the data …" in words
    assert "entry 100 " not in words
    assert "entry 499" in words


def test_a_release_of_days_stays_small_enough_to_mail() -> None:
    told = SAMPLES["long"]()

    buckets, minutes = in_buckets(told)

    assert minutes == 60
    assert len(buckets) <= 96
    assert len(render(told)) < 200_000
    assert sum(b.counts["live"]["requests"] for b in buckets) == sum(
        row["live"]["requests"] for row in told["timeline"]
    )


def test_few_requests_are_put_together_until_they_say_something() -> None:
    buckets, minutes = in_buckets(SAMPLES["inconclusive"]())

    assert minutes == 10
    assert 8 <= len(buckets) <= 16


# --- numbers


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [
        (0, 0, (None, None, None)),
        (0, 100, (0.0, 0.0, 0.036994)),
        (100, 100, (1.0, 0.963006, 1.0)),
        # Newcombe 1998, table I: 81 of 263, 15 of 148.
        (81, 263, (0.307985, 0.2553, 0.3662)),
        (15, 148, (0.101351, 0.0624, 0.1605)),
    ],
)
def test_a_band_is_wilsons_interval(count: int, total: int, expected: tuple[Any, ...]) -> None:
    told = band(count, total)

    assert told == Band(*(pytest.approx(v, abs=5e-5) if v is not None else None for v in expected))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "2 h"), (7260, "2 h 1 min"),
     (172_800, "2 d"), (180_000, "2 d 2 h")],
)  # fmt: skip
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_read_as_people_write_them() -> None:
    assert [power(x) for x in (0.0, 1.301, 3.9, 9.6, -1, -5)] == [
        "1", "20", "7,943", "10^9.6", "0.1", "10^-5.0",
    ]  # fmt: skip
    assert [tick_power(x) for x in (0, 3, 4, -1, -12)] == ["1", "1000", "10⁴", "0.1", "10⁻¹²"]
    assert interval(None, 1.0) == "–"
    assert interval(0.001, 0.0203) == "0.1–2 %"


@pytest.mark.parametrize("seconds", [0.5, 1, 59, 61, 600, 3600, 86_400, 260_000, 10_000_000])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=lambda s: s.name)
def test_time_ticks_are_round_and_not_too_many(seconds: float, size: Any) -> None:
    ticks = time_ticks(seconds, size.ticks)

    assert ticks[0] == 0
    assert 1 <= len(ticks) <= 2 * size.ticks + 1
    assert ticks[-1] <= seconds
    step = ticks[1] if len(ticks) > 1 else 1.0
    assert all(re.fullmatch(r"0|[\d.]+ (s|min|h|d)", time_text(t, step)) for t in ticks)


@pytest.mark.parametrize("high", [1e-6, 0.03, 0.7, 1, 9.9, 33, 100, 4321])
def test_value_ticks_cover_the_highest_value(high: float) -> None:
    ticks = linear_ticks(high)

    assert ticks[0] == 0
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 7


def test_bands_of_few_requests_without_an_error_do_not_fill_the_chart() -> None:
    told = promoted()
    for row in told["timeline"]:
        for side in ("live", "candidate"):
            if row[side] is not None:
                row[side] |= {"requests": 9, "errors": 0}
    (errors,) = [f for f in figures(told) if f.chart.slug == "errors"]
    narrowest = [min(high for _, _, high in line.band) for line in errors.chart.lines]
    assert max(narrowest) <= errors.chart.y_high < 100


def test_the_weight_of_a_shadow_is_told_as_copies() -> None:
    assert re.search(r">\d+ % copied<", render(SAMPLES["compared"]()))
    assert "% copied<" not in render(promoted())
