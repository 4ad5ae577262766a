"""Endpoints through boto3: born, updated, resized, broken, deleted, restarted."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud.image import local_image
from tests.functional.sagemaker_bench import (
    ROLE,
    Bench,
    MemoryS3,
    archive,
    has_ended,
    running_bench,
    wait_for,
)

SCALED: dict[str, set[str]] = {"scaled": {"live"}}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("sagemaker"), scaled=SCALED) as found:
        yield found


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


def test_a_server_that_never_answers_ping_fails_and_an_update_keeps_the_old(bench: Bench) -> None:
    good, bad = bench.model("good"), bench.model("bad", PING="never")
    ping = (
        "The primary container for production variant live did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    old = bench.config(bench.variant("live", good))
    new = bench.config(bench.variant("live", bad, 2))
    bench.sagemaker.create_endpoint(EndpointName="no-ping", EndpointConfigName=new)
    described = bench.settled("no-ping")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(ping)
    log = described["FailureReason"].rpartition(" in ")[2].removesuffix(".")
    assert '"listening"' in Path(log).read_text()
    _, message = refused(
        bench.sagemaker.update_endpoint, EndpointName="no-ping", EndpointConfigName=old
    )
    assert "can only be deleted" in message

    endpoint = bench.endpoint(old)
    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    assert answered(bench.invoke(endpoint))["version"] == "good"
    described = bench.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == old
    assert described["FailureReason"].startswith(ping)
    assert answered(bench.invoke(endpoint))["version"] == "good"

    bench.sagemaker.delete_endpoint(EndpointName="no-ping")
    wait_for(lambda: "no-ping" not in str(bench.sagemaker.list_endpoints()), "its deletion")


@pytest.mark.parametrize("ping", ["exit", "later:3"])
def test_a_server_that_ends_or_takes_its_time(bench: Bench, ping: str) -> None:
    config = bench.config(bench.variant("live", bench.model(PING=ping)))
    name = f"ping-{ping.partition(':')[0]}"
    bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    wanted = "Failed" if ping == "exit" else "InService"
    assert bench.settled(name)["EndpointStatus"] == wanted


def links() -> bytes:
    import gzip
    import io
    import tarfile

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    return gzip.compress(content.getvalue())


@pytest.mark.parametrize(
    "content",
    [b"no archive", archive()[:-9], archive()[:40], archive({"../out": b"x"}), links()],
    ids=["nothing", "cut-at-the-end", "cut", "outside", "link"],
)
def test_a_corrupt_archive_fails_with_its_reason(bench: Bench, content: bytes) -> None:
    model = bench.model("1", content)
    url = f"s3://artifacts/{model}/model.tar.gz"
    name = f"for-{model}"
    config = bench.config(bench.variant("live", model))
    bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = bench.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        f'Failed to extract model data archive for container "container_1" from URL "{url}". '
        "Please ensure that the object located at the URL is a valid tar.gz archive."
    )


def test_missing_data_and_unknown_images_fail_with_their_reason(bench: Bench) -> None:
    model = bench.model()
    del bench.s3.objects[f"s3://artifacts/{model}/model.tar.gz"]
    bench.sagemaker.create_model(
        ModelName="alien",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "slipway-local@sha256:" + "0" * 64},
    )
    for name, reason in (
        (model, 'Failed to download model data for container "container_1" from URL: "s3://'),
        ("alien", "Please make sure all images included in the model for the production variant"),
    ):
        endpoint = f"fails-{name}"
        config = bench.config(bench.variant("live", name))
        bench.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        described = bench.settled(endpoint)
        assert described["EndpointStatus"] == "Failed"
        assert described["FailureReason"].startswith(reason)


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


def test_without_its_model_a_variant_cannot_scale_out(bench: Bench) -> None:
    model = bench.model()
    endpoint = bench.endpoint(bench.config(bench.variant("live", model)))
    bench.sagemaker.delete_model(ModelName=model)
    capacity(bench, endpoint, "live", 2)
    described = bench.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["FailureReason"] == f'Could not find model "{arn("model", model)}".'
    assert variants(described) == {"live": (1.0, 1.0, 1, 1)}


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


def test_an_instance_that_dies_is_replaced_and_one_that_hangs_too(
    bench: Bench, tmp_path: Path
) -> None:
    model = bench.model(CONTROL=str(tmp_path))
    endpoint = bench.endpoint(bench.config(bench.variant("live", model, 2)))
    pids = {answered(bench.invoke(endpoint))["pid"] for _ in range(30)}
    assert len(pids) == 2
    victim = pids.pop()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: has_ended(victim), "its end")
    # Requests that find nobody there go to the other instance: none is lost.
    for _ in range(30):
        assert answered(bench.invoke(endpoint))["pid"] != victim
    wait_for(
        lambda: variants(bench.describe(endpoint)) == {"live": (1.0, 1.0, 2, 2)}, "a replacement"
    )
    hanging = pids.pop()
    (tmp_path / f"hang-{hanging}").touch()
    wait_for(lambda: not psutil.pid_exists(hanging), "the end of the hanging one")
    wait_for(
        lambda: variants(bench.describe(endpoint)) == {"live": (1.0, 1.0, 2, 2)}, "a replacement"
    )


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


def test_after_a_restart_what_stood_stands_again(tmp_path: Path) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        config = first.config(first.variant("live", first.model("3"), 2))
        endpoint = first.endpoint(config, "again", Tags=[{"Key": "slipway:stack", "Value": "x"}])
        weights(first, endpoint, live=0.25)
        before = first.settled(endpoint)
        bad = first.config(first.variant("live", first.model("4", PING="never")))
        first.sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName=bad)
        assert first.settled("broken")["EndpointStatus"] == "Failed"
        pids = {answered(first.invoke(endpoint))["pid"] for _ in range(20)}
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with running_bench(tmp_path, s3) as second:
        assert second.describe("broken")["EndpointStatus"] == "Failed"
        assert second.describe(endpoint)["EndpointStatus"] in ("SystemUpdating", "InService")
        after = second.settled(endpoint)
        assert variants(after) == variants(before) == {"live": (0.25, 0.25, 2, 2)}
        assert after["CreationTime"] == before["CreationTime"]
        assert answered(second.invoke(endpoint))["version"] == "3"
        tags = second.sagemaker.list_tags(ResourceArn=after["EndpointArn"])["Tags"]
        assert tags == [{"Key": "slipway:stack", "Value": "x"}]


def test_an_update_that_a_restart_interrupted_goes_on(tmp_path: Path) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        endpoint = first.endpoint(first.config(first.variant("live", first.model("1"))), "half")
        slow = first.config(first.variant("live", first.model("2", PING="later:8")))
        first.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=slow)
        assert first.describe(endpoint)["EndpointStatus"] == "Updating"
    with running_bench(tmp_path, s3) as second:
        described = second.settled(endpoint)
        assert described["EndpointConfigName"] == slow
        assert answered(second.invoke(endpoint))["version"] == "2"


def test_a_restart_without_the_artifact_says_so_and_goes_on_when_it_is_back(
    tmp_path: Path,
) -> None:
    s3 = MemoryS3()
    with running_bench(tmp_path, s3) as first:
        model = first.model("1")
        endpoint = first.endpoint(first.config(first.variant("live", model)), "lost")
    url = f"s3://artifacts/{model}/model.tar.gz"
    content = s3.objects.pop(url)
    with running_bench(tmp_path, s3) as second:
        described = wait_for(
            lambda: (d := second.describe(endpoint)) and "FailureReason" in d and d, "the reason"
        )
        assert described["EndpointStatus"] == "SystemUpdating"
        assert described["FailureReason"].startswith("Failed to download model data")
        code, _ = refused(second.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")
        assert code == "ServiceUnavailable"
        s3.objects[url] = content
        assert second.settled(endpoint)["EndpointStatus"] == "InService"
        assert answered(second.invoke(endpoint))["version"] == "1"


def servers(home: Path) -> list[psutil.Process]:
    """Our children that serve models of this home."""
    found = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in found if any(str(home) in part for part in p.cmdline())]


def test_reset_ends_every_process_and_forgets_everything(tmp_path: Path) -> None:
    with running_bench(tmp_path) as bench:
        endpoint = bench.endpoint(bench.config(bench.variant("live", bench.model(), 2)))
        slow = bench.config(bench.variant("live", bench.model(PING="never")))
        bench.sagemaker.create_endpoint(EndpointName="slow", EndpointConfigName=slow)
        wait_for(lambda: len(servers(tmp_path)) == 3, "three servers")
        bench.service.reset()
        assert servers(tmp_path) == []
        assert bench.sagemaker.list_endpoints()["Endpoints"] == []
        assert bench.sagemaker.list_models()["Models"] == []
        code, _ = refused(bench.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1")
        assert code == "ValidationError"
        bench.endpoint(bench.config(bench.variant("live", bench.model())), endpoint)


def test_closing_takes_less_than_five_seconds_whatever_runs(tmp_path: Path) -> None:
    with running_bench(tmp_path) as bench:
        bench.endpoint(bench.config(bench.variant("live", bench.model(), 2)))
        slow = bench.config(bench.variant("live", bench.model(PING="never"), 4))
        bench.sagemaker.create_endpoint(EndpointName="slow", EndpointConfigName=slow)
        began = time.monotonic()
        bench.service.close()
        assert time.monotonic() - began < 5
        assert servers(tmp_path) == []
        assert json.loads(bench.service.snapshot())["endpoints"]
