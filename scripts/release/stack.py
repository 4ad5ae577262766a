"""What the release commands work on: one stack's history bucket, found without the Pulumi CLI."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from contracts.errors import SlipwayError
from contracts.history import history_bucket_name, image_build_key
from contracts.image_build import ImageBuild
from contracts.release_manifest import ReleaseManifest
from release.aws.cloud import AwsCloud, call, client
from release.aws.store import (
    S3History,
    list_endpoints,
    read_manifest,
    read_object,
    remembered_endpoints,
)
from release.driver.progress import LOCAL_PACE, Pace
from release.errors import NotFoundError
from release.state import EndpointState
from scripts.console import project_root

LOCAL_STACK = "local"


class StackError(SlipwayError):
    """The stack is unknown, or its region cannot be told."""


@dataclass(frozen=True)
class ReleaseStack:
    """One stack, its account and region, and clients for them."""

    name: str
    root: Path
    region: str
    cloud: AwsCloud

    @property
    def pace(self) -> Pace:
        return LOCAL_PACE if self.name == LOCAL_STACK else Pace()

    @property
    def option(self) -> str:
        """What commands that are told to a person end with, so that they mean this stack, too."""
        return "" if self.name == stack_name(None) else f" --stack {self.name}"

    @cached_property
    def bucket(self) -> str:
        account = call(self.cloud["sts"].get_caller_identity)["Account"]
        return history_bucket_name(self.name, account, self.region)

    @property
    def s3(self) -> Any:
        return self.cloud["s3"]

    def state(self, endpoint_name: str) -> EndpointState:
        return S3History(self.s3, self.bucket, endpoint_name).load()

    def state_or_new(self, endpoint_name: str) -> EndpointState:
        """As :meth:`state`; an empty one where the stack has no history yet."""
        try:
            return self.state(endpoint_name)
        except NotFoundError:
            return EndpointState(endpoint_name)

    def manifests(self) -> list[ReleaseManifest]:
        """What is staged for every endpoint of the stack."""
        names = list_endpoints(self.s3, self.bucket)
        found = [read_manifest(self.s3, self.bucket, name) for name in names]
        return [manifest for manifest in found if manifest is not None]

    def image_build(self) -> ImageBuild | None:
        """What builds the stack's images in AWS; None where nothing does."""
        try:
            found = read_object(self.s3, self.bucket, image_build_key())
        except NotFoundError:
            return None
        return None if found is None else ImageBuild.from_json(found[0])

    def remembered(self, model: str | None) -> str:
        """The endpoint of ``model`` whose releases are remembered, stack or no stack."""
        try:
            return self.manifest(model).endpoint_name
        except NotFoundError:
            names = remembered_endpoints(self.s3, self.bucket)
            wanted = [n for n in names if model in (None, n, n.removesuffix(f"-{self.name}"))]
            if len(wanted) != 1:
                raise
            return wanted[0]

    def manifest(self, model: str | None) -> ReleaseManifest:
        """The manifest of ``model``, or of the only one there is.

        Raises:
            NotFoundError: no such model, or several and none named; lists them.
        """
        if model is not None:
            direct = read_manifest(self.s3, self.bucket, f"{model}-{self.name}")
            if direct is not None and direct.model == model:
                return direct
        found = self.manifests()
        known = ", ".join(m.model for m in found) or "none"
        chosen = [m for m in found if model in (None, m.model, m.endpoint_name)]
        if len(chosen) == 1:
            return chosen[0]
        if not found:
            raise NotFoundError(
                f"nothing is staged in stack {self.name}; run `slipway up --stack {self.name}`"
            )
        if model is None:
            raise NotFoundError(f"stack {self.name} has several models; name one of: {known}")
        raise NotFoundError(f"no model {model!r} in stack {self.name}; it has: {known}")


def stack_name(stack: str | None) -> str:
    """``--stack``, else PULUMI_STACK, else ``local``."""
    return stack or os.environ.get("PULUMI_STACK") or LOCAL_STACK


def settings_file(root: Path, name: str) -> Path:
    """The stack's file.

    Raises:
        StackError: there is none; lists those that there are.
    """
    settings = root / f"Pulumi.{name}.yaml"
    if not settings.is_file():
        found = sorted(p.name.removeprefix("Pulumi.") for p in root.glob("Pulumi.*.yaml"))
        known = ", ".join(p.removesuffix(".yaml") for p in found) or "none"
        raise StackError(f"no stack {name!r}: {settings.name} is missing; the stacks are: {known}")
    return settings


def open_stack(stack: str | None, root: Path | None = None) -> ReleaseStack:
    """The stack of the project at ``root`` (default: where we are).

    Raises:
        StackError: there is no ``Pulumi.<stack>.yaml``; lists those that there are.
    """
    root = root or project_root()
    name = stack_name(stack)
    settings = settings_file(root, name)
    if name == LOCAL_STACK:
        _enter_local_cloud(root)
    region = _region(settings)
    return ReleaseStack(name, root, region, AwsCloud(region, client))


def _enter_local_cloud(root: Path) -> None:
    """From here on every client of this process means the local cloud, and nothing else."""
    from localcloud.connect import environment

    variables = environment(root)
    for name in [n for n in os.environ if n.startswith("AWS_ENDPOINT_URL_")]:
        del os.environ[name]
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(variables)


def stack_values(settings: Path) -> dict[str, Any]:
    """What stands below ``config`` in the stack's file.

    Raises:
        StackError: the file is no YAML, or no map of a map; says where.
    """
    import yaml

    try:
        raw: Any = yaml.safe_load(settings.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        what = getattr(error, "problem", None) or type(error).__name__
        raise StackError(
            f"{settings.name}{line}: this is not YAML ({what}); correct it there or just above"
        ) from None
    config: Any = raw.get("config") if isinstance(raw, dict) else raw
    if not isinstance(raw, dict | None) or not isinstance(config, dict | None):
        raise StackError(
            f"{settings.name} is {str(raw)[:40]!r}; a map `config:` of keys like `aws:region:` "
            "is needed"
        )
    return cast("dict[str, Any]", config or {})


def _region(settings: Path) -> str:
    region = stack_values(settings).get("aws:region")
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise StackError(
            f"{settings.name} has no aws:region and AWS_REGION is not set; "
            "write the region into the stack's file (config: aws:region: eu-west-1)"
        )
    return str(region)
