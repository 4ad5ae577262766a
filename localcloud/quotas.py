"""Service Quotas for SageMaker's instances: what an account may run, and asking for more.

Only "<type> for endpoint usage" is kept; the default is small, as in a young account. AWS takes
days to decide on a request for an increase; here it is approved at once.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from localcloud.service import ACCOUNT_ID, RequestContext, ServiceError

DEFAULT_INSTANCES = 40.0
SERVICE = "sagemaker"
SUFFIX = " for endpoint usage"
PAGE = 100

Params = dict[str, Any]


@cache
def instance_types() -> tuple[str, ...]:
    """Every type that an endpoint can run on, by botocore's model of SageMaker."""
    import botocore.session

    model: Any = botocore.session.Session().get_service_model(SERVICE)
    return tuple(sorted(model.shape_for("ProductionVariantInstanceType").enum))


def quota_code(instance_type: str) -> str:
    """A code of AWS's form; AWS's own codes are not public as a list."""
    return "L-" + hashlib.sha256(instance_type.encode()).hexdigest()[:8].upper()


class ServiceQuotas:
    """:class:`localcloud.service.OwnService`."""

    name = "service-quotas"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._raised: dict[str, float] = {}

    def allowed(self, region: str, instance_type: str) -> int:
        """Instances of the type that all endpoints of a region may have together."""
        with self._lock:
            return int(self._raised.get(f"{region}/{instance_type}", DEFAULT_INSTANCES))

    def handle(self, operation: str, params: Params, context: RequestContext) -> Params:
        handlers: dict[str, Callable[[Params, RequestContext], Params]] = {
            "ListServiceQuotas": self._list,
            "ListAWSDefaultServiceQuotas": self._list_defaults,
            "GetServiceQuota": self._get,
            "GetAWSDefaultServiceQuota": self._get_default,
            "RequestServiceQuotaIncrease": self._request,
        }
        handler = handlers.get(operation)
        if handler is None:
            raise ServiceError(
                "UnknownOperationException",
                f"The local cloud does not offer Service Quotas' {operation}.",
            )
        if params["ServiceCode"] != SERVICE:
            raise _missing("The request failed because the specified service does not exist.")
        return handler(params, context)

    def snapshot(self) -> bytes:
        with self._lock:
            return json.dumps(self._raised).encode()

    def restore(self, data: bytes) -> None:
        with self._lock:
            self._raised = {str(k): float(v) for k, v in json.loads(data).items()}

    def reset(self) -> None:
        with self._lock:
            self._raised.clear()

    def close(self) -> None:
        return

    def _list(self, params: Params, context: RequestContext) -> Params:
        return _page([self._quota(t, context) for t in instance_types()], params)

    def _list_defaults(self, params: Params, context: RequestContext) -> Params:
        quotas = [_quota(t, DEFAULT_INSTANCES, context) for t in instance_types()]
        return _page(quotas, params)

    def _get(self, params: Params, context: RequestContext) -> Params:
        return {"Quota": self._quota(_type_of(params), context)}

    def _get_default(self, params: Params, context: RequestContext) -> Params:
        return {"Quota": _quota(_type_of(params), DEFAULT_INSTANCES, context)}

    def _request(self, params: Params, context: RequestContext) -> Params:
        instance_type = _type_of(params)
        desired = float(params["DesiredValue"])
        if desired <= self.allowed(context.region, instance_type):
            raise ServiceError(
                "IllegalArgumentException",
                "You must provide a quota value greater than the current quota value.",
            )
        with self._lock:
            self._raised[f"{context.region}/{instance_type}"] = desired
        return {"RequestedQuota": _requested(instance_type, desired, context)}

    def _quota(self, instance_type: str, context: RequestContext) -> Params:
        return _quota(instance_type, float(self.allowed(context.region, instance_type)), context)


def _quota(instance_type: str, value: float, context: RequestContext) -> Params:
    code = quota_code(instance_type)
    return {
        "ServiceCode": SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": f"arn:aws:servicequotas:{context.region}:{ACCOUNT_ID}:{SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": f"{instance_type}{SUFFIX}",
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _requested(instance_type: str, value: float, context: RequestContext) -> Params:
    now: datetime = context.now
    quota = _quota(instance_type, value, context)
    kept = ("ServiceCode", "ServiceName", "QuotaCode", "QuotaName", "QuotaArn", "Unit")
    return {
        **{key: quota[key] for key in kept},
        "Id": hashlib.sha256(context.request_id.encode()).hexdigest()[:40],
        "DesiredValue": value,
        "Status": "APPROVED",
        "Created": now,
        "LastUpdated": now,
        "GlobalQuota": False,
    }


def _type_of(params: Params) -> str:
    for instance_type in instance_types():
        if quota_code(instance_type) == params["QuotaCode"]:
            return instance_type
    raise _missing("The request failed because the specified quota does not exist.")


def _page(quotas: list[Params], params: Params) -> Params:
    size = int(params.get("MaxResults", PAGE))
    token = params.get("NextToken", "0")
    if not token.isdigit() or int(token) > len(quotas):
        raise ServiceError("InvalidPaginationTokenException", "Invalid NextToken was provided.")
    start = int(token)
    answer: Params = {"Quotas": quotas[start : start + size]}
    if start + size < len(quotas):
        answer["NextToken"] = str(start + size)
    return answer


def _missing(message: str) -> ServiceError:
    return ServiceError("NoSuchResourceException", message)
