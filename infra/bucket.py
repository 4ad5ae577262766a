"""A private bucket: versioned, encrypted, reached over TLS only, kept when the stack goes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

UPLOAD_DAYS = 7


@dataclass(frozen=True)
class PrivateBucketArgs:
    """``bucket_name`` None leaves the name to Pulumi. ``adopted``: it exists from before.

    ``deleted_days``: what was deleted or written over can be had back for so long; None: for ever.
    """

    tags: dict[str, str]
    bucket_name: str | None = None
    adopted: bool = False
    deleted_days: int | None = None


class PrivateBucket(pulumi.ComponentResource):
    """Everything in it is ``retain_on_delete``: ``slipway destroy`` ends it where it may end."""

    bucket: aws.s3.Bucket
    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:storage:PrivateBucket", name, {}, opts)
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        self.bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=args.bucket_name,
            tags=args.tags,
            opts=pulumi.ResourceOptions.merge(kept, _adoption(args)),
        )
        self.arn = self.bucket.arn
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=kept,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=kept,
        )
        block = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=kept,
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-tls-only",
            bucket=self.bucket.id,
            policy=self.bucket.arn.apply(tls_only_policy),
            # S3 takes one change of a bucket's access at a time.
            opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[block])),
        )
        if args.deleted_days is not None:
            aws.s3.BucketLifecycleConfiguration(
                f"{name}-deleted",
                bucket=self.bucket.id,
                rules=[deleted_rule(args.deleted_days)],
                # It is about versions, so there must be some.
                opts=pulumi.ResourceOptions.merge(
                    kept, pulumi.ResourceOptions(depends_on=[versioning])
                ),
            )
        # Whoever uses the name waits until nothing can be read without TLS.
        self.name = pulumi.Output.all(self.bucket.bucket, policy.id).apply(lambda both: both[0])
        self.register_outputs({"name": self.name, "arn": self.arn})


def deleted_rule(days: int) -> Any:
    """What is current stays for ever: only what was deleted or written over goes."""
    return {
        "id": "deleted-or-written-over",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrent_version_expiration": {"noncurrent_days": days},
        "expiration": {"expired_object_delete_marker": True},
        "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
    }


def tls_only_policy(bucket_arn: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket_arn, f"{bucket_arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )


def _adoption(args: PrivateBucketArgs) -> pulumi.ResourceOptions:
    """A bucket that outlived its stack is taken over; its tags are as they were."""
    if not args.adopted or args.bucket_name is None:
        return pulumi.ResourceOptions()
    return pulumi.ResourceOptions(import_=args.bucket_name)
