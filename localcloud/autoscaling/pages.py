"""Pages of a list: at most fifty items, and a token when more remain."""

from __future__ import annotations

from typing import Any

from localcloud.autoscaling.rules import refuse
from localcloud.service import ServiceError

Params = dict[str, Any]
PAGE = 50


def page(items: list[Params], params: Params, key: str) -> Params:
    size, token = int(params.get("MaxResults", PAGE)), params.get("NextToken", "0")
    if not 1 <= size <= PAGE:
        raise refuse(f"MaxResults must be between 1 and {PAGE}; it is {size}.")
    if not (token.isascii() and token.isdecimal()):
        raise ServiceError("InvalidNextTokenException", f"The token {token} is invalid.")
    start = int(token)
    answer: Params = {key: items[start : start + size]}
    if start + size < len(items):
        answer["NextToken"] = str(start + size)
    return answer
