"""What each key of the stack file is for, its unit, and its default where that is no value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """``default``: words, where the readers have no value for it or make it of others."""

    text: str
    unit: str
    default: str | None = None


MAPS = {
    "file": "Values of one stack; `slipway up` reads them. A key left empty counts as not written.",
    "config": "Pulumi's configuration: `slipway:` is Slipway's, `aws:region` says where it lives.",
    "defaults": "Values for every model of the stack that does not write its own, key by key.",
    "controller": "What drives the stack's releases.",
    "imageBuild": "What builds the model server's image in AWS (`slipway image`).",
    "models": "The models of the stack, by name: letters, digits and single hyphens, at most 45.",
    "model": "One model: the version to stage, where it runs and how it is released.",
    "environment": (
        "Environment variables of the model server, as text. They belong to the version: a change "
        "takes effect by a release. Without any, only Slipway's own is set."
    ),
    "capture": "Capture of requests and answers in the artifact bucket; takes effect by a release.",
    "endpoint": "The SageMaker endpoint and its fleet.",
    "endpoint.instances": "Bounds of the fleet; take effect at `up`. Equal ones turn scaling off.",
    "endpoint.scaling": "Target tracking of the fleet's size; takes effect at `up`.",
    "alarms": "Limits of the standing and of the rollback alarms; take effect at `up`.",
    "release": "How a new version takes over.",
    "release.steps[]": "One step of the canary.",
    "release.steps[].tolerance": (
        "A step passes when the candidate is shown to be within one of both of live's errors."
    ),
    "release.steps[].bake": "How long the step lasts.",
    "release.blueGreen": (
        "Two fleets behind SageMaker's guardrails; the gates' verdict is one of the alarms that "
        "take it back."
    ),
    "release.blueGreen.tolerance": (
        "A shift goes on when the new version is shown to be within one of both of live's errors."
    ),
    "release.rolling": "The fleet is replaced batch by batch behind SageMaker's guardrails.",
    "release.rolling.tolerance": (
        "It goes on when the new version is shown to be within one of both of live's errors."
    ),
    "release.shadow": (
        "The new version answers a copy of the requests; nobody gets those answers. They are "
        "compared with live's."
    ),
    "release.shadow.tolerance": (
        "A shadow passes when it is shown to be within one of both of live's errors."
    ),
    "release.shadow.bake": "How long the shadow is compared.",
    "release.gates[predictions]": (
        "Distribution of the predictions against live's in the same minutes; needs capture."
    ),
    "release.gates[limit]": "A fixed limit on the candidate alone.",
    "release.gates[alarm]": "A CloudWatch alarm: ALARM fails, anything but OK holds.",
    "release.gates[hook]": (
        "A check of your own: exactly one of command and function. It answers pass, fail or not "
        "enough data."
    ),
    "release.gates[errors]": "Errors of the candidate against live's in the same minutes.",
    "release.gates[latency]": (
        "Share of answers slower than `over`, of the candidate against live's in the same minutes."
    ),
}
LISTS = {
    "release.steps": "The canary's steps, weights rising; the swap to the whole follows the last.",
    "release.gates": (
        "What must hold at every step. Default: errors, and latency over the latency alarm's limit."
    ),
}
_ALLOW = "how many times live's value the candidate may have"
_RATIO = "Errors of the new version as a multiple of live's."
_POINTS = "Errors of the new version above live's."
_DURATION = "duration: s, m, h or d"
_WRITTEN = "none: it must be written"
_DRY_RUN = "Whether the gate only reports and decides nothing."
_TIMEOUT = "SageMaker ends the deployment after it, and goes back; 10m to 8h."
_FROM_WAITS = "follows from the waits and the last turnover of the fleet"
VALUES = {
    "controller.driver": Words(
        "The process that watches a release and moves its traffic: the `terminal` that `slipway "
        "release` runs in, or a `lambda` of the stack, which goes on where the terminal is closed.",
        "driver",
        "lambda; terminal for the stack `local`",
    ),
    "imageBuild.codebuild": Words(
        "Whether the stack has an AWS CodeBuild project for `slipway image build --builder "
        "codebuild`.",
        "true or false",
    ),
    "imageBuild.repository": Words(
        "Name of the repository in Amazon ECR, in the stack's account and region, that it pushes "
        "to. One that stands is used as it is, else the stack makes it; it outlives the stack.",
        "name",
        "slipway-STACK, in lower case",
    ),
    "imageBuild.timeout": Words("CodeBuild ends a build after it; 5m to 36h.", _DURATION),
    "package": Words(
        "Folder with manifest.json and model.tar.gz, as `slipway package` makes it: the version "
        "to stage. Relative to the stack file.",
        "folder",
        "none: it must be written",
    ),
    "image": Words(
        "Image of the model server, pinned by its digest; takes effect by a release. The stack "
        "`local` runs its own and takes none.",
        "REPOSITORY@sha256:DIGEST",
        "none: it must be written, for the model or as a default, but for the stack `local`",
    ),
    "instanceType": Words(
        "SageMaker instance type of the fleet; takes effect by a release.", "instance type"
    ),
    "capture.sampling": Words(
        "Share of requests that are captured; 0 captures none.", "percent of requests"
    ),
    "endpoint.name": Words(
        "Name of the endpoint: letters, digits and hyphens between them, at most 63. A change "
        "makes another endpoint.",
        "name",
        "<model>-<stack>",
    ),
    "endpoint.instances.min": Words("Fewest instances that serve.", "instances"),
    "endpoint.instances.max": Words(
        "Most instances that scaling may start; at least min.",
        "instances",
        "4, or min where that is more",
    ),
    "endpoint.scaling.invocationsPerInstance": Words(
        "Load of an instance at which the fleet is right-sized.",
        "invocations per instance and minute",
    ),
    "endpoint.scaling.scaleInCooldown": Words(
        "Wait after an instance was taken away.", "duration: s, m, h or d"
    ),
    "endpoint.scaling.scaleOutCooldown": Words(
        "Wait after an instance was added.", "duration: s, m, h or d"
    ),
    "alarms.errors": Words("Share of failed requests above which it alarms.", "fraction, 0 to 1"),
    "alarms.latency": Words(
        "p95 latency of the model above which it alarms.", "latency: us, ms or s"
    ),
    "release.strategy": Words("How traffic moves to the new version.", "strategy"),
    "release.onInconclusive": Words(
        "What happens where a step cannot be decided within its longest bake: back, or hold for a "
        "person's decision (canary and shadow).",
        "action",
    ),
    "release.settle": Words(
        "Wait until the metrics of a minute count as complete.", "duration: s, m, h or d"
    ),
    "release.warmUp": Words(
        "Time for which new instances are left to warm up before their minutes count.",
        "duration: s, m, h or d",
    ),
    "release.postBake": Words(
        "Watch after the swap, in which the release can still go back.", "duration: s, m, h or d"
    ),
    "release.keepVersions": Words("Good versions that are kept to go back to.", "versions"),
    "release.steps[].weight": Words(
        "The candidate's share of the traffic; more than in the step before.",
        "percent of traffic",
        "none: it must be written",
    ),
    "release.steps[].tolerance.ratio": Words(
        "Errors of the candidate as a multiple of live's.", "times live's share of errors"
    ),
    "release.steps[].tolerance.points": Words(
        "Errors of the candidate above live's.", "percentage points"
    ),
    "release.steps[].bake.min": Words(
        "Shortest time before the step may pass.", "duration: s, m, h or d"
    ),
    "release.steps[].bake.max": Words(
        "Longest time before the step counts as inconclusive; at least min.",
        "duration: s, m, h or d",
    ),
    "release.blueGreen.traffic": Words(
        "How traffic moves between the fleets; all_at_once compares nothing.", "kind"
    ),
    "release.blueGreen.size": Words(
        "Share of the new fleet that takes traffic first (canary) or at each step (linear, from "
        "10).",
        "percent of instances",
    ),
    "release.blueGreen.wait": Words(
        "Bake of the canary, or of each linear step; at most 1h.", _DURATION
    ),
    "release.blueGreen.finalWait": Words(
        "Bake on the whole new fleet before the old one ends; at most 1h.", _DURATION
    ),
    "release.blueGreen.tolerance.ratio": Words(_RATIO, "times live's share of errors"),
    "release.blueGreen.tolerance.points": Words(_POINTS, "percentage points"),
    "release.blueGreen.timeout": Words(_TIMEOUT, _DURATION, _FROM_WAITS),
    "release.rolling.batch": Words(
        "Share of the fleet that is replaced at a time.", "percent of instances"
    ),
    "release.rolling.wait": Words("Bake of each batch; at most 1h.", _DURATION),
    "release.rolling.rollbackBatch": Words(
        "Share of the old fleet that comes back at a time; 100 is all at once.",
        "percent of instances",
    ),
    "release.rolling.tolerance.ratio": Words(_RATIO, "times live's share of errors"),
    "release.rolling.tolerance.points": Words(_POINTS, "percentage points"),
    "release.rolling.timeout": Words(_TIMEOUT, _DURATION, _FROM_WAITS),
    "release.shadow.sampling": Words(
        "Share of the requests that is mirrored.", "percent of requests"
    ),
    "release.shadow.bake.min": Words("Shortest time before the shadow may pass.", _DURATION),
    "release.shadow.bake.max": Words(
        "Longest time before the shadow counts as inconclusive; at least min.", _DURATION
    ),
    "release.shadow.tolerance.ratio": Words(_RATIO, "times live's share of errors"),
    "release.shadow.tolerance.points": Words(_POINTS, "percentage points"),
    "release.shadow.maxDisagreement": Words(
        "Share of paired predictions that may differ; compared where both versions capture.",
        "fraction, 0 to 1",
    ),
    "release.shadow.then": Words(
        "What follows a shadow that passed; stop promotes nothing.", "strategy"
    ),
    "release.gates[predictions].metric": Words("The gate's metric.", "metric", _WRITTEN),
    "release.gates[predictions].maxShift": Words(
        "Largest distance between the distributions of both versions' predictions.",
        "total variation, 0 to 1",
    ),
    "release.gates[predictions].bins": Words(
        "Upper edges of the bins of numeric predictions.",
        "value of the prediction",
        "chosen from live's predictions",
    ),
    "release.gates[predictions].dryRun": Words(_DRY_RUN, "true or false"),
    "release.gates[limit].metric": Words("The gate's metric.", "metric", _WRITTEN),
    "release.gates[limit].of": Words(
        "What is limited: the share of errors, the share of answers slower than over, or p95.",
        "metric",
        _WRITTEN,
    ),
    "release.gates[limit].atMost": Words(
        "The limit: a fraction of the requests, for p95 a latency.",
        "fraction, 0 to 1; latency: us, ms or s",
        _WRITTEN,
    ),
    "release.gates[limit].over": Words(
        "Answers that take longer are slow.", "latency: us, ms or s", "none"
    ),
    "release.gates[limit].dryRun": Words(_DRY_RUN, "true or false"),
    "release.gates[alarm].alarm": Words("Name of the alarm.", "name", _WRITTEN),
    "release.gates[alarm].dryRun": Words(_DRY_RUN, "true or false"),
    "release.gates[hook].hook": Words("Name of the hook, for people.", "name", _WRITTEN),
    "release.gates[hook].command": Words(
        "Program and arguments; exit code 0 passes, 2 fails, 3 is not enough data.",
        "words",
        "none: this or function",
    ),
    "release.gates[hook].function": Words(
        "Lambda function that answers.", "ARN", "none: this or command"
    ),
    "release.gates[hook].timeout": Words(
        "How long an answer may take; 1s to 5m, to 2m where a Lambda drives.", _DURATION
    ),
    "release.gates[hook].every": Words("How often it is asked.", _DURATION),
    "release.gates[hook].dryRun": Words(_DRY_RUN, "true or false"),
    "release.gates[errors].dryRun": Words(_DRY_RUN, "true or false"),
    "release.gates[latency].dryRun": Words(_DRY_RUN, "true or false"),
    "release.gates[errors].metric": Words(
        "The gate's metric.", "metric", "none: it must be written"
    ),
    "release.gates[errors].allow": Words(f"For errors: {_ALLOW}.", "ratio"),
    "release.gates[latency].metric": Words(
        "The gate's metric.", "metric", "none: it must be written"
    ),
    "release.gates[latency].over": Words(
        "An answer that takes longer is slow; one limit for all gates that have it.",
        "latency: us, ms or s",
        "none: it must be written",
    ),
    "release.gates[latency].allow": Words(f"For latency: {_ALLOW}.", "ratio"),
}
