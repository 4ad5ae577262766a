"""Configurations that are refused, each with all that is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.unit.infra_samples import IMAGE

WINE = "slipway:models.wine"
SPELLING = "correct its spelling or remove it"
UNIT = "write the number with its unit (s, m, h, d)"
DURATION = "a duration such as 45s, 3m or 2h is allowed"
LATENCY = "a latency such as 50ms or 1s is allowed"
LATENCY_UNIT = "write the number with its unit (us, ms, s)"
NAME_RULE = (
    "SageMaker allows letters, digits and hyphens between them, at most 63 in all; "
    "write a shorter or simpler endpoint.name"
)
PINNED = (
    "an image pinned by its digest, REPOSITORY@sha256:…, is needed; "
    "push the model server's image and write the digest that the push printed"
)
RISING = "write the steps from the smallest weight to the largest"
SHARE = (
    "a share in percent from 0.01 to below 100 is allowed; "
    "change it; the swap takes the last share, so a step of 100 is left out"
)
MODEL_KEYS = "alarms, capture, endpoint, environment, image, instanceType, package, release"
SHARED_KEYS = "alarms, capture, endpoint, environment, image, instanceType, release"
RELEASE_KEYS = (
    "blueGreen, gates, keepVersions, onInconclusive, postBake, rolling, settle, shadow, steps, "
    "strategy, warmUp"
)
NO_GATE = (
    "errors, latency, predictions, limit are known; a gate may also be `alarm: NAME` or "
    "`hook: NAME`; write one of them"
)
MODEL_NAME_RULE = (
    "a model's name has letters, digits and single hyphens between them, at most 45; "
    "rename it; a registered model `my_model` is written `my-model` here"
)


@dataclass(frozen=True)
class BadConfig:
    """``in_schema``: the JSON Schema of the stack file can tell as well."""

    name: str
    values: dict[str, Any]
    problems: tuple[str, ...]
    in_schema: bool = True


def with_model(**values: Any) -> dict[str, Any]:
    """One model ``wine`` with these values beside a package and an image; None is an empty key."""
    return {"models": {"wine": {"package": "dist/wine/3", "image": IMAGE, **values}}}


def _bad(name: str, problem: str | tuple[str, ...], /, **values: Any) -> BadConfig:
    return BadConfig(name, values, (problem,) if isinstance(problem, str) else problem)


def _beyond_schema(name: str, problem: str | tuple[str, ...], /, **values: Any) -> BadConfig:
    return BadConfig(name, values, (problem,) if isinstance(problem, str) else problem, False)


def _unknown(path: str, value: Any, keys: str) -> str:
    return f"{WINE}.{path} is {value!r}; there is no such key, the keys are {keys}; {SPELLING}"


def _steps(*steps: Any) -> dict[str, Any]:
    return {"steps": list(steps)}


UNKNOWN_KEYS = (
    _bad("unknown key of a model", _unknown("stage", "x", MODEL_KEYS), stage="x"),
    _bad(
        "unknown key of endpoint",
        _unknown("endpoint.count", 2, "instances, name, scaling"),
        endpoint={"count": 2},
    ),
    _bad(
        "unknown key of instances",
        _unknown("endpoint.instances.most", 2, "max, min"),
        endpoint={"instances": {"most": 2}},
    ),
    _bad(
        "unknown key of scaling",
        _unknown(
            "endpoint.scaling.target",
            5,
            "invocationsPerInstance, scaleInCooldown, scaleOutCooldown",
        ),
        endpoint={"scaling": {"target": 5}},
    ),
    _bad(
        "unknown key of capture", _unknown("capture.percent", 5, "sampling"), capture={"percent": 5}
    ),
    _bad("unknown key of alarms", _unknown("alarms.p95", 5, "errors, latency"), alarms={"p95": 5}),
    _bad(
        "unknown key of release",
        _unknown(
            "release.bake",
            "3m",
            RELEASE_KEYS,
        ),
        release={"bake": "3m"},
    ),
    _bad(
        "unknown key of a step",
        _unknown("release.steps[0].share", 5, "bake, tolerance, weight"),
        release=_steps({"weight": 5, "share": 5}),
    ),
    _bad(
        "unknown key of a tolerance",
        _unknown("release.steps[0].tolerance.percent", 5, "points, ratio"),
        release=_steps({"weight": 5, "tolerance": {"percent": 5}}),
    ),
    _bad(
        "unknown key of a bake",
        _unknown("release.steps[0].bake.longest", "5m", "max, min"),
        release=_steps({"weight": 5, "bake": {"longest": "5m"}}),
    ),
    _bad(
        "unknown key of the error gate",
        _unknown("release.gates[0].over", "5ms", "allow, dryRun, metric"),
        release={"gates": [{"metric": "errors", "over": "5ms"}]},
    ),
    _bad(
        "unknown key of the latency gate",
        _unknown("release.gates[0].above", "5ms", "allow, dryRun, metric, over"),
        release={"gates": [{"metric": "latency", "over": "5ms", "above": "5ms"}]},
    ),
)

PACKAGES = (
    _bad(
        "package missing",
        f"{WINE}.package is missing; a folder with manifest.json is needed; "
        "make one with `slipway package wine/VERSION` and name it",
        package=None,
    ),
    _bad(
        "package is a number",
        f"{WINE}.package is 3; a folder with manifest.json is needed; "
        "make one with `slipway package wine/VERSION` and name it",
        package=3,
    ),
    _bad(
        "package by URL",
        f"{WINE}.package is 's3://models/wine/3'; a folder of this machine is allowed; "
        "copy the package's folder here and name that",
        package="s3://models/wine/3",
    ),
    _beyond_schema(
        "package of another model",
        f"{WINE}.package is 'dist/beer/1'; it holds the model 'beer', not 'wine'; "
        "name a package of this model, or write it under its own name",
        package="dist/beer/1",
    ),
)

IMAGES = (
    _beyond_schema("image missing", f"{WINE}.image is missing; {PINNED}", image=None),
    _bad("image without digest", f"{WINE}.image is 'slipway:3'; {PINNED}", image="slipway:3"),
    _bad(
        "image with a short digest",
        f"{WINE}.image is 'slipway@sha256:abc'; {PINNED}",
        image="slipway@sha256:abc",
    ),
    _bad("image is a number", f"{WINE}.image is 3; {PINNED}", image=3),
)

PLAIN_VALUES = (
    _bad(
        "instance type without ml",
        f"{WINE}.instanceType is 'm5.large'; an instance type of SageMaker is allowed; "
        "write one such as ml.c7i.large",
        instanceType="m5.large",
    ),
    _bad(
        "environment is a list",
        f"{WINE}.environment is ['A=1']; a map is allowed; write `key: value` under it",
        environment=["A=1"],
    ),
    _bad(
        "environment variable is a number",
        f"{WINE}.environment.THREADS is 2; text is allowed; put it in quotes",
        environment={"THREADS": 2},
    ),
    _bad(
        "environment variable of Slipway's own",
        f"{WINE}.environment.SLIPWAY_MANIFEST_SHA256 is 'x'; Slipway sets this variable itself, "
        "from the package; remove it",
        environment={"SLIPWAY_MANIFEST_SHA256": "x"},
    ),
    _bad(
        "environment variable with a hyphen",
        f"{WINE}.environment.LOG-LEVEL is 'x'; SageMaker allows letters, digits and underscores "
        "in a variable's name, no digit first, and 1024 characters in name and value; change it",
        environment={"LOG-LEVEL": "x"},
    ),
    _bad(
        "capture is a number",
        f"{WINE}.capture is 100; a map is allowed; write `key: value` under it",
        capture=100,
    ),
    _bad(
        "sampling above 100",
        f"{WINE}.capture.sampling is 101; a whole number from 0 to 100 is allowed; change it",
        capture={"sampling": 101},
    ),
    _bad(
        "sampling is a fraction",
        f"{WINE}.capture.sampling is 0.5; a whole number from 0 to 100 is allowed; change it",
        capture={"sampling": 0.5},
    ),
    _bad(
        "sampling is true",
        f"{WINE}.capture.sampling is True; a whole number from 0 to 100 is allowed; change it",
        capture={"sampling": True},
    ),
    _bad(
        "error alarm in percent",
        f"{WINE}.alarms.errors is 5; a number from 0 to 1 is allowed; change it",
        alarms={"errors": 5},
    ),
    _bad(
        "error alarm is text",
        f"{WINE}.alarms.errors is '5%'; a number from 0 to 1 is allowed; change it",
        alarms={"errors": "5%"},
    ),
    _bad(
        "latency alarm without unit",
        f"{WINE}.alarms.latency is 500; {LATENCY}; {LATENCY_UNIT}",
        alarms={"latency": 500},
    ),
    _bad(
        "latency alarm in minutes",
        f"{WINE}.alarms.latency is '1m'; {LATENCY}; {LATENCY_UNIT}",
        alarms={"latency": "1m"},
    ),
)

ENDPOINTS = (
    _bad(
        "endpoint name with an underscore",
        f"{WINE}.endpoint.name is 'wine_prod'; {NAME_RULE}",
        endpoint={"name": "wine_prod"},
    ),
    _bad(
        "endpoint name ending in a hyphen",
        f"{WINE}.endpoint.name is 'wine-'; {NAME_RULE}",
        endpoint={"name": "wine-"},
    ),
    _bad(
        "endpoint name of 64 characters",
        f"{WINE}.endpoint.name is '{'w' * 64}'; {NAME_RULE}",
        endpoint={"name": "w" * 64},
    ),
    _bad("endpoint name empty", f"{WINE}.endpoint.name is ''; {NAME_RULE}", endpoint={"name": ""}),
    # Python's `$` matches before it; the editors' regular expressions refuse it.
    _beyond_schema(
        "endpoint name ending in a line break",
        f"{WINE}.endpoint.name is 'wine\\n'; {NAME_RULE}",
        endpoint={"name": "wine\n"},
    ),
    _bad(
        "endpoint name is a number",
        f"{WINE}.endpoint.name is 7; {NAME_RULE}",
        endpoint={"name": 7},
    ),
    _bad(
        "one instance",
        f"{WINE}.endpoint.instances.min is 1; a whole number from 2 to 1000 is allowed; change it",
        endpoint={"instances": {"min": 1}},
    ),
    _bad(
        "half an instance",
        f"{WINE}.endpoint.instances.max is 2.5; a whole number from 2 to 1000 is allowed; "
        "change it",
        endpoint={"instances": {"max": 2.5}},
    ),
    _beyond_schema(
        "fewer instances at most than at least",
        f"{WINE}.endpoint.instances.max is 3; at least min, 5, is allowed; raise it",
        endpoint={"instances": {"min": 5, "max": 3}},
    ),
    _bad(
        "no invocations per instance",
        f"{WINE}.endpoint.scaling.invocationsPerInstance is 0; a number of at least 1 is allowed; "
        "change it",
        endpoint={"scaling": {"invocationsPerInstance": 0}},
    ),
    _beyond_schema(
        "boundless invocations per instance",
        f"{WINE}.endpoint.scaling.invocationsPerInstance is inf; a number of at least 1 is "
        "allowed; change it",
        endpoint={"scaling": {"invocationsPerInstance": float("inf")}},
    ),
    _bad(
        "cooldown without unit",
        f"{WINE}.endpoint.scaling.scaleInCooldown is '300'; {DURATION}; {UNIT}",
        endpoint={"scaling": {"scaleInCooldown": "300"}},
    ),
)

RELEASES = (
    _bad(
        "unknown strategy",
        f"{WINE}.release.strategy is 'teleport'; canary or blue_green or rolling or shadow is "
        "allowed; write canary, or leave it out",
        release={"strategy": "teleport"},
    ),
    _bad(
        "unknown end of an inconclusive release",
        f"{WINE}.release.onInconclusive is 'promote'; rollback or hold is allowed; "
        "write rollback, or leave it out",
        release={"onInconclusive": "promote"},
    ),
    _bad(
        "release is text",
        f"{WINE}.release is 'canary'; a map is allowed; write `key: value` under it",
        release="canary",
    ),
    _bad(
        "settle without unit",
        f"{WINE}.release.settle is 60; {DURATION}; {UNIT}",
        release={"settle": 60},
    ),
    _bad(
        "warm-up in an unknown unit",
        f"{WINE}.release.warmUp is '2 weeks'; {DURATION}; {UNIT}",
        release={"warmUp": "2 weeks"},
    ),
    _bad(
        "negative post-bake",
        f"{WINE}.release.postBake is '-5m'; {DURATION}; {UNIT}",
        release={"postBake": "-5m"},
    ),
    _bad(
        "no version kept",
        f"{WINE}.release.keepVersions is 0; a whole number from 1 to 50 is allowed; change it",
        release={"keepVersions": 0},
    ),
    _bad(
        "steps are text",
        f"{WINE}.release.steps is '5, 50'; a list is allowed; write its items with `-`",
        release={"steps": "5, 50"},
    ),
    _bad(
        "no steps",
        f"{WINE}.release.steps is []; at least one step is needed; write one, or leave it out",
        release=_steps(),
    ),
    _bad(
        "steps are numbers",
        (
            f"{WINE}.release.steps[0] is 5; a map is allowed; write `key: value` in it",
            f"{WINE}.release.steps[1] is 50; a map is allowed; write `key: value` in it",
        ),
        release=_steps(5, 50),
    ),
    _bad(
        "step without weight",
        f"{WINE}.release.steps[0].weight is missing; {SHARE}",
        release=_steps({"bake": {"min": "3m"}}),
    ),
    _bad(
        "step of 100 percent",
        f"{WINE}.release.steps[1].weight is 100; {SHARE}",
        release=_steps({"weight": 50}, {"weight": 100}),
    ),
    _bad(
        "step of no traffic",
        f"{WINE}.release.steps[0].weight is 0; {SHARE}",
        release=_steps({"weight": 0}),
    ),
    _bad(
        "weight is text",
        f"{WINE}.release.steps[0].weight is '5%'; {SHARE}",
        release=_steps({"weight": "5%"}),
    ),
    _beyond_schema(
        "weights that fall",
        f"{WINE}.release.steps[1].weight is 5; weights must rise, and the step before has 25; "
        f"{RISING}",
        release=_steps({"weight": 25}, {"weight": 5}),
    ),
    _beyond_schema(
        "weights that stay",
        f"{WINE}.release.steps[2].weight is 50; weights must rise, and the step before has 50; "
        f"{RISING}",
        release=_steps({"weight": 5}, {"weight": 50}, {"weight": 50}),
    ),
    _bad(
        "weights that fall around a bad one",
        (
            f"{WINE}.release.steps[1].weight is 'x'; {SHARE}",
            (
                f"{WINE}.release.steps[2].weight is 5; weights must rise, and the step before has "
                f"25; {RISING}"
            ),
        ),
        release=_steps({"weight": 25}, {"weight": "x"}, {"weight": 5}),
    ),
    _bad(
        "tolerance ratio below 1",
        f"{WINE}.release.steps[0].tolerance.ratio is 0.5; a number of at least 1 is allowed; "
        "change it",
        release=_steps({"weight": 5, "tolerance": {"ratio": 0.5}}),
    ),
    _bad(
        "tolerance of more than all",
        f"{WINE}.release.steps[0].tolerance.points is 101; a number from 0 to 100 is allowed; "
        "change it",
        release=_steps({"weight": 5, "tolerance": {"points": 101}}),
    ),
    _bad(
        "bake without unit",
        f"{WINE}.release.steps[0].bake.min is 180; {DURATION}; {UNIT}",
        release=_steps({"weight": 5, "bake": {"min": 180}}),
    ),
    _beyond_schema(
        "bake at most shorter than at least",
        f"{WINE}.release.steps[0].bake.max is '5m'; at least min, 600 s, is allowed; "
        "raise it or lower min",
        release=_steps({"weight": 5, "bake": {"min": "10m", "max": "5m"}}),
    ),
    _beyond_schema(
        "bake at least longer than the default at most",
        f"{WINE}.release.steps[0].bake.max is '7200s'; at least min, 10800 s, is allowed; "
        "raise it or lower min",
        release=_steps({"weight": 5, "bake": {"min": "3h"}}),
    ),
    _bad(
        "a weight that is no share of the traffic",
        f"{WINE}.release.steps[0].weight is 1e-09; {SHARE}",
        release=_steps({"weight": 1e-9}),
    ),
    _beyond_schema(
        "a tolerance that nothing is ever within",
        f"{WINE}.release.steps[0].tolerance is {{'ratio': 1, 'points': 0}}; a ratio above 1, or "
        "points above 0, is needed: no number of requests shows a version to be no worse at all; "
        "write `{ratio: 1.5, points: 0.5}`, for one",
        release=_steps({"weight": 5, "tolerance": {"ratio": 1, "points": 0}}),
    ),
    _beyond_schema(
        "a latency gate at zero",
        f"{WINE}.release.gates[0].over is '0ms'; a latency above zero is needed: every answer "
        "takes some time; write one such as 50ms",
        release={"gates": [{"metric": "latency", "over": "0ms"}]},
    ),
    _beyond_schema(
        "a percentile's limit of zero",
        f"{WINE}.release.gates[0].atMost is '0ms'; a latency above zero such as 50ms is needed; "
        "write it with its unit",
        release={"gates": [{"metric": "limit", "of": "p95", "atMost": "0ms"}]},
    ),
    _beyond_schema(
        "bins without an end",
        f"{WINE}.release.gates[0].bins is [1, inf]; a list of rising numbers is allowed; "
        "write upper edges",
        release={"gates": [{"metric": "predictions", "bins": [1, float("inf")]}]},
    ),
    _beyond_schema(
        "a hook that is asked without a pause",
        f"{WINE}.release.gates[0].every is '0s'; 1s to 24h are allowed; change it",
        release={"gates": [{"hook": "smoke", "command": ["./smoke"], "every": "0s"}]},
    ),
    _beyond_schema(
        "a gate twice",
        f"{WINE}.release.gates[2] is 'errors'; {WINE}.release.gates[0] says the same already; "
        "remove one of them",
        release={
            "gates": [{"metric": "errors"}, {"metric": "errors", "allow": 2}, {"metric": "errors"}]
        },
    ),
    _bad(
        "gates are a map",
        f"{WINE}.release.gates is {{'metric': 'errors'}}; a list is allowed; "
        "write its items with `-`",
        release={"gates": {"metric": "errors"}},
    ),
    _beyond_schema(
        "two limits of slow answers",
        f"{WINE}.release.gates[1].over is '2s'; all gates count slow answers over one latency, and "
        f"{WINE}.release.gates[0].over is 5ms; write the same, or limit p95 (`of: p95`)",
        release={
            "gates": [
                {"metric": "latency", "over": "5ms"},
                {"metric": "limit", "of": "slow", "atMost": 0.01, "over": "2s"},
            ]
        },
    ),
    _beyond_schema(
        "a percentile with a limit of slow answers",
        f"{WINE}.release.gates[0].over is '2s'; a limit of p95 has none; `of: slow` has; leave it "
        "out",
        release={"gates": [{"metric": "limit", "of": "p95", "atMost": "9ms", "over": "2s"}]},
    ),
    _bad(
        "no gates",
        f"{WINE}.release.gates is []; at least one gate is needed; write `- {{metric: errors}}`",
        release={"gates": []},
    ),
    _bad(
        "gate on an unknown metric",
        f"{WINE}.release.gates[0].metric is 'cpu'; {NO_GATE}",
        release={"gates": [{"metric": "cpu"}]},
    ),
    _bad(
        "gate without metric",
        f"{WINE}.release.gates[0].metric is missing; {NO_GATE}",
        release={"gates": [{"allow": 2}]},
    ),
    _bad(
        "latency gate without limit",
        f"{WINE}.release.gates[0].over is missing; a latency such as 50ms is needed; write it",
        release={"gates": [{"metric": "latency"}]},
    ),
    _bad(
        "latency gate without unit",
        f"{WINE}.release.gates[0].over is 50; {LATENCY}; {LATENCY_UNIT}",
        release={"gates": [{"metric": "latency", "over": 50}]},
    ),
    _bad(
        "gate that allows less than live has",
        f"{WINE}.release.gates[0].allow is 0.9; a number of at least 1 is allowed; change it",
        release={"gates": [{"metric": "errors", "allow": 0.9}]},
    ),
)

WAIT = (
    "whole seconds up to 1h are allowed, which is SageMaker's limit; shorten it; a canary's steps "
    "may bake for days"
)
NEVER_BAKES = (
    "alarms and gates are looked at only while it bakes, and it never does; "
    "let it wait some minutes"
)
STRATEGIES = (
    _beyond_schema(
        "a held guardrail deployment",
        f"{WINE}.release.onInconclusive is 'hold'; rolling cannot be held, for SageMaker's own "
        "timers run on; write rollback, or release by canary",
        release={"strategy": "rolling", "onInconclusive": "hold"},
    ),
    _beyond_schema(
        "a held guardrail deployment after a shadow",
        f"{WINE}.release.onInconclusive is 'hold'; blue_green cannot be held, for SageMaker's own "
        "timers run on; write rollback, or release by canary",
        release={
            "strategy": "shadow",
            "shadow": {"then": "blue_green"},
            "onInconclusive": "hold",
        },
    ),
    _beyond_schema(
        "a bake of zero with alarms",
        f"{WINE}.release.blueGreen.finalWait is '0s'; {NEVER_BAKES}",
        release={"strategy": "blue_green", "blueGreen": {"wait": "0s", "finalWait": "0s"}},
    ),
    _beyond_schema(
        "rolling without a bake",
        f"{WINE}.release.rolling.wait is '0s'; {NEVER_BAKES}",
        release={"strategy": "rolling", "rolling": {"wait": "0s"}},
    ),
    _beyond_schema(
        "a step without a bake",
        f"{WINE}.release.steps[0].bake.max is '0s'; alarms and gates need time to tell, and a bake "
        "of zero has none; let it bake some minutes",
        release=_steps({"weight": 5, "bake": {"min": "0s", "max": "0s"}}),
    ),
    _beyond_schema(
        "a longer wait than SageMaker takes",
        f"{WINE}.release.blueGreen.wait is '2h'; {WAIT}",
        release={"strategy": "blue_green", "blueGreen": {"wait": "2h"}},
    ),
    _beyond_schema(
        "a shorter timeout than SageMaker takes",
        f"{WINE}.release.rolling.timeout is '5m'; 10m to 8h are allowed; change it, or leave it "
        "out",
        release={"strategy": "rolling", "rolling": {"timeout": "5m"}},
    ),
    _beyond_schema(
        "a linear step that is too small",
        f"{WINE}.release.blueGreen.size is 5; a linear step is from 10 to 50 percent; write 10, or "
        "shift by canary",
        release={"strategy": "blue_green", "blueGreen": {"traffic": "linear", "size": 5}},
    ),
    _bad(
        "a batch that is too large",
        f"{WINE}.release.rolling.batch is 60; a whole number from 5 to 50 is allowed; change it",
        release={"strategy": "rolling", "rolling": {"batch": 60}},
    ),
    _bad(
        "all problems of a shadow",
        (
            (
                f"{WINE}.release.shadow.then is 'shadow'; stop or canary or blue_green or rolling "
                "is allowed; write stop, or leave it out"
            ),
            f"{WINE}.release.shadow.sampling is 0; a number from 1 to 100 is allowed; change it",
            (
                f"{WINE}.release.shadow.maxDisagreement is 2; a number from 0 to 1 is allowed; "
                "change it"
            ),
        ),
        release={
            "strategy": "shadow",
            "shadow": {"then": "shadow", "sampling": 0, "maxDisagreement": 2},
        },
    ),
    _bad(
        "unknown key of blueGreen",
        _unknown(
            "release.blueGreen.bake", "5m", "finalWait, size, timeout, tolerance, traffic, wait"
        ),
        release={"blueGreen": {"bake": "5m"}},
    ),
)
GATES = (
    _bad(
        "a limit of nothing",
        (
            (
                f"{WINE}.release.gates[0].of is missing; errors or slow or p95 is needed; "
                "write what the limit is of"
            ),
            (
                f"{WINE}.release.gates[0].atMost is missing; a fraction from 0 to 1 is needed; "
                "write 0.05 for 5 percent"
            ),
        ),
        release={"gates": [{"metric": "limit"}]},
    ),
    _beyond_schema(
        "a limit on slow answers that says not what slow is",
        f"{WINE}.release.gates[0].over is missing; a latency such as 50ms is needed; "
        "say what slow is",
        release={"gates": [{"metric": "limit", "of": "slow", "atMost": 0.1}]},
    ),
    _beyond_schema(
        "a percentile that is a fraction",
        f"{WINE}.release.gates[0].atMost is 0.1; a latency above zero such as 50ms is needed; "
        "write it with its unit",
        release={"gates": [{"metric": "limit", "of": "p95", "atMost": 0.1}]},
    ),
    _beyond_schema(
        "bins that fall",
        f"{WINE}.release.gates[0].bins is [2, 1]; a list of rising numbers is allowed; "
        "write upper edges",
        release={"gates": [{"metric": "predictions", "bins": [2, 1]}]},
    ),
    _beyond_schema(
        "a hook that asks nobody",
        f"{WINE}.release.gates[0] is {{'hook': 'smoke'}}; it has neither; exactly one of command "
        "and function is needed; write `command: [PROGRAM, ARGUMENT]` or `function: ARN`",
        release={"gates": [{"hook": "smoke"}]},
    ),
    _bad(
        "a hook whose command is a line",
        f"{WINE}.release.gates[0].command is './smoke'; a list of a program and its arguments is "
        "allowed; write `[PROGRAM]`",
        release={"gates": [{"hook": "smoke", "command": "./smoke"}]},
    ),
    _beyond_schema(
        "a hook that may take hours",
        f"{WINE}.release.gates[0].timeout is '1h'; 1s to 5m are allowed; change it",
        release={"gates": [{"hook": "smoke", "command": ["./smoke"], "timeout": "1h"}]},
    ),
    _beyond_schema(
        "two hooks of one name",
        f"{WINE}.release.gates is 'smoke'; each hook has a name of its own; rename one of them",
        release={"gates": [{"hook": "smoke", "command": ["a"]}] * 2},
    ),
    _beyond_schema(
        "gates that all only report",
        f"{WINE}.release.gates[0].dryRun is True; at least one gate must decide; "
        "leave dryRun out of one",
        release={"gates": [{"metric": "errors", "dryRun": True}]},
    ),
    _bad(
        "a dry run that is a word",
        f"{WINE}.release.gates[0].dryRun is 'yes'; true or false is allowed; write one of them",
        release={"gates": [{"metric": "errors", "dryRun": "yes"}]},
    ),
)

BAD_MODELS = (
    *UNKNOWN_KEYS,
    *PACKAGES,
    *IMAGES,
    *PLAIN_VALUES,
    *ENDPOINTS,
    *RELEASES,
    *STRATEGIES,
    *GATES,
)

_NO_MODELS = (
    "a map with at least one model is needed; "
    "write `slipway:models: {NAME: {package: dist/NAME/VERSION}}`"
)
_A_MAP = "a map is allowed; write `key: value` under it"


def _named(name: str) -> dict[str, Any]:
    return {"models": {name: {"package": f"dist/{name}/3", "image": IMAGE}}}


def _misnamed(name: str) -> tuple[str, ...]:
    return (f"slipway:models.{name} is '{name}'; {MODEL_NAME_RULE}",)


BAD_ROOTS = (
    BadConfig("nothing", {}, (f"slipway:models is missing; {_NO_MODELS}",)),
    BadConfig("no models", {"models": {}}, (f"slipway:models is {{}}; {_NO_MODELS}",)),
    BadConfig("models are a list", {"models": []}, (f"slipway:models is []; {_A_MAP}",)),
    BadConfig("models are text", {"models": "wine"}, (f"slipway:models is 'wine'; {_A_MAP}",)),
    BadConfig(
        "unknown root key",
        {**with_model(), "model": {}},
        (
            (
                "slipway:model is {}; there is no such key, the keys are slipway:controller, "
                f"slipway:defaults, slipway:imageBuild, slipway:models; {SPELLING}"
            ),
        ),
    ),
    BadConfig(
        "controller is text",
        {**with_model(), "controller": "lambda"},
        (f"slipway:controller is 'lambda'; {_A_MAP}",),
    ),
    BadConfig(
        "unknown driver",
        {**with_model(), "controller": {"driver": "cron"}},
        (
            (
                "slipway:controller.driver is 'cron'; terminal or lambda is allowed; "
                "write terminal, or leave it out"
            ),
        ),
    ),
    BadConfig(
        "unknown key of the controller",
        {**with_model(), "controller": {"kind": "lambda"}},
        (
            (
                "slipway:controller.kind is 'lambda'; there is no such key, the keys are driver; "
                f"{SPELLING}"
            ),
        ),
    ),
    BadConfig(
        "every key of imageBuild is wrong",
        {
            **with_model(),
            "imageBuild": {"codebuild": "yes", "repository": "My/Repo:1", "builder": "x"},
        },
        (
            (
                "slipway:imageBuild.builder is 'x'; there is no such key, the keys are codebuild, "
                f"repository, timeout; {SPELLING}"
            ),
            ("slipway:imageBuild.codebuild is 'yes'; true or false is allowed; write one of them"),
            (
                "slipway:imageBuild.repository is 'My/Repo:1'; lower-case letters and digits, with "
                "single . _ - or / between them, at most 256 in all, are allowed; "
                "write the name alone, without registry"
            ),
        ),
    ),
    *(
        BadConfig(
            f"a build of {timeout}",
            {**with_model(), "imageBuild": {"codebuild": True, "timeout": timeout}},
            (
                (
                    f"slipway:imageBuild.timeout is '{timeout}'; whole minutes from 5m to 36h are "
                    "allowed, which are CodeBuild's limits; change it, or leave it out"
                ),
            ),
            in_schema=False,
        )
        for timeout in ("4m", "37h", "330s")
    ),
    BadConfig(
        "model is text",
        {"models": {"wine": "dist/wine/3"}},
        (f"{WINE} is 'dist/wine/3'; a map is allowed; write `package: dist/…` under it",),
    ),
    BadConfig(
        "model is empty",
        {"models": {"wine": None}},
        (f"{WINE} is missing; a map is allowed; write `package: dist/…` under it",),
    ),
    BadConfig(
        "defaults are text",
        {**with_model(), "defaults": "none"},
        (f"slipway:defaults is 'none'; {_A_MAP}",),
    ),
    BadConfig(
        "package among the defaults",
        {**with_model(), "defaults": {"package": "dist/wine/3"}},
        (
            (
                "slipway:defaults.package is 'dist/wine/3'; there is no such key, the keys are "
                f"{SHARED_KEYS}; {SPELLING}"
            ),
        ),
    ),
    BadConfig("model name with an underscore", _named("my_wine"), _misnamed("my_wine")),
    BadConfig("model name of 46 characters", _named("w" * 46), _misnamed("w" * 46)),
    BadConfig("model name with two hyphens", _named("my--wine"), _misnamed("my--wine")),
)
