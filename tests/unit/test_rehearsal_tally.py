"""What live traffic saw: failures belong to the variant that failed, answers to who gives them."""

from __future__ import annotations

from scripts.rehearsal.tally import VersionTally, Window, same, tally
from scripts.rehearsal.traffic import Answer, variant_of_error

EXPECTED = {"1": [0.1, 0.2], "2": [0.3, 0.2], "3": [0.5, None]}
WINDOWS = [Window(0, "1"), Window(10, "1", "2"), Window(20, "2"), Window(30, "2", "3")]


def answer(
    at: float, row: int, prediction: object, status: int = 200, variant: str | None = "live"
):
    return Answer(at, row, status, 1.0, variant, prediction)


def test_an_answer_counts_for_the_version_that_gives_it() -> None:
    result = tally(
        [answer(1, 0, 0.1), answer(11, 0, 0.3, variant="candidate"), answer(21, 0, 0.3)],
        EXPECTED,
        WINDOWS,
    )
    assert result.by_version == {"1": VersionTally(1, 0), "2": VersionTally(2, 0)}
    assert (result.requests, result.failed, result.wrong) == (3, 0, 0)


def test_an_answer_that_no_serving_version_gives_is_wrong() -> None:
    result = tally([answer(1, 0, 0.3), answer(21, 0, 0.1)], EXPECTED, WINDOWS)
    assert result.wrong == 2


def test_the_live_variant_may_answer_with_the_new_version_around_the_swap() -> None:
    assert tally([answer(19, 0, 0.3)], EXPECTED, WINDOWS).wrong == 0


def test_a_failure_belongs_to_the_variant_that_failed() -> None:
    result = tally(
        [answer(31, 1, None, 424, "candidate"), answer(31, 1, None, 0, None)], EXPECTED, WINDOWS
    )
    assert result.by_version == {"3": VersionTally(1, 1)}
    assert result.failed == 2


def test_a_row_that_a_version_cannot_answer_never_matches() -> None:
    assert not same(None, None)


def test_probability_rows_are_compared_number_by_number() -> None:
    assert same([0.25, 0.75], [0.25, 0.75 + 1e-12])
    assert not same([0.25, 0.75], [0.25, 0.7501])
    assert not same([0.25], [0.25, 0.75])


def test_the_variant_of_an_error_stands_in_its_log_stream() -> None:
    arn = "arn:aws:logs:eu-west-1:1:log-group:/aws/sagemaker/Endpoints/e:log-stream:candidate/i-1"
    assert variant_of_error(f'{{"LogStreamArn": "{arn}"}}') == "candidate"
    assert variant_of_error('{"Message": "no"}') is None
    assert variant_of_error("not json") is None
