"""The Lambda that drives releases: what is made for it, what it may do, and what is shipped."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pulumi_aws as aws
import pytest

from contracts.functions import LAMBDA_RUNTIME
from contracts.release_manifest import HookGate, ReleaseManifest
from infra.controller_code import code_files
from infra.settings import LAMBDA_DRIVER, StackConfig
from infra.surroundings import Surroundings
from localcloud.lambda_.spec import RUNTIMES
from release.controller.stages import transition_config
from release.controller.start import release_id
from tests.unit.fake_cloud import manifest
from tests.unit.infra_recording import ACCOUNT, REGION, Declared, declare, policy_statements
from tests.unit.infra_samples import model_config
from tests.unit.test_release_announce import release

STACK_TAGS = {"slipway:stack": "prod"}
HISTORY = f"arn:aws:s3:::slipway-history-prod-{ACCOUNT}-{REGION}"
ARTIFACTS = "arn:aws:s3:::slipway-prod-artifacts-bucket-1234567"
TOPIC = f"arn:aws:any:{REGION}:{ACCOUNT}:topic/slipway-prod-releases-1234567"
FUNCTION = f"arn:aws:any:{REGION}:{ACCOUNT}:function/slipway-prod-turn-1234567"
MACHINE = f"arn:aws:any:{REGION}:{ACCOUNT}:statemachine/slipway-prod-loop-1234567"
EMPTY = Surroundings(ACCOUNT, REGION)
HOOK = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:smoke"


@cache
def declared(preview: bool = False) -> Declared:
    return declare(StackConfig("prod", (model_config(),), LAMBDA_DRIVER), EMPTY, preview)


def statements(name: str) -> dict[str, dict[str, Any]]:
    policy = declared().one("iam:RolePolicy", name).inputs["policy"]
    return {statement["Sid"]: statement for statement in policy_statements(policy)}


both_modes = pytest.mark.parametrize("preview", [False, True], ids=["up", "preview"])


@both_modes
def test_a_stack_has_one_controller_with_these_children(preview: bool) -> None:
    tree = declared(preview).tree()

    assert tree["slipway:controller:ReleaseController slipway-prod"] == {
        "iam:Role slipway-prod-turn-role": {},
        "iam:RolePolicy slipway-prod-turn-policy": {},
        "lambda:Function slipway-prod-turn": {},
        "cloudwatch:LogGroup slipway-prod-turn-logs": {},
        "iam:Role slipway-prod-loop-role": {},
        "iam:RolePolicy slipway-prod-loop-policy": {},
        "iam:RolePolicy slipway-prod-loop-succession": {},
        "sfn:StateMachine slipway-prod-loop": {},
        "cloudwatch:LogGroup slipway-prod-loop-logs": {},
    }


@both_modes
def test_several_models_share_the_controller(preview: bool) -> None:
    models = (model_config(), model_config(name="beer", endpoint_name="beer-prod"))

    found = declare(StackConfig("prod", models, LAMBDA_DRIVER), EMPTY, preview)

    assert len(found.of("lambda:Function")) == len(found.of("sfn:StateMachine")) == 1


def test_everything_is_known_in_an_up() -> None:
    assert declared().unknown_inputs() == set()


@both_modes
def test_nothing_of_it_is_protected_kept_or_named_by_us(preview: bool) -> None:
    """Names of Pulumi's own: what an interrupted `up` leaves behind is in the way of nothing."""
    tree = declared(preview)
    controller = tree.one("slipway:controller:ReleaseController")
    for child in tree.children_of(controller):
        assert not child.protect
        assert not child.retain_on_delete
        if child.token not in ("cloudwatch:LogGroup", "iam:RolePolicy"):
            assert "name" not in child.inputs
            assert child.inputs["tags"] == STACK_TAGS


def test_the_function_runs_the_handler_for_as_long_as_lambda_lets_it() -> None:
    function = dict(declared().one("lambda:Function").inputs)

    code = function.pop("code")
    assert function == {
        "description": "Drives the releases of the stack prod, a slice at a time.",
        "role": f"arn:aws:iam::{ACCOUNT}:role/slipway-prod-turn-role-1234567",
        "runtime": "python3.11",
        "architectures": ["arm64"],
        "handler": "release.handler.handler",
        "timeout": 900,
        "memorySize": 512,
        "environment": {"variables": {"SLIPWAY_HISTORY_BUCKET": HISTORY.rsplit(":", 1)[1]}},
        "tags": STACK_TAGS,
    }
    assert code == {path: str(file) for path, file in code_files().items()}


