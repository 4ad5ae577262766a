"""NextToken: how far a caller has come in a list."""

from __future__ import annotations

import datetime as dt
from typing import Any

from localcloud.service import ServiceError

Params = dict[str, Any]


def offset(params: Params) -> int:
    """Raises ``InvalidNextToken`` for a token that was never given."""
    token = params.get("NextToken")
    if not token:
        return 0
    if not (token.isascii() and token.isdecimal()):
        raise ServiceError("InvalidNextToken", f"The token {token} is invalid.")
    return int(token)


def page(items: list[Params], params: Params, key: str, size: int) -> Params:
    """The next ``size`` items under ``key``, and a token when more remain."""
    start = offset(params)
    answer: Params = {key: items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer


def data_page(results: list[Params], params: Params, size: int) -> Params:
    """GetMetricData's results, cut after ``size`` points; a cut result is ``PartialData``.

    Results without any point come with the first page.
    """
    start = offset(params)
    end, position = start + size, 0
    found: list[Params] = []
    for result in results:
        low, high = position, position + len(result["Values"])
        position = high
        first, last = max(low, start), min(high, end)
        if first < last or (low == high and start == 0):
            chosen = slice(first - low, last - low) if first < last else slice(0, 0)
            found.append(
                {
                    **result,
                    "Timestamps": result["Timestamps"][chosen],
                    "Values": result["Values"][chosen],
                    "StatusCode": "Complete" if low == high or high <= end else "PartialData",
                }
            )
    answer: Params = {"MetricDataResults": found, "Messages": []}
    if end < position:
        answer["NextToken"] = str(end)
    return answer


def when(timestamp: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC)
