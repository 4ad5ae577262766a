"""The body's limit, from the operator's setting or the platform's."""

from __future__ import annotations

import pytest

from inference.errors import ServerError
from inference.server import BATCH_PAYLOAD, MAX_BODY, body_limit


@pytest.mark.parametrize(
    ("own", "batch", "want"),
    [
        (None, None, 6 << 20),
        (None, "20", 20 << 20),
        (None, "0", 100 << 20),
        ("1000", None, 1000),
        ("1000", "20", 1000),
    ],
)
def test_the_operators_limit_comes_before_the_platforms(
    monkeypatch: pytest.MonkeyPatch, own: str | None, batch: str | None, want: int
) -> None:
    for name, value in ((MAX_BODY, own), (BATCH_PAYLOAD, batch)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert body_limit() == want


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (MAX_BODY, "0", "SLIPWAY_MAX_BODY_BYTES is '0'; a number of bytes above 0 is needed"),
        (MAX_BODY, "6MB", "SLIPWAY_MAX_BODY_BYTES is '6MB'; a number of bytes above 0 is needed"),
        (BATCH_PAYLOAD, "-1", "SAGEMAKER_MAX_PAYLOAD_IN_MB is '-1'; a whole number of MB is neede"),
    ],
)
def test_a_limit_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.delenv(MAX_BODY, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(ServerError) as info:
        body_limit()
    assert message in str(info.value)
