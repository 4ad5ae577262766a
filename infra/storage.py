"""Where artifacts and captured requests lie; outlives a plain ``pulumi destroy``."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.bucket import PrivateBucket, PrivateBucketArgs

# An artifact is deleted only when no good version needs it; so long a mistake can be undone.
DELETED_DAYS = 30


@dataclass(frozen=True)
class ArtifactStorageArgs:
    tags: dict[str, str]


class ArtifactStorage(pulumi.ComponentResource):
    """One bucket for all models of the stack; its name is Pulumi's, so no later stack meets it."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ArtifactStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:storage:ArtifactStorage", name, {}, opts)
        private = PrivateBucket(
            f"{name}-artifacts",
            PrivateBucketArgs(args.tags, deleted_days=DELETED_DAYS),
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name, self.bucket_arn = private.name, private.arn
        self.register_outputs({"bucket_name": self.bucket_name, "bucket_arn": self.bucket_arn})
