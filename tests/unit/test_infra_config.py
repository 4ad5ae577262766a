"""The stack's configuration: what it means, and what is said about each mistake in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import config as pulumi_config

from contracts.package import ARCHIVE_FILE, MANIFEST_FILE
from contracts.release_manifest import (
    AlarmGate,
    AllAtOnce,
    BlueGreen,
    Canary,
    CanaryShift,
    ErrorGate,
    HookGate,
    LatencyGate,
    LimitGate,
    LinearShift,
    PredictionGate,
    Rolling,
    Shadow,
    Step,
    Strategy,
    Tolerance,
)
from infra import config
from infra.config import ConfigError, parse
from infra.settings import DEFAULT_STEPS, ImageBuildConfig, ModelConfig, Scaling, StackConfig
from monitoring.alarms import AlarmLimits
from tests.unit.infra_bad_configs import BAD_MODELS, BAD_ROOTS, with_model
from tests.unit.infra_samples import (
    ACCEPTED,
    DIGEST,
    IMAGE,
    LOCAL_IMAGE,
    ROOT,
    package_of,
    write_package,
)


def read(raw: Mapping[str, Any], stack: str = "prod", local_image: str = "") -> StackConfig:
    return parse(raw, stack, ROOT, local_image, package_of)


def read_model(raw: Mapping[str, Any], name: str = "wine") -> ModelConfig:
    return next(model for model in read(raw).models if model.name == name)


def problems_of(raw: Mapping[str, Any], stack: str = "prod", local_image: str = "") -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(raw, stack, local_image)
    return list(refused.value.problems)


# --- what is accepted, and what it means


def test_a_package_and_an_image_are_all_that_a_first_user_writes() -> None:
    model = read_model(ACCEPTED["the least"])

    assert model.endpoint_name == "wine-prod"
    assert model.package.folder == ROOT / "dist" / "wine" / "3"
    assert model.package.archive == ROOT / "dist" / "wine" / "3" / "model.tar.gz"
    assert model.image == IMAGE
    assert model.instance_type == "ml.c7i.large"
    assert model.environment == {}
    assert model.capture_percent is None
    assert model.scaling == Scaling(2, 4, 1000.0, 300, 60)
    assert model.alarms == AlarmLimits(0.05, 500_000)
    assert model.release.strategy == Canary(DEFAULT_STEPS)
    assert model.release.steps == DEFAULT_STEPS
    assert model.release.gates == (ErrorGate(1.0), LatencyGate(500_000, 1.25))
    assert model.release.on_inconclusive == "rollback"
    assert model.release.settle_seconds == 180
    assert model.release.warm_up_seconds == 180
    assert model.release.post_bake_seconds == 600
    assert model.release.keep_versions == 3


def test_everything_that_can_be_written_is_read_in_seconds_microseconds_and_percent() -> None:
    model = read_model(ACCEPTED["everything"])

    assert model.endpoint_name == "Wine-of-today"
    assert model.instance_type == "ml.g5.xlarge"
    assert model.environment == {"LEVEL": "debug"}
    assert model.capture_percent == 20
    assert model.scaling == Scaling(3, 9, 1200.5, 600, 45)
    assert model.alarms == AlarmLimits(0.02, 80_000)
    assert model.release.steps == (
        Step(0.5, Tolerance(2, 1), 180, 7200),
        Step(20, Tolerance(5, 5), 120, 7200),
        Step(50, Tolerance(2, 1), 5400, 172_800),
    )
    assert model.release.gates == (ErrorGate(1.5), LatencyGate(50_000, 1.1))
    assert model.release.settle_seconds == 30
    assert model.release.warm_up_seconds == 0
    assert model.release.post_bake_seconds == 3600
    assert model.release.keep_versions == 5


def test_every_strategy_and_gate_is_read() -> None:
    release = read_model(ACCEPTED["strategies"]).release

    rolling = Rolling(50, 120, Tolerance(2, 1), rollback_batch_percent=50, timeout_seconds=7200)
    assert release.strategy == Shadow(20, Tolerance(2, 1), 300, 3600, 0.1, rolling)
    assert release.gates == (
        ErrorGate(),
        PredictionGate(0.2, (0.25, 0.5), dry_run=True),
        LimitGate("errors", 0.05),
        LimitGate("slow", 0.1, 50_000),
        LimitGate("p95", 80_000),
        AlarmGate("orders"),
        HookGate("smoke", ("./smoke", "--fast"), "", 10, 300),
        HookGate("score", (), "arn:aws:lambda:eu-west-1:123456789012:function:score", 30, 60),
    )
    assert read_model(ACCEPTED["held"]).release.on_inconclusive == "hold"


@pytest.mark.parametrize(
    ("written", "strategy"),
    [
        ({"strategy": "canary"}, Canary(DEFAULT_STEPS)),
        (
            {"strategy": "blue_green"},
            BlueGreen(CanaryShift(10, 600), 300, Tolerance(2, 1)),
        ),
        (
            {"strategy": "blue_green", "blueGreen": {"traffic": "all_at_once"}},
            BlueGreen(AllAtOnce(), 300, Tolerance(2, 1)),
        ),
        (
            {
                "strategy": "blue_green",
                "blueGreen": {"traffic": "linear", "size": 20, "timeout": "2h"},
            },
            BlueGreen(LinearShift(20, 600), 300, Tolerance(2, 1), 7200),
        ),
        ({"strategy": "rolling"}, Rolling(25, 600, Tolerance(2, 1))),
        ({"strategy": "shadow"}, Shadow(100, Tolerance(2, 1), 180, 7200, 0.05)),
        (
            {"strategy": "shadow", "shadow": {"then": "canary"}},
            Shadow(100, Tolerance(2, 1), 180, 7200, 0.05, Canary(DEFAULT_STEPS)),
        ),
    ],
)
def test_each_strategy_has_defaults_for_all_that_is_not_written(
    written: dict[str, Any], strategy: Strategy
) -> None:
    raw = {"models": {"wine": {"package": "dist/wine/3", "image": IMAGE, "release": written}}}

    assert read_model(raw).release.strategy == strategy


def test_defaults_reach_every_model_that_does_not_write_its_own() -> None:
    wine = read_model(ACCEPTED["layers"])

    assert wine.image == IMAGE
    assert wine.instance_type == "ml.c7i.xlarge"
    assert wine.environment == {"LEVEL": "info", "THREADS": "2"}
    assert wine.capture_percent == 100
    assert wine.scaling == Scaling(4, 6)
    assert wine.alarms == AlarmLimits(0.01, 1_000_000)
    assert [step.weight for step in wine.release.steps] == [10]
    assert (wine.release.keep_versions, wine.release.post_bake_seconds) == (7, 1200)


def test_a_model_overrides_single_values_inside_nested_defaults() -> None:
    beer = read_model(ACCEPTED["layers"], "beer")

    assert beer.environment == {"LEVEL": "debug", "THREADS": "2"}
    assert beer.capture_percent is None, "an explicit 0 turns the default capture off"
    assert beer.scaling == Scaling(4, 12)
    assert beer.alarms == AlarmLimits(0.01, 800)
    assert [step.weight for step in beer.release.steps] == [10]
    assert (beer.release.keep_versions, beer.release.post_bake_seconds) == (7, 300)


def test_a_key_left_empty_counts_as_not_written() -> None:
    raw = with_model(instanceType=None, release=None, endpoint={"name": None, "instances": None})

    assert read(raw) == read(with_model())


def test_the_latency_gate_follows_the_latency_alarm_unless_gates_are_written() -> None:
    model = read_model(with_model(alarms={"latency": "80ms"}))

    assert model.release.gates == (ErrorGate(), LatencyGate(80_000))


def test_more_instances_than_the_default_maximum_need_no_maximum() -> None:
    assert read_model(with_model(endpoint={"instances": {"min": 7}})).scaling == Scaling(7, 7)


def test_a_registered_name_with_underscores_is_written_with_hyphens() -> None:
    raw = {"models": {"my-wine": {"package": "dist/my_wine/3", "image": IMAGE}}}

    assert read_model(raw, "my-wine").package.manifest.model == "my_wine"


def test_the_local_stack_runs_the_image_of_the_local_cloud() -> None:
    raw = {"models": {"wine": {"package": "dist/wine/3"}}}

    (model,) = read(raw, "local", LOCAL_IMAGE).models

    assert (model.image, model.endpoint_name) == (LOCAL_IMAGE, "wine-local")


# --- what is refused, and in which words


@pytest.mark.parametrize("case", BAD_MODELS, ids=lambda case: case.name)
def test_a_mistake_in_a_model_is_named_with_key_value_what_is_allowed_and_what_to_do(
    case: Any,
) -> None:
    assert problems_of(with_model(**case.values)) == list(case.problems)


@pytest.mark.parametrize("case", BAD_ROOTS, ids=lambda case: case.name)
def test_a_mistake_around_the_models_is_named_as_fully(case: Any) -> None:
    assert problems_of(case.values) == list(case.problems)


def test_three_mistakes_are_reported_at_once() -> None:
    raw = with_model(
        instanceType="c7i.large",
        endpoint={"name": "wine_prod"},
        release={"postBake": 600},
    )

    with pytest.raises(ConfigError) as refused:
        read(raw)

    assert str(refused.value) == (
        "Pulumi.prod.yaml has 3 problems:\n"
        "  - slipway:models.wine.instanceType is 'c7i.large'; an instance type of SageMaker is "
        "allowed; write one such as ml.c7i.large\n"
        "  - slipway:models.wine.endpoint.name is 'wine_prod'; SageMaker allows letters, digits "
        "and hyphens between them, at most 63 in all; write a shorter or simpler endpoint.name\n"
        "  - slipway:models.wine.release.postBake is 600; a duration such as 45s, 3m or 2h is "
        "allowed; write the number with its unit (s, m, h, d)"
    )


def test_one_mistake_is_one_problem() -> None:
    with pytest.raises(ConfigError) as refused:
        read(with_model(capture={"sampling": 101}))

    assert str(refused.value) == (
        "Pulumi.prod.yaml has 1 problem:\n"
        "  - slipway:models.wine.capture.sampling is 101; a whole number from 0 to 100 is "
        "allowed; change it"
    )


def test_a_mistake_in_the_defaults_is_named_there_and_once_for_all_models() -> None:
    raw = {
        "defaults": {"instanceType": "large", "image": IMAGE, "release": {"step": []}},
        "models": {"wine": {"package": "dist/wine/3"}, "beer": {"package": "dist/beer/1"}},
    }

    assert problems_of(raw) == [
        (
            "slipway:defaults.instanceType is 'large'; an instance type of SageMaker is allowed; "
            "write one such as ml.c7i.large"
        ),
        (
            "slipway:defaults.release.step is []; there is no such key, the keys are blueGreen, "
            "gates, keepVersions, onInconclusive, postBake, rolling, settle, shadow, steps, "
            "strategy, warmUp; "
            "correct its spelling or remove it"
        ),
    ]


def test_a_value_of_the_defaults_that_a_models_own_value_excludes_is_named_where_it_stands() -> (
    None
):
    raw = {
        "defaults": {"endpoint": {"instances": {"max": 4}}},
        **with_model(endpoint={"instances": {"min": 6}}),
    }

    assert problems_of(raw) == [
        "slipway:defaults.endpoint.instances.max is 4; at least min, 6, is allowed; raise it"
    ]


def test_two_models_with_one_endpoint_name_are_refused_though_one_has_no_package() -> None:
    """SageMaker takes names that differ in case only for the same."""
    raw = {
        "models": {
            "wine": {"package": "dist/wine/3", "image": IMAGE, "endpoint": {"name": "drinks"}},
            "beer": {"image": IMAGE, "endpoint": {"name": "Drinks"}},
        }
    }

    assert problems_of(raw) == [
        (
            "slipway:models.beer.package is missing; a folder with manifest.json is needed; "
            "make one with `slipway package beer/VERSION` and name it"
        ),
        (
            "slipway:models.beer.endpoint.name is 'Drinks'; model wine has the same endpoint name; "
            "give one of them another name"
        ),
    ]


def test_an_endpoint_name_that_the_stacks_name_makes_too_long_is_refused() -> None:
    name, stack = "w" * 45, "a-stack-of-long-name"
    raw = {"models": {name: {"package": f"dist/{name}/3", "image": IMAGE}}}

    assert problems_of(raw, stack) == [
        (
            f"slipway:models.{name}.endpoint.name is '{name}-{stack}'; SageMaker allows letters, "
            "digits and hyphens between them, at most 63 in all; write a shorter or simpler "
            "endpoint.name"
        )
    ]


def test_the_local_stack_takes_no_image_of_its_own() -> None:
    assert problems_of(with_model(), "local", LOCAL_IMAGE) == [
        (
            f"slipway:models.wine.image is '{IMAGE[:76]}...; the stack local runs its own model "
            "server and takes no image; remove it"
        )
    ]


@pytest.mark.parametrize(
    ("image", "received"),
    [("", "is missing"), ("slipway-local:latest", "is 'slipway-local:latest'")],
)
def test_the_local_stack_needs_the_local_clouds_image(image: str, received: str) -> None:
    raw = {"models": {"wine": {"package": "dist/wine/3"}}}

    assert problems_of(raw, "local", image) == [
        (
            f"the variable SLIPWAY_LOCAL_IMAGE {received}; the local cloud's image with its digest "
            'is needed; use `slipway up`, or first run `eval "$(slipway env local)"`'
        )
    ]


# --- packages, as they lie on disk


def package_problem(root: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        parse(with_model(), "prod", root, "")
    (problem,) = refused.value.problems
    return problem


def test_a_whole_package_is_accepted(tmp_path: Path) -> None:
    folder = write_package(tmp_path)

    (model,) = parse(with_model(), "prod", tmp_path, "").models

    assert model.package.folder == folder
    assert model.package.manifest.version == "3"


def test_a_package_folder_that_is_missing_says_how_to_make_it(tmp_path: Path) -> None:
    assert package_problem(tmp_path) == (
        "slipway:models.wine.package is 'dist/wine/3'; the package cannot be used; "
        f"no package at {tmp_path}/dist/wine/3: manifest.json is missing; "
        "make one with `slipway package wine/3`"
    )


def test_a_package_without_its_archive_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path)
    (folder / ARCHIVE_FILE).unlink()

    assert package_problem(tmp_path) == (
        "slipway:models.wine.package is 'dist/wine/3'; the package cannot be used; "
        f"{folder}/model.tar.gz is missing; package it again with `slipway package wine/3`"
    )


def test_an_archive_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path, b"0123456789")
    (folder / ARCHIVE_FILE).write_bytes(b"01234")

    assert package_problem(tmp_path) == (
        "slipway:models.wine.package is 'dist/wine/3'; the package cannot be used; "
        f"{folder}/model.tar.gz has 5 bytes, its manifest says 10: the file is cut short or was "
        "changed; package it again with `slipway package wine/3`"
    )


def test_an_archive_with_another_hash_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path, b"0123456789")
    (folder / ARCHIVE_FILE).write_bytes(b"9876543210")

    assert package_problem(tmp_path) == (
        "slipway:models.wine.package is 'dist/wine/3'; the package cannot be used; "
        f"{folder}/model.tar.gz has sha256 7619ee8cea49…, its manifest says 84d89877f0d4…: the "
        "file was changed; package it again with `slipway package wine/3`"
    )


def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path)
    (folder / MANIFEST_FILE).write_text("{")

    assert package_problem(tmp_path) == (
        "slipway:models.wine.package is 'dist/wine/3'; the package cannot be used; "
        f"{folder}/manifest.json is not JSON (Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)); package the model again"
    )


# --- through Pulumi


@pytest.fixture
def pulumi_values(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what Pulumi would hand over; nothing of it outlives the test."""
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)
    before = pulumi_config.CONFIG.get()
    yield pulumi_config.set_all_config
    pulumi_config.CONFIG.set(before)


