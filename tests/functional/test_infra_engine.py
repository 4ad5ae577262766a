"""The program under the real Pulumi engine, on one stack that the tests take through its life."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.history import manifest_key, state_key
from release.state import EndpointState, GoodVersion
from scripts.infrastructure.engine import EngineError, Result
from scripts.infrastructure.pulumi_cli import PulumiNotFoundError, find_pulumi, shell_environment
from tests.functional.conftest import running_cloud
from tests.functional.infra_project import MODEL, Project, clean_environment, make_project

pytestmark = pytest.mark.timeout(300)
ENDPOINT = f"{MODEL}-local"
HISTORY = "slipway-history-local-123456789012-us-east-1"
AUTO_NAME = re.compile(r"-[0-9a-f]{7}\b")


class Staged:
    """The stack ``local`` after its first `up`, and what that did."""

    def __init__(self, project: Project, first: Result) -> None:
        self.project = project
        self.first = first

    def manifest(self) -> dict[str, Any]:
        s3 = self.project.client("s3")
        return json.load(s3.get_object(Bucket=HISTORY, Key=manifest_key(ENDPOINT))["Body"])

    def serving(self) -> str:
        sagemaker = self.project.client("sagemaker")
        return sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]

    def configure(self, version: str = "1", **more: Any) -> None:
        self.project.configure(package=f"dist/{MODEL}/{version}", **more)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    try:
        find_pulumi()
    except PulumiNotFoundError as error:
        pytest.skip(str(error))
    with running_cloud(tmp_path_factory.mktemp("staged")) as cloud:
        project = make_project(cloud.home, cloud)
        yield Staged(project, project.engine().up())


def test_the_first_up_makes_everything_and_the_endpoint_answers(staged: Staged) -> None:
    assert set(staged.first.changes) == {"create"}, staged.first.changes
    manifest = staged.manifest()
    assert manifest["target"]["version"] == "1"
    assert manifest["target"]["endpoint_config_name"] == staged.serving()
    described = staged.project.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    assert described["EndpointStatus"] == "InService"
    assert [v["CurrentInstanceCount"] for v in described["ProductionVariants"]] == [2]
    answer = staged.project.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="application/json", Body=b'{"instances": [{"x": 5}]}'
    )
    assert json.load(answer["Body"])["predictions"] == pytest.approx([5.0])


def test_the_sagemaker_sdk_reads_and_invokes_the_endpoint(staged: Staged) -> None:
    program = (
        "import sys\n"
        "from sagemaker.core.resources import Endpoint\n"
        "endpoint = Endpoint.get(endpoint_name=sys.argv[1])\n"
        'body = b\'{"instances": [{"x": 2}]}\'\n'
        "answer = endpoint.invoke(body=body, content_type='application/json')\n"
        "print(endpoint.endpoint_status, answer.body.read().decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ENDPOINT],
        env={**clean_environment(), **staged.project.cloud.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, answer = done.stdout.split(maxsplit=1)
    assert status == "InService"
    assert json.loads(answer)["predictions"] == pytest.approx([2.0])


def test_a_second_up_and_a_refresh_change_nothing(staged: Staged) -> None:
    total = staged.first.changes["create"]
    engine = staged.project.engine()
    assert engine.up().changes == {"same": total}
    assert engine.refresh().changes == {"same": total}
    assert engine.preview().is_unchanged


def test_plain_pulumi_and_slipway_have_the_same_plan(staged: Staged) -> None:
    staged.configure("2")
    try:
        ours = {
            (s.operation, s.name): _masked(s.inputs)
            for s in staged.project.engine().preview().steps
        }
        done = _plain_pulumi(staged, "preview", "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        theirs = {
            (s["op"], s["urn"].rsplit("::", 1)[-1]): _masked(
                (s.get("newState") or {}).get("inputs") or {}
            )
            for s in json.loads(done.stdout)["steps"]
            if s["op"] != "same"
        }
    finally:
        staged.configure("1")
    assert len(ours) >= 4, ours
    assert theirs == ours


def test_drift_behind_pulumis_back_is_seen_and_put_back(staged: Staged) -> None:
    engine, cloudwatch = staged.project.engine(), staged.project.client("cloudwatch")
    alarms = {a["AlarmName"]: a for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    changed, deleted = f"{ENDPOINT}-errors", f"{ENDPOINT}-latency"
    inputs = set(
        cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    )
    drifted = {k: v for k, v in alarms[changed].items() if k in inputs} | {"Threshold": 0.9}
    cloudwatch.put_metric_alarm(**drifted)
    cloudwatch.delete_alarms(AlarmNames=[deleted])
    policy = json.loads(staged.project.client("s3").get_bucket_policy(Bucket=HISTORY)["Policy"])
    policy["Statement"][0]["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}
    staged.project.client("s3").put_bucket_policy(Bucket=HISTORY, Policy=json.dumps(policy))

    looked = engine.refresh(preview_only=True)
    assert (looked.changes["update"], looked.changes["delete"]) == (2, 1), looked
    assert not looked.is_unchanged
    named = {(step.operation, step.name) for step in looked.steps}
    policy_name = "slipway-local-history-tls-only"
    assert named == {
        ("update", "echo-errors"),
        ("delete", "echo-latency"),
        ("update", policy_name),
    }
    assert len(engine.refresh().steps) == 3
    restored = engine.up()
    assert (restored.changes["update"], restored.changes["create"]) == (2, 1), restored
    after = {a["AlarmName"]: a for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert after[changed]["Threshold"] == alarms[changed]["Threshold"]
    assert deleted in after
    text = staged.project.client("s3").get_bucket_policy(Bucket=HISTORY)["Policy"]
    assert '"aws:SecureTransport": "false"' in text


def test_a_new_version_is_staged_beside_what_serves(staged: Staged) -> None:
    before, served = staged.manifest()["target"], staged.serving()
    staged.configure("2")
    result = staged.project.engine().up()
    after = staged.manifest()["target"]
    assert after["version"] == "2"
    assert after["endpoint_config_name"] != before["endpoint_config_name"]
    assert staged.serving() == served, "up moved traffic"
    sagemaker = staged.project.client("sagemaker")
    names = {c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]}
    assert {served, after["endpoint_config_name"]} <= names, "the old one must stay"
    order = [s.operation for s in result.steps if "ndpointConfiguration" in s.type]
    assert order == ["create", "delete"]
    assert result.kept == result.changes["delete"] == 3


def test_going_back_to_a_version_meets_no_clash_and_points_at_what_serves(staged: Staged) -> None:
    staged.configure("1")
    staged.project.engine().up()
    target = staged.manifest()["target"]
    assert target["version"] == "1"
    assert target["endpoint_config_name"] == staged.serving()


def test_a_changed_image_replaces_the_configuration_create_first(staged: Staged) -> None:
    staged.configure("1", environment={"LOG_LEVEL": "debug"})
    result = staged.project.engine().up()
    order = [s.operation for s in result.steps if "ndpointConfiguration" in s.type]
    assert order == ["create", "delete"]
    assert staged.manifest()["target"]["endpoint_config_name"] != staged.serving()
    staged.configure("1")
    staged.project.engine().up()


def test_a_failing_up_keeps_what_stood_and_the_next_one_goes_on(staged: Staged) -> None:
    before, served = staged.manifest(), staged.serving()
    staged.configure("2", instanceType="ml.imaginary.large")
    with pytest.raises(EngineError, match=r"up of stack local failed:\n.*ml\.imaginary\.large"):
        staged.project.engine().up()
    assert staged.manifest() == before
    assert staged.serving() == served
    staged.configure("2")
    staged.project.engine().up()
    assert staged.manifest()["target"]["version"] == "2"
    staged.configure("1")
    staged.project.engine().up()
    assert staged.project.engine().up().is_unchanged


def test_operational_settings_take_effect_at_up(staged: Staged) -> None:
    target = staged.manifest()["target"]["content_hash"]
    staged.configure("1", endpoint={"instances": {"min": 2, "max": 6}})
    result = staged.project.engine().up()
    found = staged.project.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )["ScalableTargets"]
    assert [(t["MinCapacity"], t["MaxCapacity"]) for t in found] == [(2, 6)]
    assert staged.manifest()["target"]["content_hash"] == target
    assert "create" not in result.changes
    staged.configure("1")
    staged.project.engine().up()


def test_an_endpoint_with_release_history_is_never_made_anew(staged: Staged) -> None:
    served, project = staged.serving(), staged.project
    _write_history(staged, served)
    project.client("sagemaker").delete_endpoint(EndpointName=ENDPOINT)
    _wait_gone(project)
    project.engine().refresh()
    staged.configure("2")
    text = f"endpoint {ENDPOINT} would be created or replaced, but it has release history"
    with pytest.raises(EngineError, match=text):
        project.engine().up()
    plain = _plain_pulumi(staged, "preview")
    assert plain.returncode != 0
    assert text in plain.stdout + plain.stderr
    project.engine().up(recreate_endpoint=True)
    assert staged.serving() == served, "it must serve the last good version, not the staged one"
    assert staged.manifest()["target"]["version"] == "2"
    assert project.engine().up().is_unchanged


def test_destroy_leaves_only_evidence_and_up_takes_the_history_over(staged: Staged) -> None:
    project = staged.project
    staged.configure("2", builds_images=True)
    project.engine().up()
    assert len(project.client("codebuild").list_projects()["projects"]) == 1
    done = project.slipway("destroy", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert told["removed"]["kept"] == [
        f"s3://{HISTORY} (manifests, release state, evidence)",
        f"ECR repository {registry}/slipway-local (its images)",
    ]
    assert project.client("codebuild").list_projects()["projects"] == []
    sagemaker = project.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    assert project.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert project.client("iam").list_roles()["Roles"] == []
    targets = project.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )["ScalableTargets"]
    assert targets == []
    buckets = [b["Name"] for b in project.client("s3").list_buckets()["Buckets"]]
    assert buckets == [HISTORY]
    state = json.load(
        project.client("s3").get_object(Bucket=HISTORY, Key=state_key(ENDPOINT))["Body"]
    )
    assert state["closed"]["text"].startswith("stack destroyed by arn:aws:")
    assert project.client("sns").list_topics()["Topics"] == []
    remembered = project.slipway("history", "--json")
    assert (remembered.returncode, json.loads(remembered.stdout)) == (0, []), remembered.stderr
    again = project.slipway("up", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["changes"]["import"] == 2, "the history, and the repository"
    assert project.engine().up().is_unchanged


def _masked(inputs: dict[str, Any]) -> Any:
    """Inputs without what differs between two plans of the same: random suffixes, internals."""
    text = json.dumps({k: v for k, v in inputs.items() if k != "__defaults"}, sort_keys=True)
    return json.loads(AUTO_NAME.sub("-*", text))


def _plain_pulumi(staged: Staged, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a person types after `eval "$(slipway env local)"`."""
    variables = shell_environment("local", staged.project.cloud.home)
    return subprocess.run(
        ["pulumi", *arguments],
        cwd=staged.project.root,
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def _write_history(staged: Staged, config: str) -> None:
    target = staged.manifest()["target"]
    good = GoodVersion(
        version="1",
        content_hash=target["content_hash"],
        endpoint_config_name=config,
        model_name=target["model_name"],
        package_sha256=target["package_sha256"],
        registry_uri=target["registry_uri"],
        since=0.0,
    )
    state = EndpointState(ENDPOINT, good=(good,), releases=("echo-20260101T000000-abcd",))
    body = state.to_json().encode()
    staged.project.client("s3").put_object(Bucket=HISTORY, Key=state_key(ENDPOINT), Body=body)


def _wait_gone(project: Project) -> None:
    waiter = project.client("sagemaker").get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
