"""The page of ``slipway serve`` in a real browser: it predicts, measures, and is readable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Browser
from tests.browser.test_release_page import CONTRAST, ENTER, STICKING_OUT, TAB
from tests.functional.inference_server import ModelServer, running, write_package
from tests.functional.test_inference_server import COLUMNS, fitted, flats

SET = """
const [name, value] = arguments;
const label = [...document.querySelectorAll('label')].find(l => l.firstChild.data === name);
const field = label.querySelector('input, select');
field.value = value;
field.dispatchEvent(new Event('input', {bubbles: true}));
"""
RESULT = "return document.getElementById('result').firstChild?.textContent || ''"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("flats")
    columns = [*COLUMNS[:3], ("furnished", "boolean", "", True)]
    digest = write_package(folder, fitted(flats()), columns, output="predict_proba")
    with running(folder, digest, SLIPWAY_DESK="1") as server:
        yield server


def opened(browser: Browser, server: ModelServer, width: int = 1000, scheme: str = "light") -> None:
    browser.show(f"http://127.0.0.1:{server.port}/", width, scheme)
    for name, value in (("town", "Bonn"), ("size", "80.5"), ("rooms", "3")):
        browser.run(SET, name, value)


def predict(browser: Browser) -> str:
    browser.run("document.getElementById('result').replaceChildren()")
    browser.run("document.getElementById('predict').click()")
    return browser.until(RESULT)


def test_a_chart_of_nothing_has_no_axis(browser: Browser, desk: ModelServer) -> None:
    opened(browser, desk)
    script = "return [...document.querySelectorAll('#chart text')].map(t => t.textContent)"
    shown = browser.run(script)
    assert [text for text in shown if text] == [
        "no predictions in the last minute",
        "1 min ago",
        "now",
    ]


def test_the_form_shows_an_example_and_predicts_what_the_model_says(
    browser: Browser, desk: ModelServer
) -> None:
    opened(browser, desk)
    labels = browser.run("return [...document.querySelectorAll('label')].map(l => l.innerText)")
    names = [label.split()[0] for label in labels]
    assert names == [column[0] for column in COLUMNS]
    row = {"town": "Bonn", "size": 80.5, "rooms": 3, "furnished": False}
    [want] = desk.predictions({"instances": [row]})

    shown = predict(browser)

    assert [float(part) for part in shown.strip("[] ").split(",")] == want
    assert browser.console() == []


def test_enter_predicts_from_a_field(browser: Browser, desk: ModelServer) -> None:
    opened(browser, desk)
    browser.run("document.querySelector('label input').focus()")
    browser.press(ENTER)
    assert browser.until(RESULT).startswith("[")


def test_a_wrong_value_gets_the_servers_own_words(browser: Browser, desk: ModelServer) -> None:
    opened(browser, desk)
    browser.run(SET, "rooms", "many")
    shown = predict(browser)
    assert shown.startswith("400: ")
    assert "'rooms'" in shown
    assert browser.run("return document.querySelector('.problem') !== null")


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("9007199254740993", "9007199254740993"),
        ("-5", "-5"),
        ("+007", "7"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1e3", "1e3"),
        ("", "null"),
        ("five", '"five"'),
    ],
)
def test_numbers_are_sent_as_they_were_typed(
    browser: Browser, desk: ModelServer, typed: str, sent: str
) -> None:
    opened(browser, desk)
    browser.run(SET, "rooms", typed)
    command = browser.run("return document.getElementById('command').textContent")
    assert f'"data": [["Bonn", 80.5, {sent}, false]]' in command
    assert f"curl http://127.0.0.1:{desk.port}/predict" in command


def test_latency_lives_and_counts_predictions_of_all_clients(
    browser: Browser, desk: ModelServer
) -> None:
    opened(browser, desk)
    row = {"town": "Bonn", "size": 80.5, "rooms": 3, "furnished": False}
    browser.until("return document.getElementById('errors').textContent !== '–'")
    desk.predictions({"instances": [row]})
    browser.until("return document.getElementById('median').textContent !== '–'")

    assert browser.run("return document.querySelector('path.typical').getAttribute('d')")
    assert browser.run("return document.getElementById('tail').textContent").endswith("s")
    label = browser.run("return document.getElementById('chart').getAttribute('aria-label')")
    assert label.startswith("Latency of the last minute: median ")


def test_it_asks_this_server_alone(browser: Browser, desk: ModelServer) -> None:
    opened(browser, desk)
    names = "const found = performance.getEntriesByType('resource').map(e => e.name)"
    asked = browser.until(f"{names}; return found.length && found")
    assert set(asked) == {f"http://127.0.0.1:{desk.port}/metrics"}


@pytest.mark.parametrize("width", [360, 1000])
def test_nothing_sticks_out_of_a_phone_or_a_window(
    browser: Browser, desk: ModelServer, width: int
) -> None:
    opened(browser, desk, width)
    predict(browser)
    assert browser.run(STICKING_OUT) == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, desk: ModelServer, scheme: str
) -> None:
    opened(browser, desk, scheme=scheme)
    browser.run(SET, "rooms", "many")
    predict(browser)
    ratio, text = browser.run(CONTRAST)
    assert ratio >= 4.5, text
    colour = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert colour == {"light": "rgb(246, 247, 249)", "dark": "rgb(16, 19, 23)"}[scheme]


def test_keys_and_screen_readers_find_their_way(browser: Browser, desk: ModelServer) -> None:
    opened(browser, desk)
    browser.press(TAB)
    assert browser.run("return document.activeElement.textContent") == "To the form"
    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    told = [
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in nodes
        if not n.get("ignored")
    ]
    headings = [name for role, name in told if role == "heading"]
    assert headings == ["by-hand 1", "Try one prediction", "Live latency", "Signature"]
    fields = [name for role, name in told if role in ("textbox", "combobox")]
    assert [name.split()[0] for name in fields] == [column[0] for column in COLUMNS]
    assert any(role in ("image", "img") and "Latency" in name for role, name in told)


def test_the_servers_end_is_told(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ends")
    digest = write_package(folder, fitted(flats()), COLUMNS, output="predict_proba")
    with running(folder, digest, SLIPWAY_DESK="1") as server:
        opened(browser, server)
    caption = "return document.getElementById('caption').textContent"
    browser.until(f"{caption}.includes('does not answer any more')")
    assert predict(browser).startswith("no answer: the server has ended")