def test_logs_are_kept_for_ninety_days() -> None:
    turn, loop = (
        declared().one("cloudwatch:LogGroup", f"slipway-prod-{part}-logs").inputs
        for part in ("turn", "loop")
    )

    assert turn == {
        "name": "/aws/lambda/slipway-prod-turn-1234567",
        "retentionInDays": 90,
        "tags": STACK_TAGS,
    }
    assert loop == {
        "namePrefix": "/aws/vendedlogs/states/slipway-prod-loop-",
        "retentionInDays": 90,
        "tags": STACK_TAGS,
    }


def test_the_state_machine_logs_its_errors_without_their_data() -> None:
    machine = declared().one("sfn:StateMachine").inputs

    assert machine["loggingConfiguration"] == {
        "level": "ERROR",
        "includeExecutionData": False,
        "logDestination": (
            f"arn:aws:any:{REGION}:{ACCOUNT}:loggroup/slipway-prod-loop-logs-1234567:*"
        ),
    }


@pytest.mark.parametrize(
    ("role", "service"), [("turn", "lambda.amazonaws.com"), ("loop", "states.amazonaws.com")]
)
def test_a_role_is_for_one_service_on_behalf_of_this_account(role: str, service: str) -> None:
    trusted = declared().one("iam:Role", f"slipway-prod-{role}-role").inputs["assumeRolePolicy"]

    assert policy_statements(trusted) == [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": service},
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    ]


def test_the_function_may_do_what_a_release_needs_on_what_is_the_stacks_own() -> None:
    sagemaker = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
    endpoints, configs, models = (
        [f"{sagemaker}:{kind}/*"] for kind in ("endpoint", "endpoint-config", "model")
    )
    scalable = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/*"

    allowed = {
        sid: (told["Action"], told["Resource"])
        for sid, told in statements("slipway-prod-turn-policy").items()
    }

    assert allowed == {
        "LookAtEndpoints": (["sagemaker:DescribeEndpoint"], endpoints),
        "LookAtConfigurations": (
            ["sagemaker:DescribeEndpointConfig", "sagemaker:ListTags"],
            [*endpoints, *configs],
        ),
        "ListConfigurations": (["sagemaker:ListEndpointConfigs"], ["*"]),
        "LookAtModels": (["sagemaker:DescribeModel"], models),
        "MoveTraffic": (
            ["sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
            endpoints,
        ),
        "MoveTrafficTo": (["sagemaker:UpdateEndpoint"], configs),
        "MakeTransition": (["sagemaker:CreateEndpointConfig"], configs),
        "TagTransition": (["sagemaker:AddTags"], configs),
        "CollectVersions": (
            ["sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"],
            [*configs, *models],
        ),
        "ReadMetrics": (["cloudwatch:GetMetricData"], ["*"]),
        "ReadTrail": (["cloudtrail:LookupEvents"], ["*"]),
        "ReadAlarms": (
            ["cloudwatch:DescribeAlarms"],
            [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"],
        ),
        "MakeRollbackAlarms": (
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"],
            [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*-????????T??????-????-*"],
        ),
        "LetScalingMakeItsAlarms": (
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"],
            [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:TargetTracking-endpoint/*"],
        ),
        "PublishVerdict": (["cloudwatch:PutMetricData"], ["*"]),
        "ReadScaling": (
            [
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
                "application-autoscaling:DescribeScheduledActions",
            ],
            ["*"],
        ),
        "MoveScaling": (
            [
                "application-autoscaling:DeleteScalingPolicy",
                "application-autoscaling:DeleteScheduledAction",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
            ],
            [scalable],
        ),
        "ReadScalingTags": (["application-autoscaling:ListTagsForResource"], [scalable]),
        "TagScaling": (["application-autoscaling:TagResource"], [scalable]),
        "ReadHistory": (["s3:GetObject"], [f"{HISTORY}/*"]),
        "WriteHistory": (["s3:PutObject"], [f"{HISTORY}/endpoints/*", f"{HISTORY}/releases/*"]),
        "ForgetRequests": (["s3:DeleteObject"], [f"{HISTORY}/endpoints/*/request.json"]),
        "TellMissingFromForbidden": (["s3:ListBucket"], [HISTORY]),
        "CollectArtifacts": (["s3:DeleteObject"], [f"{ARTIFACTS}/artifacts/*"]),
        "ReadCaptures": (["s3:GetObject"], [f"{ARTIFACTS}/capture/*"]),
        "ListCaptures": (["s3:ListBucket"], [ARTIFACTS]),
        "Announce": (["sns:Publish"], [TOPIC]),
        "AnnounceOnEventBus": (
            ["events:PutEvents"],
            [f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"],
        ),
        "WriteLogs": (
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"arn:aws:any:{REGION}:{ACCOUNT}:loggroup//aws/lambda/slipway-prod-turn-1234567:*"],
        ),
    }


