"""Asks Application Auto Scaling (moto's) which variants of an endpoint are scalable targets."""

from __future__ import annotations

import json
from typing import Any, Protocol

from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_TARGET = "AnyScaleFrontendService.DescribeScalableTargets"


class Application(Protocol):
    """What :class:`localcloud.moto_app.MotoApp` does."""

    def call(self, request: WireRequest) -> WireAnswer: ...


class ScalableTargets:
    """The ``scaled_variants`` of :class:`localcloud.sagemaker.control.SageMaker`."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, region: str, endpoint: str) -> set[str]:
        """Raises ``ServiceError`` when the other service does not answer."""
        prefix = f"endpoint/{endpoint}/variant/"
        found: set[str] = set()
        token: str | None = None
        while True:
            page = self._ask(region, token)
            ids = [str(target["ResourceId"]) for target in page["ScalableTargets"]]
            found |= {name.removeprefix(prefix) for name in ids if name.startswith(prefix)}
            token = page.get("NextToken")
            if token is None:
                return found

    def _ask(self, region: str, token: str | None) -> dict[str, Any]:
        params = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
        if token is not None:
            params["NextToken"] = token
        scope = f"slipway/20130101/{region}/application-autoscaling/aws4_request"
        headers = (
            ("Host", "127.0.0.1"),
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", _TARGET),
            (
                "Authorization",
                f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            ),
        )
        body = json.dumps(params).encode()
        answer = self._application.call(WireRequest("POST", "/", headers, body))
        if answer.status != 200:
            text = answer.body.decode("utf-8", "replace")
            raise ServiceError(
                "InternalFailure", f"Application Auto Scaling did not answer: {text}", 500
            )
        return json.loads(answer.body)
