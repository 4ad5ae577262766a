"""What stands already around the stack: asked of AWS once, before the first resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from contracts.errors import SlipwayError
from contracts.history import history_bucket_name
from infra.naming import model_tags, partition_of, role_name, stack_tags
from release.observation import MISSING
from release.state import EndpointState

if TYPE_CHECKING:
    from infra.settings import StackConfig
    from release.aws.cloud import AwsCloud

DELETING = "Deleting"
FAILED = "Failed"


class EndpointGuardError(SlipwayError):
    """An endpoint with release history would be made anew, serving what was never released."""


class ImageMissingError(SlipwayError):
    """The models of a stack lost their image; without it they would be deleted."""


@dataclass(frozen=True)
class Serving:
    """What an endpoint serves by: one configuration with one variant, of this identity."""

    content_hash: str
    endpoint_config_name: str
    model_name: str


class Standing(Enum):
    """Whether something stands already, and whose it is by its tags."""

    NOT = "not"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Surroundings:
    """``serving`` and ``states`` by endpoint name; without entry there is nothing yet.

    ``roles`` and ``endpoints`` are ours by their tags: Pulumi takes over those that it does not
    know, because an ``up`` was killed between AWS's yes and the writing of its state.
    ``failed``: endpoints of ours that never came into service.
    ``repository``: the one that images are built for.
    ``recreate``: an endpoint that is missing may be made from its last good configuration.
    """

    account_id: str
    region: str
    history_stands: bool = False
    recreate: bool = False
    roles: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    serving: Mapping[str, Serving] = field(default_factory=dict[str, Serving])
    states: Mapping[str, EndpointState] = field(default_factory=dict[str, EndpointState])
    repository: Standing = Standing.NOT

    def last_good_config(self, endpoint_name: str) -> str | None:
        state = self.states.get(endpoint_name)
        if state is None or not state.has_history or not state.good:
            return None
        return state.good[0].endpoint_config_name

    def check_creation(self, endpoint_name: str, inputs: Mapping[str, Any]) -> None:
        """Refuse to make an endpoint whose releases are remembered.

        Raises:
            EndpointGuardError: it would serve what was staged, though it was never released.
        """
        state = self.states.get(endpoint_name)
        if state is None or not state.has_history:
            if endpoint_name in self.failed:
                raise EndpointGuardError(
                    f"endpoint {endpoint_name} stands, Failed, from an earlier try; `slipway up` "
                    "removes it first, or delete it yourself and try again"
                )
            return
        last_good = self.last_good_config(endpoint_name)
        if self.recreate and last_good is not None:
            wanted = inputs.get("endpointConfigName")
            if wanted == last_good:
                return
        raise EndpointGuardError(
            f"endpoint {endpoint_name} would be created or replaced, but it has release history "
            f"({len(state.releases)} releases): it would serve a version that was never released; "
            "if it was deleted, `slipway up --recreate-endpoint` makes it from the last good "
            "configuration; if its name or region was changed, change it back"
        )


def look(config: StackConfig, cloud: AwsCloud, account_id: str, recreate: bool) -> Surroundings:
    """Read history, roles and endpoints; changes nothing.

    Raises:
        ImageMissingError: the stack has models, and none of them has an image any more.
    """
    from release.aws.store import S3History, list_endpoints

    bucket = history_bucket_name(config.stack, account_id, cloud.region)
    history_stands = _bucket_stands(cloud["s3"], bucket)
    if config.waits_for_image and history_stands:
        staged = list_endpoints(cloud["s3"], bucket)
        if staged:
            raise ImageMissingError(
                f"no model of Pulumi.{config.stack}.yaml has an image, and {', '.join(staged)} "
                "would be deleted; write the image back, or end the stack with `slipway destroy`"
            )
    serving: dict[str, Serving] = {}
    states: dict[str, EndpointState] = {}
    endpoints: set[str] = set()
    failed: set[str] = set()
    roles: set[str] = set()
    for model in config.models:
        name, ours = model.endpoint_name, model_tags(config.stack, model)
        if history_stands:
            states[name] = S3History(cloud["s3"], bucket, name).load()
        role = role_name(name, cloud.region)
        if _has_tags(_role_tags(cloud["iam"], role), ours):
            roles.add(role)
        endpoint = cloud.endpoint(name)
        if endpoint.status not in (MISSING, DELETING):
            tags = cloud.tags(_endpoint_arn(cloud, account_id, name))
            if _has_tags(tags, ours):
                (failed if endpoint.status == FAILED else endpoints).add(name)
        found = _serving(cloud, endpoint.config_name)
        if found is not None:
            serving[name] = found
    build, repository = config.image_build, Standing.NOT
    if build is not None:
        repository = _repository(cloud["ecr"], config.stack, build.repository)
    return Surroundings(
        account_id,
        cloud.region,
        history_stands,
        recreate,
        frozenset(roles),
        frozenset(endpoints),
        frozenset(failed),
        serving,
        states,
        repository,
    )


def _endpoint_arn(cloud: AwsCloud, account_id: str, name: str) -> str:
    partition = partition_of(cloud.caller())
    return f"arn:{partition}:sagemaker:{cloud.region}:{account_id}:endpoint/{name.lower()}"


def _has_tags(present: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(present.get(key) == value for key, value in wanted.items())


def _role_tags(iam: Any, name: str) -> dict[str, str]:
    """The tags of a role; none where there is no such role."""
    from release.aws.cloud import RefusedError, call

    try:
        role = call(iam.get_role, RoleName=name)["Role"]
    except RefusedError as error:
        if error.code == "NoSuchEntity":
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}


def _bucket_stands(s3: Any, bucket: str) -> bool:
    from release.aws.cloud import RefusedError, call

    try:
        call(s3.head_bucket, Bucket=bucket)
    except RefusedError as error:
        if error.code in ("404", "NoSuchBucket", "NotFound"):
            return False
        raise
    return True


def _repository(ecr: Any, stack: str, name: str) -> Standing:
    from release.aws.cloud import RefusedError, call

    try:
        found = call(ecr.describe_repositories, repositoryNames=[name])["repositories"][0]
        tags = call(ecr.list_tags_for_resource, resourceArn=found["repositoryArn"])["tags"]
    except RefusedError as error:
        if error.code == "RepositoryNotFoundException":
            return Standing.NOT
        raise
    known = {tag["Key"]: tag["Value"] for tag in tags}
    return Standing.OURS if _has_tags(known, stack_tags(stack)) else Standing.FOREIGN


def _serving(cloud: AwsCloud, config_name: str) -> Serving | None:
    config = cloud.config(config_name) if config_name else None
    if config is None or config.content_hash is None:
        return None
    variants = config.production()
    # Two variants, or a shadow, are a release under way: what it serves by goes when it ends.
    if len(variants) != 1 or config.body.get("ShadowProductionVariants"):
        return None
    return Serving(config.content_hash, config.name, str(variants[0]["ModelName"]))