def test_what_has_no_resources_or_many_has_a_condition() -> None:
    conditions = {
        sid: told["Condition"]
        for sid, told in statements("slipway-prod-turn-policy").items()
        if "Condition" in told
    }

    assert conditions == {
        "MoveTraffic": {"StringEquals": {"aws:ResourceTag/slipway:stack": "prod"}},
        "MakeTransition": {"StringEquals": {"aws:RequestTag/slipway:stack": "prod"}},
        "TagTransition": {
            "StringEquals": {
                "aws:RequestTag/slipway:stack": "prod",
                "sagemaker:TaggingAction": "CreateEndpointConfig",
            }
        },
        "CollectVersions": {"StringEquals": {"aws:ResourceTag/slipway:stack": "prod"}},
        "PublishVerdict": {"StringEquals": {"cloudwatch:namespace": "Slipway/Releases"}},
        "MoveScaling": {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
        "TagScaling": {"StringEquals": {"aws:RequestTag/slipway:stack": "prod"}},
        "ListCaptures": {"StringLike": {"s3:prefix": ["capture/*"]}},
        "AnnounceOnEventBus": {"StringEquals": {"events:source": "slipway"}},
    }


def test_the_functions_runtime_is_ours_and_one_that_aws_and_the_local_cloud_run() -> None:
    (function,) = declared().of("lambda:Function")
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"

    assert function.inputs["runtime"] == LAMBDA_RUNTIME == ours
    assert RUNTIMES == (LAMBDA_RUNTIME,)
    assert LAMBDA_RUNTIME in {runtime.value for runtime in aws.lambda_.Runtime}


def test_the_policy_stays_within_what_a_role_may_have_however_many_models() -> None:
    models = tuple(
        model_config(name=f"model-{i}", endpoint_name=f"a-rather-long-endpoint-name-{i}")
        for i in range(50)
    )
    found = declare(StackConfig("prod", models, LAMBDA_DRIVER), EMPTY)
    policy = found.one("iam:RolePolicy", "slipway-prod-turn-policy").inputs["policy"]
    assert len("".join(policy.split())) < 10_240, "IAM counts no white space"


def test_the_alarms_that_a_release_makes_are_among_those_it_may_make() -> None:
    made = statements("slipway-prod-turn-policy")["MakeRollbackAlarms"]["Resource"][0]
    name = f"{release_id('wine', 1_790_000_000.0, 'ab12')}-errors-candidate"
    assert fnmatchcase(f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}", made)
    standing = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:wine-prod-errors"
    assert not fnmatchcase(standing, made)


def test_the_configurations_that_a_release_makes_are_among_those_it_may_make() -> None:
    endpoint = "a" + "-b" * 31
    found = declare(
        StackConfig("prod", (model_config(endpoint_name=endpoint),), LAMBDA_DRIVER), EMPTY
    )
    policy = found.one("iam:RolePolicy", "slipway-prod-turn-policy").inputs["policy"]
    (made,) = [s for s in policy_statements(policy) if s["Sid"] == "MakeTransition"]
    made_by = replace(release(), manifest=replace(manifest(), endpoint_name=endpoint))

    name = transition_config(made_by)

    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint-config/{name}"
    assert len(name) <= 63
    assert any(fnmatchcase(arn, pattern) for pattern in made["Resource"])


def test_the_loop_may_invoke_tell_log_and_start_its_successor() -> None:
    loop = statements("slipway-prod-loop-policy")
    succession = statements("slipway-prod-loop-succession")

    assert loop["TakeTurns"]["Resource"] == [FUNCTION]
    assert loop["TakeTurns"]["Action"] == ["lambda:InvokeFunction"]
    assert loop["SayItIsStuck"]["Action"] == ["sns:Publish"]
    assert loop["SayItIsStuck"]["Resource"] == [TOPIC]
    assert set(loop) == {"TakeTurns", "SayItIsStuck", "DeliverLogs"}
    assert [s["Resource"] for s in succession.values()] == [[MACHINE]]
    assert [s["Action"] for s in succession.values()] == [["states:StartExecution"]]


def test_no_policy_of_the_controller_allows_a_whole_family_of_actions() -> None:
    for policy in declared().of("iam:RolePolicy"):
        for statement in policy_statements(policy.inputs["policy"]):
            assert statement["Effect"] == "Allow"
            assert [a for a in statement["Action"] if "*" in a] == []


def test_the_function_may_invoke_the_hooks_that_are_functions_and_no_others() -> None:
    gates = (HookGate("smoke", function_arn=HOOK), HookGate("here", command=("true",)))
    release = replace(model_config().release, gates=gates)
    model = model_config(release=release)

    found = declare(StackConfig("prod", (model,), LAMBDA_DRIVER), EMPTY)

    policy = found.one("iam:RolePolicy", "slipway-prod-turn-policy").inputs["policy"]
    asked = [s for s in policy_statements(policy) if s["Sid"] == "AskHooks"]
    assert [(s["Action"], s["Resource"]) for s in asked] == [(["lambda:InvokeFunction"], [HOOK])]


def test_the_manifest_waits_for_the_controller_and_names_it() -> None:
    found = declared()
    stored = found.one("s3:BucketObjectv2", "wine-manifest")
    before = {found.by_urn(urn).name for urn in stored.dependencies}

    manifest = ReleaseManifest.from_json(stored.inputs["content"], "the manifest")

    assert {r.name for r in found.custom()} - before == {"wine-manifest"}
    assert manifest.controller.state_machine_arn == MACHINE
    assert manifest.controller.topic_arn == TOPIC
    assert manifest.controller.event_bus == "default"


def test_nobody_publishes_events_without_tls() -> None:
    policy = declared().one("sns:TopicPolicy").inputs

    assert policy["arn"] == TOPIC
    assert policy_statements(policy["policy"]) == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": TOPIC,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


# --- what is shipped


def test_only_the_code_of_release_and_contracts_is_shipped() -> None:
    files = code_files()

    assert {path.split("/")[0] for path in files} == {"contracts", "release"}
    assert {Path(path).suffix for path in files} <= {".py", ".html", ".css"}
    assert {"release/handler.py", "release/page/page.html", "contracts/history.py"} <= files.keys()
    assert not [path for path in files if "__pycache__" in path]


ALONE = """
import importlib, pkgutil, sys

archive, *places = sys.argv[1:]
PINNED = {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"}


class OnlyBoto3:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in PINNED | {"contracts", "release"} or top in sys.stdlib_module_names:
            return None
        raise ImportError(f"{name} is not in a Lambda")


sys.path = [archive, *[p for p in sys.path if p], *places]
sys.meta_path.insert(0, OnlyBoto3())
import release.handler, contracts

for package in (release, contracts):
    assert archive in package.__file__, package.__file__
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from release.page.render import resources

release.handler.AwsWorld("bucket", "endpoint")
assert "<!doctype html>" in resources.files("release.page").joinpath("page.html").read_text("utf-8")
print("imported")
"""


def test_the_archive_runs_alone_with_boto3(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path, file in code_files().items():
            packed.write(file, path)
    site = next(p for p in sys.path if p.endswith("site-packages"))

    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(archive), site],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": REGION, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
    )

    assert ran.stdout == "imported\n", ran.stderr
