"""What tests of endpoints ask SageMaker for, and how they read its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.sagemaker_bench import (
    Bench,
)


def refused(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name.lower()}"


def answered(response: dict[str, Any]) -> dict[str, Any]:
    return json.loads(response["Body"].read())


def weights(bench: Bench, endpoint: str, **desired: float) -> None:
    bench.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": name, "DesiredWeight": weight} for name, weight in desired.items()
        ],
    )


def capacity(bench: Bench, endpoint: str, variant: str, count: int) -> None:
    bench.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": variant, "DesiredInstanceCount": count}],
    )


def variants(described: dict[str, Any]) -> dict[str, tuple[float, float, int, int]]:
    return {
        v["VariantName"]: (
            v["CurrentWeight"],
            v["DesiredWeight"],
            v["CurrentInstanceCount"],
            v["DesiredInstanceCount"],
        )
        for v in described["ProductionVariants"]
    }
