"""A private bucket: versioned, encrypted, reached over TLS only, kept when the stack goes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class PrivateBucketArgs:
    """``bucket_name`` None leaves the name to Pulumi. ``adopted``: it exists from before."""

    tags: dict[str, str]
    bucket_name: str | None = None
    adopted: bool = False


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
        aws.s3.BucketVersioning(
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
        # Whoever uses the name waits until nothing can be read without TLS.
        self.name = pulumi.Output.all(self.bucket.bucket, policy.id).apply(lambda both: both[0])
        self.register_outputs({"name": self.name, "arn": self.arn})


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
