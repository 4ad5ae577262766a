"""SageMaker asks moto's Application Auto Scaling for scalable targets."""

from __future__ import annotations

import json

import pytest

from localcloud.moto_app import MotoApp
from localcloud.sagemaker.scaling import DIMENSION, ScalableTargets
from localcloud.service import ServiceError
from localcloud.wire import WireAnswer, WireRequest


class NoState:
    """A state keeper that keeps nothing."""

    def __init__(self) -> None:
        self.restored: dict[str, str] = {}

    def keep(self, service: str, request: WireRequest | None) -> None:
        return

    def clear(self) -> None:
        return


def register(moto: MotoApp, endpoint: str, variant: str, region: str = "us-east-1") -> None:
    scope = f"slipway/20130101/{region}/application-autoscaling/aws4_request"
    body = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
        "MinCapacity": 1,
        "MaxCapacity": 4,
    }
    headers = (
        ("Host", "127.0.0.1"),
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "AnyScaleFrontendService.RegisterScalableTarget"),
        ("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
    )
    answer = moto.call(WireRequest("POST", "/", headers, json.dumps(body).encode()))
    assert answer.status == 200, answer.body


def test_registered_variants_are_found_by_region_and_endpoint() -> None:
    moto = MotoApp(NoState())
    moto.reset()
    targets = ScalableTargets(moto)
    assert targets("us-east-1", "mine") == set()
    register(moto, "mine", "live")
    register(moto, "mine", "candidate")
    register(moto, "mine-too", "other")
    assert targets("us-east-1", "mine") == {"live", "candidate"}
    assert targets("eu-west-1", "mine") == set()


def test_no_answer_is_an_error_and_not_an_empty_set() -> None:
    class Broken:
        def call(self, request: WireRequest) -> WireAnswer:
            return WireAnswer(500, [], b"out of order")

    with pytest.raises(ServiceError, match="out of order"):
        ScalableTargets(Broken())("us-east-1", "mine")