def test_pulumis_own_configuration_is_read_with_other_namespaces_left_alone(
    pulumi_values: Any, tmp_path: Path
) -> None:
    write_package(tmp_path)
    pulumi_values(
        {
            "aws:region": "eu-west-1",
            "slipway:defaults": f'{{"image": "{IMAGE}"}}',
            "slipway:models": '{"wine": {"package": "dist/wine/3"}}',
        }
    )

    loaded = config.load(pulumi.Config("slipway"), "prod", tmp_path, "")

    assert loaded.stack == "prod"
    assert [(m.name, m.image.endswith(DIGEST)) for m in loaded.models] == [("wine", True)]


def test_a_program_that_the_cli_runs_gets_its_values_from_the_environment(
    pulumi_values: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi_values({})
    monkeypatch.setenv("PULUMI_CONFIG", '{"slipway:models": "wine", "slipway:model": "7"}')

    with pytest.raises(ConfigError) as refused:
        config.load(pulumi.Config("slipway"), "dev", tmp_path, "")

    assert str(refused.value) == (
        "Pulumi.dev.yaml has 2 problems:\n"
        "  - slipway:model is 7; there is no such key, the keys are "
        "slipway:controller, slipway:defaults, slipway:imageBuild, slipway:models; "
        "correct its spelling or remove it\n"
        "  - slipway:models is 'wine'; a map is allowed; write `key: value` under it"
    )


@pytest.mark.parametrize(
    ("stack", "raw", "driver"),
    [
        ("local", {}, "terminal"),
        ("prod", {}, "lambda"),
        ("local", {"controller": {"driver": "lambda"}}, "lambda"),
        ("prod", {"controller": {"driver": "terminal"}}, "terminal"),
        ("prod", {"controller": None}, "lambda"),
    ],
)
def test_releases_are_driven_by_a_lambda_but_for_the_local_stacks(
    stack: str, raw: dict[str, Any], driver: str
) -> None:
    image = {} if stack == "local" else {"image": IMAGE}
    models = {"models": {"wine": {"package": "dist/wine/3", **image}}}

    assert parse({**models, **raw}, stack, ROOT, LOCAL_IMAGE, package_of).driver == driver


# --- where a problem stands


def test_a_problem_is_told_with_the_line_of_its_key_or_of_the_last_key_before_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_text(
        "config:\n"
        "  aws:region: eu-west-1\n"
        "  slipway:models:\n"
        "    wine:\n"
        "      package: dist/wine/3\n"
        "      release:\n"
        "        steps:\n"
        "          - {weight: 50}\n"
        "          - {weight: 20}\n"
    )
    steps = [{"weight": 50}, {"weight": 20}]
    raw = {"models": {"wine": {"package": "dist/wine/3", "release": {"steps": steps}}}}

    with pytest.raises(ConfigError) as refused:
        parse(raw, "prod", tmp_path, "", package_of)

    told = str(refused.value).splitlines()
    assert any(t.startswith("  - line 4: slipway:models.wine.image is missing;") for t in told)
    assert any(
        t.startswith("  - line 9: slipway:models.wine.release.steps[1].weight is 20;") for t in told
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        ({"repository": "mine", "timeout": "1h"}, None),
        ({"codebuild": True}, ImageBuildConfig("slipway-prod", 30)),
        (
            {"codebuild": True, "repository": "team/models_a", "timeout": "36h"},
            ImageBuildConfig("team/models_a", 2160),
        ),
    ],
)
def test_images_are_built_in_aws_where_it_is_asked_for(
    written: Any, meant: ImageBuildConfig | None
) -> None:
    assert read({**with_model(), "imageBuild": written}, "Prod").image_build == meant


