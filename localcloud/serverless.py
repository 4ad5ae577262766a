"""Puts Lambda, Step Functions and the deliveries between services together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud import moto_deliveries
from localcloud.clock import Clock
from localcloud.connect import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from localcloud.deliveries import Deliveries, connected
from localcloud.in_moto import InMoto
from localcloud.lambda_.service import Lambda
from localcloud.moto_app import MotoApp
from localcloud.s3_access import InProcessS3
from localcloud.service import OwnService
from localcloud.stepfunctions.service import StepFunctions


@dataclass(frozen=True)
class Serverless:
    """The services by their botocore name, and the deliveries between all services."""

    services: dict[str, OwnService]
    deliveries: Deliveries


def assemble(
    moto: MotoApp,
    clock: Clock,
    folder: Path,
    endpoint_url: str,
    notifier: Callable[[str], Callable[[], None]],
) -> Serverless:
    """``notifier`` gives what a service calls when it has changed without being asked."""
    aws = InMoto(moto.call)
    cloud = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    functions = Lambda(clock, folder / "lambda", InProcessS3(moto), aws, cloud)
    machines = StepFunctions(clock, functions, aws, notifier("stepfunctions"))
    deliveries = Deliveries(aws, functions, machines)
    functions.connect(connected(deliveries))
    moto_deliveries.install(deliveries, clock)
    return Serverless({"lambda": functions, "stepfunctions": machines}, deliveries)
