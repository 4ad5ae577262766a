"""Other services for the cloud's own parts: requests that go the way of one from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

Call = Callable[[WireRequest], WireAnswer]

# Service: prefix of X-Amz-Target, and the version of AWS JSON.
_JSON = {
    "logs": ("Logs_20140328", "1.1"),
    "sqs": ("AmazonSQS", "1.0"),
    "events": ("AWSEvents", "1.1"),
}
_QUERY = {"sns": "2010-03-31", "iam": "2010-05-08"}


class InMoto:
    """Calls moto's services; :class:`ServiceError` is what they refuse with."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def json(
        self, service: str, region: str, operation: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        """One request of a service that speaks AWS JSON."""
        prefix, version = _JSON[service]
        headers = (
            ("Host", "127.0.0.1"),
            ("Authorization", authorization(service, region)),
            ("Content-Type", f"application/x-amz-json-{version}"),
            ("X-Amz-Target", f"{prefix}.{operation}"),
        )
        answer = self._call(WireRequest("POST", "/", headers, json.dumps(params).encode()))
        body: dict[str, Any] = json.loads(answer.body) if answer.body else {}
        if answer.status >= 400:
            code = str(body.get("__type", "")).rpartition("#")[2] or f"Http{answer.status}"
            message = body.get("message") or body.get("Message") or code
            raise ServiceError(code, str(message), answer.status)
        return body

    def query(self, service: str, region: str, operation: str, params: dict[str, str]) -> str:
        """One request of a service that speaks Query; gives the XML."""
        form = {"Action": operation, "Version": _QUERY[service], **params}
        headers = (
            ("Host", "127.0.0.1"),
            ("Authorization", authorization(service, region)),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        )
        answer = self._call(WireRequest("POST", "/", headers, urlencode(form).encode()))
        text = answer.body.decode("utf-8", "replace")
        if answer.status >= 400:
            raise ServiceError(
                _between(text, "Code") or f"Http{answer.status}",
                _between(text, "Message") or text[:200],
                answer.status,
            )
        return text

    def trusted(self, role_arn: str, principal: str) -> bool | None:
        """Whether a role lets ``principal`` assume it; None when there is no such role."""
        from urllib.parse import unquote

        try:
            name = role_arn.rpartition("/")[2]
            text = self.query("iam", "us-east-1", "GetRole", {"RoleName": name})
        except ServiceError:
            return None
        if f"<Arn>{role_arn}</Arn>" not in text:
            return None
        document = unquote(_between(text, "AssumeRolePolicyDocument"))
        return principal in document.replace("&quot;", '"')


def authorization(service: str, region: str) -> str:
    scope = f"slipway/20130101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def _between(text: str, tag: str) -> str:
    return text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0].strip()
