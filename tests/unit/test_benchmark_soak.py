"""What the soak test reads, and what it calls a failure."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import soak
from benchmarks.serving_load import LoadError
from benchmarks.soak import Sample, grown, parsed, wrong_statuses
from benchmarks.soak_overload import Overload


def samples(*megabytes: float) -> list[Sample]:
    return [Sample(i * 20.0, round(mb * 1e6), round(mb * 1e6)) for i, mb in enumerate(megabytes)]


def test_statuses_and_lost_requests_are_read() -> None:
    assert parsed("x\nSTATUSES 200=12 400=3\nLOST 2\n") == ({200: 12, 400: 3}, 2)
    assert parsed("STATUSES\nLOST 0\n") == ({}, 0)
    with pytest.raises(LoadError, match="wrk printed no result: unable to connect"):
        parsed("unable to connect")


def test_only_what_was_asked_for_may_be_answered() -> None:
    assert wrong_statuses({200: 9, 400: 1}, 0) == []
    assert wrong_statuses({200: 9, 400: 1, 500: 2}, 3) == [
        "2 answers with status 500; only 200 and 400 were asked for",
        "3 requests were not answered",
    ]
    assert wrong_statuses({200: 9}, 0) == [
        "answers with 200 and with 400 were wanted, there are {200: 9}"
    ]


def test_memory_may_grow_until_the_load_has_settled_and_not_after() -> None:
    assert grown(samples(20, 30, 50, 50, 50.5, 50, 51, 50.9)) == []
    assert grown(samples(50, 50, 50, 50, 51, 52, 53, 54)) == [
        "memory grew from 50.0 MB to 53.5 MB (52.0 at most)"
    ]
    assert grown(samples(1, 2, 300)) == [], "too short to tell"
    assert grown(samples(*[500] * 4, *[509] * 4)) == []
    assert len(grown(samples(*[500] * 4, *[511] * 4))) == 1


def test_an_overload_meets_answers_and_503_and_nothing_else() -> None:
    good = Overload({"connections": Counter({200: 3, 503: 4})}, 0, Counter({200: 2}))
    good.after["connections"] = 200
    assert good.problems() == []
    assert "overload by connections: 3 with 200, 4 with 503; afterwards 200" in str(good)
    bad = Overload(
        {"bodies": Counter({200: 3, 500: 1}), "connections": Counter({0: 2, 503: 1})},
        5,
        Counter({200: 2, 503: 1}),
        {"bodies": 503},
    )
    assert bad.problems() == [
        "bodies: 1 times 500; only 200 and 503 may be",
        "connections: 2 times no answer; only 200 and 503 may be",
        "bodies: no 503 was provoked",
        "5 answers with 503 have no Retry-After",
        "/ping answered [503] meanwhile",
        "after bodies: 503, not 200",
    ]


def test_a_time_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        soak.main(["--minutes", "0"])
    assert "--minutes is 0; more than 0 is needed" in capsys.readouterr().err