def test_a_stacks_name_that_no_repository_may_have_is_told() -> None:
    model = with_model(endpoint={"name": "wine"})
    assert problems_of({**model, "imageBuild": {"codebuild": True}}, "a__b") == [
        (
            "slipway:imageBuild.repository is missing; without it the name would be "
            "'slipway-a__b', and only lower-case letters and digits, with single . _ - or / "
            "between them, at most 256 in all, are allowed; write a name"
        )
    ]


BUILT_IN_AWS: dict[str, Any] = {"imageBuild": {"codebuild": True}}


def test_a_new_stack_that_builds_its_images_needs_none_yet() -> None:
    first = read({**with_model(image=None), **BUILT_IN_AWS})

    assert (first.models, first.waits_for_image) == ((), True)
    assert first.image_build is not None
    wrong = {**with_model(image=None, instanceType="big"), **BUILT_IN_AWS}
    assert "slipway:models.wine.instanceType is 'big'" in problems_of(wrong)[0]


def test_an_image_that_one_model_of_several_lacks_is_told() -> None:
    models = {
        "wine": {"package": "dist/wine/3", "image": IMAGE},
        "beer": {"package": "dist/beer/1"},
    }

    assert (
        "slipway:models.beer.image is missing" in problems_of({"models": models, **BUILT_IN_AWS})[0]
    )
    whole = read({"models": models, "defaults": {"image": IMAGE}, **BUILT_IN_AWS})
    assert (len(whole.models), whole.waits_for_image) == (2, False)


def test_the_stack_on_this_machine_waits_for_no_image() -> None:
    raw = {"models": {"wine": {"package": "dist/wine/3"}}, **BUILT_IN_AWS}

    assert not read(raw, "local", LOCAL_IMAGE).waits_for_image
