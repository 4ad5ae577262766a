"""The stack's CodeBuild project as a builder: hand over the context, follow the build."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import SlipwayError
from contracts.image_build import CONTEXT_PREFIX, ImageBuild, context_key
from release.aws.cloud import RefusedError, UnavailableError, call
from scripts.console import stderr
from scripts.image.context import Recipe, zipped
from scripts.image.engine import CODEBUILD
from scripts.image.registry import Repository
from scripts.release.stack import ReleaseStack

RUNNING, SUCCEEDED = "IN_PROGRESS", "SUCCEEDED"
POLL_SECONDS = 5.0
# Looks in a row without an answer, each of which was eight tries.
SILENT_LOOKS = 5
LOG_LINES, LINE_CHARACTERS = 15, 240
# Docker Hub's word to those who pull much and are not logged in.
RATE_LIMIT, PUBLIC_BASE = "toomanyrequests", "public.ecr.aws/docker/library/python:3.11-slim"


class CodeBuildError(SlipwayError):
    """The stack has no project, AWS refused, or the build did not succeed."""


@dataclass(frozen=True)
class CodeBuild:
    """The project of one stack; ``wait`` passes the seconds between two looks at a build."""

    stack: ReleaseStack
    record: ImageBuild
    wait: Callable[[float], None] = time.sleep

    @staticmethod
    def of(stack: ReleaseStack) -> CodeBuild:
        """Raises CodeBuildError where the stack has no project."""
        record = stack.image_build()
        if record is None:
            raise CodeBuildError(
                f"stack {stack.name} has no CodeBuild project; write `slipway:imageBuild: "
                f"{{codebuild: true}}` into Pulumi.{stack.name}.yaml and run "
                f"`slipway up --stack {stack.name}`"
            )
        return CodeBuild(stack, record)

    def run(self, context: Path, tag: str, recipe: Recipe, target: Repository) -> str:
        """Build ``context`` and push it as ``tag``; returns the digest that ``target`` has.

        Raises:
            CodeBuildError: AWS refused, or the build failed; says where, why, and its last lines.
        """
        try:
            build = self._start(self._upload(zipped(context)), tag, recipe)
        except UnavailableError as error:
            raise CodeBuildError(f"{error}; no build is followed; try again in a minute") from error
        stderr.print(f"build {build['id']}", markup=False)
        try:
            ended = self._follow(build)
        except KeyboardInterrupt:
            self._stop(build["id"])
            raise
        if ended["buildStatus"] != SUCCEEDED:
            raise CodeBuildError(self._failure(ended))
        digest = target.digest_of(tag)
        if digest is None:
            raise CodeBuildError(
                f"build {ended['id']} succeeded, but {target.uri} has no {tag}; look whether a "
                "lifecycle policy took it, and build again"
            )
        return digest

    def _upload(self, archive: bytes) -> dict[str, str]:
        """Where the build finds its source: pinned by hash and by the object's version."""
        bucket, key = self.record.bucket, context_key(hashlib.sha256(archive).hexdigest())
        answer = self._asked(
            f"uploading to s3://{bucket}/{key}",
            self.stack.s3.put_object,
            Bucket=bucket,
            Key=key,
            Body=archive,
            ContentType="application/zip",
        )
        version = {"sourceVersion": answer["VersionId"]} if answer.get("VersionId") else {}
        return {"sourceLocationOverride": f"{bucket}/{key}", **version}

    def _start(self, source: dict[str, str], tag: str, recipe: Recipe) -> dict[str, Any]:
        values = {
            "IMAGE_TAG": tag,
            "IMAGE_BASE": recipe.arguments["BASE"],
            "IMAGE_EXTRAS": recipe.arguments["EXTRAS"],
        }
        answer = self._asked(
            f"starting a build of {self.record.project}",
            self.stack.cloud[CODEBUILD].start_build,
            projectName=self.record.project,
            sourceTypeOverride="S3",
            **source,
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"}
                for name, value in values.items()
                if value
            ],
            # A call that is tried again must not start a second one.
            idempotencyToken=uuid.uuid4().hex,
        )
        return answer["build"]

    def _follow(self, build: dict[str, Any]) -> dict[str, Any]:
        """The build at its end; tells each phase that is over."""
        told: set[str] = set()
        silent = 0
        while True:
            try:
                build = self._look(build["id"])
                silent = 0
            except UnavailableError as error:
                silent += 1
                if silent == SILENT_LOOKS:
                    raise CodeBuildError(
                        f"build {build['id']} goes on, but it cannot be followed ({error}); run "
                        "the same command later: what was pushed by then is not built again"
                    ) from error
            for phase in build.get("phases", []):
                if "durationInSeconds" in phase and phase["phaseType"] not in told:
                    told.add(phase["phaseType"])
                    stderr.print(_line(phase), markup=False)
            if build["buildStatus"] != RUNNING:
                return build
            self.wait(POLL_SECONDS)

    def _look(self, build_id: str) -> dict[str, Any]:
        look = self.stack.cloud[CODEBUILD].batch_get_builds
        found = self._asked(f"looking at build {build_id}", look, ids=[build_id])["builds"]
        if not found:
            raise CodeBuildError(f"build {build_id} is not there any more; start it again")
        return found[0]

    def _stop(self, build_id: str) -> None:
        stderr.print(f"stopping build {build_id}", markup=False)
        stop = self.stack.cloud[CODEBUILD].stop_build
        try:
            self._asked(f"stopping build {build_id}", stop, id=build_id)
        except SlipwayError as error:
            stderr.print(f"{error}; it runs on until its timeout", markup=False, soft_wrap=True)

    def _failure(self, build: dict[str, Any]) -> str:
        phases = [p for p in build["phases"] if p.get("phaseStatus", SUCCEEDED) != SUCCEEDED]
        where = phases[0]["phaseType"] if phases else build.get("currentPhase", "")
        reasons = [
            f"{reason['statusCode']}: {reason['message']}"
            for phase in phases
            for reason in phase.get("contexts", [])
            if reason.get("message")
        ]
        what = {
            "STOPPED": "was stopped by somebody",
            "TIMED_OUT": "ran out of time; slipway:imageBuild.timeout in "
            f"Pulumi.{self.stack.name}.yaml gives it more",
            "FAULT": "met a fault of CodeBuild's own; try again",
        }.get(build["buildStatus"], "failed")
        log = self._log(build.get("logs", {}))
        if RATE_LIMIT in log:
            log += f"\nDocker Hub limits pulls without login: try --base {PUBLIC_BASE}"
        said = "".join(f"\n  {reason}" for reason in reasons)
        return f"build {build['id']} {what} (phase {where}){said}{log}"

    def _log(self, logs: dict[str, Any]) -> str:
        """The last lines of the build's log, and where all of it is."""
        group, stream = logs.get("groupName"), logs.get("streamName")
        if not group or not stream:
            return "\nit wrote no log"
        try:
            events = call(
                self.stack.cloud["logs"].get_log_events,
                logGroupName=group,
                logStreamName=stream,
                limit=LOG_LINES,
                startFromHead=False,
            )["events"]
        except SlipwayError as error:
            return f"\nits log could not be read ({error}): {logs.get('deepLink', '')}"
        lines = [str(event["message"]).rstrip()[:LINE_CHARACTERS] for event in events]
        last = "".join(f"\n  {line}" for line in lines if line)
        return f"\nits last lines:{last}\nall of its log: {logs.get('deepLink', '')}"

    def _asked(self, doing: str, function: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return call(function, **arguments)
        except RefusedError as error:
            remedy = self._remedy(error.code)
            raise CodeBuildError(f"{doing} was refused ({error}); {remedy}") from error

    def _remedy(self, code: str) -> str:
        record = self.record
        if code.startswith("AccessDenied"):
            return (
                "your identity needs codebuild:StartBuild, BatchGetBuilds and StopBuild on the "
                f"project {record.project}, s3:PutObject on {record.bucket}/{CONTEXT_PREFIX}/* and "
                "logs:GetLogEvents on the project's log group"
            )
        if code in ("ResourceNotFoundException", "NoSuchBucket"):
            name = self.stack.name
            return f"`slipway refresh --stack {name}` and `slipway up` make anew what is gone"
        if code == "AccountLimitExceededException":
            return "wait until another build ends, or ask for a higher quota of builds at once"
        return "look at your credentials and permissions"


def _line(phase: dict[str, Any]) -> str:
    name, status = phase["phaseType"].lower(), phase.get("phaseStatus", "").lower()
    return f"  {name:<16} {status:<9} {phase['durationInSeconds']} s"
