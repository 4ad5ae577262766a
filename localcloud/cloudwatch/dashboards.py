"""Dashboards: stored as they come, if they are JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.cloudwatch.paging import page, when
from localcloud.service import RequestContext, ServiceError

Params = dict[str, Any]
PAGE = 1_000
_NAME = re.compile(r"[0-9A-Za-z_-]{1,255}")


class Dashboards:
    """By name; the caller holds the lock. A dashboard is of the account, not of a region."""

    def __init__(self) -> None:
        self.items: dict[str, Params] = {}

    def put(self, params: Params, context: RequestContext) -> Params:
        name, body = params["DashboardName"], params["DashboardBody"]
        if not _NAME.fullmatch(name):
            raise _invalid(f"The dashboard name {name} may have letters, digits, _ and - only.")
        try:
            content = json.loads(body)
        except ValueError as error:
            raise _invalid(
                f"The field DashboardBody must be a valid JSON object: {error}"
            ) from None
        if not isinstance(content, dict):
            raise _invalid("The field DashboardBody must be a valid JSON object.")
        self.items[name] = {
            "DashboardName": name,
            "DashboardBody": body,
            "LastModified": context.now.timestamp(),
        }
        return {"DashboardValidationMessages": []}

    def get(self, params: Params, context: RequestContext) -> Params:
        name = params["DashboardName"]
        found = self.items.get(name)
        if found is None:
            raise _not_found(name)
        return {
            "DashboardName": name,
            "DashboardBody": found["DashboardBody"],
            "DashboardArn": _arn(name, context),
        }

    def list(self, params: Params, context: RequestContext) -> Params:
        found = [
            {
                "DashboardName": name,
                "DashboardArn": _arn(name, context),
                "LastModified": when(item["LastModified"]),
                "Size": len(item["DashboardBody"].encode()),
            }
            for name, item in sorted(self.items.items())
            if name.startswith(params.get("DashboardNamePrefix", ""))
        ]
        return page(found, params, "DashboardEntries", PAGE)

    def delete(self, params: Params, _context: RequestContext) -> Params:
        """None is deleted when one of the names is unknown."""
        missing = [n for n in params["DashboardNames"] if n not in self.items]
        if missing:
            raise _not_found(", ".join(missing))
        for name in set(params["DashboardNames"]):
            del self.items[name]
        return {}


def _arn(name: str, context: RequestContext) -> str:
    return f"arn:aws:cloudwatch::{context.account_id}:dashboard/{name}"


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterInput", message)


def _not_found(name: str) -> ServiceError:
    return ServiceError("ResourceNotFound", f"Dashboard {name} does not exist", 404)
