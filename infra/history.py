"""Where manifests, release state and evidence lie: the one thing that outlives the stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.bucket import PrivateBucket, PrivateBucketArgs


@dataclass(frozen=True)
class HistoryArgs:
    """``adopted``: the bucket stands already, from a stack of this name that was destroyed."""

    bucket_name: str
    tags: dict[str, str]
    adopted: bool


class History(pulumi.ComponentResource):
    """The bucket whose name anyone can compute from stack, account and region."""

    bucket_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: HistoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:history:History", name, {}, opts)
        private = PrivateBucket(
            f"{name}-history",
            PrivateBucketArgs(args.tags, args.bucket_name, args.adopted),
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket_name = private.name
        self.register_outputs({"bucket_name": self.bucket_name})
