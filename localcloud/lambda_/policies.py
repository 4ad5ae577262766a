"""Resource policies: statements as AWS writes them, and what they let whom do. Pure."""

from __future__ import annotations

import fnmatch
from typing import Any

Statement = dict[str, Any]


def statement(params: dict[str, Any], function_arn: str) -> Statement:
    """The statement that AddPermission writes."""
    principal = str(params["Principal"])
    if principal == "*":
        who: Any = "*"
    elif principal.endswith((".amazonaws.com", ".amazon.com")):
        who = {"Service": principal}
    elif principal.isdecimal():
        who = {"AWS": f"arn:aws:iam::{principal}:root"}
    else:
        who = {"AWS": principal}
    made: Statement = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": who,
        "Action": params["Action"],
        "Resource": function_arn,
    }
    equal = {
        key: params[name]
        for key, name in (
            ("AWS:SourceAccount", "SourceAccount"),
            ("lambda:EventSourceToken", "EventSourceToken"),
            ("aws:PrincipalOrgID", "PrincipalOrgID"),
            ("lambda:FunctionUrlAuthType", "FunctionUrlAuthType"),
        )
        if params.get(name)
    }
    condition: dict[str, Any] = {}
    if equal:
        condition["StringEquals"] = equal
    if params.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
    if condition:
        made["Condition"] = condition
    return made


def allows(
    statements: list[Statement], service: str, action: str, source_arn: str, account: str
) -> bool:
    """Whether a service principal may act for ``source_arn``."""
    keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    decisions = [
        s.get("Effect")
        for s in statements
        if _has_principal(s.get("Principal"), service)
        and _has_action(s.get("Action"), action)
        and _is_met(s.get("Condition") or {}, keys)
    ]
    return "Allow" in decisions and "Deny" not in decisions


def _listed(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def _has_principal(principal: Any, service: str) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    return service in _listed(principal.get("Service", [])) or "*" in _listed(
        principal.get("AWS", [])
    )


def _has_action(actions: Any, action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), a.lower()) for a in _listed(actions))


def _is_met(condition: dict[str, Any], keys: dict[str, str]) -> bool:
    """All operators, all keys; one that is not known here is not met."""
    for operator, wanted in condition.items():
        for key, values in wanted.items():
            found = keys.get(key.lower())
            if found is None:
                return False
            match operator:
                case "ArnLike" | "ArnEquals" | "StringLike":
                    is_met = any(fnmatch.fnmatchcase(found, v) for v in _listed(values))
                case "StringEquals":
                    is_met = found in _listed(values)
                case _:
                    is_met = False
            if not is_met:
                return False
    return True
