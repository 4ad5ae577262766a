"""Endpoints through boto3: born, updated, resized, deleted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud.image import local_image
from tests.functional.sagemaker_bench import (
    ROLE,
    Bench,
    archive,
    running_bench,
    wait_for,
)
from tests.functional.sagemaker_calls import answered, arn, capacity, refused, variants, weights

SCALED: dict[str, set[str]] = {"scaled": {"live"}}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("sagemaker"), scaled=SCALED) as found:
        yield found


def test_an_endpoint_is_creating_then_in_service_and_answers(bench: Bench) -> None:
    model = bench.model("7")
    config = bench.config(bench.variant("live", model, 2))
    created = bench.sagemaker.create_endpoint(EndpointName="Born", EndpointConfigName=config)
    assert created["EndpointArn"] == arn("endpoint", "born")

    described = bench.describe("Born")
    assert described["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in described
    pending = described["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == config
    assert pending["ProductionVariants"][0]["InstanceType"] == "ml.m5.large"
    status = pending["ProductionVariants"][0]["VariantStatus"][0]
    assert (status["Status"], status["StatusMessage"]) == ("Creating", "Launching 2 instance(s).")
    code, message = refused(bench.runtime.invoke_endpoint, EndpointName="Born", Body=b"1")
    assert (code, message) == (
        "ValidationError",
        "Endpoint Born of account 123456789012 not found.",
    )
    for call in (bench.sagemaker.delete_endpoint, bench.sagemaker.update_endpoint):
        more = {} if call == bench.sagemaker.delete_endpoint else {"EndpointConfigName": config}
        assert refused(call, EndpointName="Born", **more) == (
            "ValidationException",
            f'Cannot update in-progress endpoint "{arn("endpoint", "born")}".',
        )

    described = bench.settled("Born")
    assert described["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in described
    assert "FailureReason" not in described
    assert variants(described) == {"live": (1.0, 1.0, 2, 2)}
    image = described["ProductionVariants"][0]["DeployedImages"][0]
    assert image["SpecifiedImage"] == image["ResolvedImage"] == local_image()
    answer = bench.invoke("Born")
    assert answer["InvokedProductionVariant"] == "live"
    assert answered(answer)["version"] == "7"
    code, message = refused(bench.runtime.invoke_endpoint, EndpointName="born", Body=b"1")
    assert message == "Endpoint born of account 123456789012 not found."


def test_names_are_one_name_whatever_their_case(bench: Bench) -> None:
    config = bench.config(bench.variant("live", bench.model()))
    bench.sagemaker.create_endpoint(EndpointName="twice", EndpointConfigName=config)
    assert refused(
        bench.sagemaker.create_endpoint, EndpointName="Twice", EndpointConfigName=config
    ) == (
        "ValidationException",
        f'Cannot create already existing endpoint "{arn("endpoint", "twice")}".',
    )


def test_what_is_not_there_cannot_be_found(bench: Bench) -> None:
    sagemaker = bench.sagemaker
    no_endpoint = f'Could not find endpoint "{arn("endpoint", "nowhere")}".'
    no_config = f'Could not find endpoint configuration "{arn("endpoint-config", "nowhere")}".'
    no_model = f'Could not find model "{arn("model", "nowhere")}".'
    for call, params, message in (
        (sagemaker.describe_endpoint, {"EndpointName": "nowhere"}, no_endpoint),
        (sagemaker.delete_endpoint, {"EndpointName": "nowhere"}, no_endpoint),
        (sagemaker.describe_endpoint_config, {"EndpointConfigName": "nowhere"}, no_config),
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": "nowhere"}, no_config),
        (sagemaker.describe_model, {"ModelName": "nowhere"}, no_model),
        (sagemaker.delete_model, {"ModelName": "nowhere"}, no_model),
        (
            sagemaker.create_endpoint,
            {"EndpointName": "a", "EndpointConfigName": "nowhere"},
            no_config,
        ),
        (
            sagemaker.create_endpoint_config,
            {
                "EndpointConfigName": "a",
                "ProductionVariants": [bench.variant("live", "nowhere")],
            },
            no_model,
        ),
        (sagemaker.list_tags, {"ResourceArn": arn("endpoint", "nowhere")}, no_endpoint),
    ):
        assert refused(call, **params) == ("ValidationException", message)


def test_another_region_is_another_cloud(bench: Bench) -> None:
    endpoint = bench.endpoint(bench.config(bench.variant("live", bench.model())))
    elsewhere = bench.client("sagemaker", "eu-west-1")
    assert endpoint not in str(elsewhere.list_endpoints())
    code, _ = refused(elsewhere.describe_endpoint, EndpointName=endpoint)
    assert code == "ValidationException"
    code, _ = refused(
        bench.client("sagemaker-runtime", "eu-west-1").invoke_endpoint,
        EndpointName=endpoint,
        Body=b"1",
    )
    assert code == "ValidationError"


def test_the_overview_has_the_endpoints_of_every_region(bench: Bench) -> None:
    model = bench.model()
    here = bench.endpoint(bench.config(bench.variant("live", model)))
    elsewhere = bench.client("sagemaker", "eu-west-1")
    elsewhere.create_model(
        ModelName="there", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "unknown"}
    )
    variant = bench.variant("live", "there")
    elsewhere.create_endpoint_config(EndpointConfigName="there", ProductionVariants=[variant])
    elsewhere.create_endpoint(EndpointName=here, EndpointConfigName="there")
    wait_for(
        lambda: elsewhere.describe_endpoint(EndpointName=here)["EndpointStatus"] == "Failed",
        "an endpoint of an unknown image to fail",
    )
    found = [e for e in bench.service.overview() if e["name"] == here]
    assert found == [
        {"name": here, "region": "us-east-1", "status": "InService", "variants": {"live": 1}},
        {"name": here, "region": "eu-west-1", "status": "Failed", "variants": {}},
    ]


def test_what_is_not_offered_is_refused_by_name(bench: Bench) -> None:
    code, message = refused(bench.sagemaker.list_training_jobs)
    assert code == "UnknownOperationException"
    assert "ListTrainingJobs" in message


def test_an_update_swaps_fleets_and_keeps_or_resets_what_it_should(bench: Bench) -> None:
    one, two = bench.model("1"), bench.model("2")
    endpoint = bench.endpoint(bench.config(bench.variant("live", one)))
    capacity(bench, endpoint, "live", 2)
    bench.settled(endpoint)
    weights(bench, endpoint, live=0.5)
    assert variants(bench.settled(endpoint)) == {"live": (0.5, 0.5, 2, 2)}
    old = {answered(bench.invoke(endpoint))["pid"] for _ in range(20)}

    config = bench.config(bench.variant("live", two))
    bench.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=config,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    during = bench.describe(endpoint)
    assert during["EndpointStatus"] == "Updating"
    assert during["EndpointConfigName"] != config
    assert variants(during) == {"live": (0.5, 0.5, 2, 2)}
    pending = during["PendingDeploymentSummary"]["ProductionVariants"][0]
    assert (pending["DesiredWeight"], pending["DesiredInstanceCount"]) == (1.0, 2)
    described = bench.settled(endpoint)
    assert described["EndpointConfigName"] == config
    assert variants(described) == {"live": (1.0, 1.0, 2, 2)}
    assert answered(bench.invoke(endpoint))["version"] == "2"
    assert not any(psutil.pid_exists(pid) for pid in old)

    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert variants(bench.settled(endpoint)) == {"live": (1.0, 1.0, 1, 1)}


def test_no_request_is_lost_while_fleets_swap_under_load(bench: Bench) -> None:
    one, two = bench.model("1"), bench.model("2")
    configs = [bench.config(bench.variant("live", m, 2)) for m in (one, two)]
    endpoint = bench.endpoint(configs[0])
    done = threading.Event()
    order = json.dumps({"seconds": 0.03})

    def client() -> list[str]:
        outcomes: list[str] = []
        runtime = bench.client("sagemaker-runtime")
        while not done.is_set():
            try:
                answer = runtime.invoke_endpoint(
                    EndpointName=endpoint, Body=order, ContentType="application/json"
                )
                outcomes.append(answered(answer)["version"])
            except ClientError as error:
                outcomes.append(str(error))
        return outcomes

    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client) for _ in range(6)]
        for config in (configs[1], configs[0], configs[1]):
            bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
            assert bench.settled(endpoint)["EndpointConfigName"] == config
        capacity(bench, endpoint, "live", 3)
        bench.settled(endpoint)
        capacity(bench, endpoint, "live", 1)
        bench.settled(endpoint)
        done.set()
        outcomes = [outcome for c in clients for outcome in c.result()]
    assert set(outcomes) == {"1", "2"}
    assert len(outcomes) > 100


def test_weights_share_the_traffic_and_0_is_a_weight(bench: Bench) -> None:
    one, two = bench.model("1"), bench.model("2")
    config = bench.config(
        bench.variant("live", one), bench.variant("candidate", two, InitialVariantWeight=0.0)
    )
    endpoint = bench.endpoint(config)

    def versions(count: int) -> list[str]:
        return [answered(bench.invoke(endpoint))["version"] for _ in range(count)]

    assert variants(bench.describe(endpoint))["candidate"] == (0.0, 0.0, 1, 1)
    assert set(versions(40)) == {"1"}
    targeted = bench.invoke(endpoint, TargetVariant="candidate")
    assert targeted["InvokedProductionVariant"] == "candidate"

    weights(bench, endpoint, candidate=0.5, live=0.5)
    assert bench.describe(endpoint)["EndpointStatus"] == "Updating"
    bench.settled(endpoint)
    assert 20 < versions(100).count("2") < 80

    capacity(bench, endpoint, "candidate", 2)
    during = bench.describe(endpoint)
    assert variants(during)["candidate"] == (0.5, 0.5, 1, 2)
    status = during["ProductionVariants"][1]["VariantStatus"][0]
    assert status["StatusMessage"] == "Scaling out desired instance count to 2."
    assert variants(bench.settled(endpoint)) == {
        "live": (0.5, 0.5, 1, 1),
        "candidate": (0.5, 0.5, 2, 2),
    }

    weights(bench, endpoint, candidate=0.0, live=0.0)
    bench.settled(endpoint)
    code, message = refused(bench.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")
    assert code == "ValidationError"
    assert "has no production variant with a weight above 0" in message
    config = bench.describe(endpoint)["EndpointConfigName"]
    described = bench.sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert [v["InitialVariantWeight"] for v in described["ProductionVariants"]] == [1.0, 0.0]


def test_capacity_of_several_variants_in_one_call_is_refused(bench: Bench) -> None:
    model = bench.model()
    endpoint = bench.endpoint(bench.config(bench.variant("a", model), bench.variant("b", model)))
    config = bench.describe(endpoint)["EndpointConfigName"]

    def update(*desired: dict[str, Any]) -> str:
        return refused(
            bench.sagemaker.update_endpoint_weights_and_capacities,
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=list(desired),
        )[1]

    a: dict[str, Any] = {"VariantName": "a", "DesiredInstanceCount": 2}
    assert update(a, {**a, "VariantName": "b"}) == (
        "The capacity of only one variant can be updated in a request."
    )
    assert update(a, a) == 'The variant name "a" was non-unique within the request.'
    assert update({**a, "VariantName": "c"}) == (
        f'The variant name(s) "c" is/are not present within endpoint configuration "{config}".'
    )
    assert "at least 1" in update({**a, "DesiredInstanceCount": 0})
    assert bench.describe(endpoint)["EndpointStatus"] == "InService"


def test_a_configuration_may_go_while_it_serves_but_not_come_again(bench: Bench) -> None:
    config = bench.config(bench.variant("live", bench.model()))
    endpoint = bench.endpoint(config)
    bench.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert bench.invoke(endpoint)["InvokedProductionVariant"] == "live"
    assert bench.describe(endpoint)["EndpointConfigName"] == config
    _, message = refused(
        bench.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=config
    )
    assert message.startswith("Could not find endpoint configuration")
    other = bench.config(bench.variant("live", bench.model()))
    _, message = refused(
        bench.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=other
    )
    assert message == f'Could not find endpoint configuration "{arn("endpoint-config", config)}".'


def test_a_scaled_variant_can_neither_leave_nor_change_its_type(bench: Bench) -> None:
    model = bench.model()
    bench.endpoint(bench.config(bench.variant("live", model)), "scaled")
    for variant in (
        bench.variant("other", model),
        {**bench.variant("live", model), "InstanceType": "ml.m5.xlarge"},
    ):
        code, message = refused(
            bench.sagemaker.update_endpoint,
            EndpointName="scaled",
            EndpointConfigName=bench.config(variant),
        )
        assert code == "ValidationException"
        assert 'The variant "live" is registered as a scalable target' in message
    bench.sagemaker.update_endpoint(
        EndpointName="scaled", EndpointConfigName=bench.config(bench.variant("live", model, 2))
    )
    assert variants(bench.settled("scaled")) == {"live": (1.0, 1.0, 2, 2)}


def test_a_deleted_endpoint_is_deleting_then_gone_with_its_processes(bench: Bench) -> None:
    endpoint = bench.endpoint(bench.config(bench.variant("live", bench.model())))
    pid = answered(bench.invoke(endpoint))["pid"]
    bench.sagemaker.delete_endpoint(EndpointName=endpoint)
    assert bench.describe(endpoint)["EndpointStatus"] == "Deleting"
    wait_for(lambda: endpoint not in str(bench.sagemaker.list_endpoints()), "its deletion")
    assert not psutil.pid_exists(pid)
    code, _ = refused(bench.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")
    assert code == "ValidationError"


def test_the_models_files_are_there_and_read_only(bench: Bench) -> None:
    model = bench.model("1", archive({"slipway.json": b"{}", "model/a": b"1"}))
    bench.endpoint(bench.config(bench.variant("live", model)), "files")
    (log,) = (bench.home / "logs" / "files" / "live").iterdir()
    assert '{"files": ["model", "slipway.json"]}' in log.read_text()
    unpacked = [p for p in (bench.home / "models").rglob("*") if p.name == "a"]
    assert [oct(p.stat().st_mode & 0o777) for p in unpacked] == ["0o444"]
    assert oct(unpacked[0].parent.stat().st_mode & 0o777) == "0o555"
