"""aws.s3.Bucket."""

# The interface of a resource decides the arguments.

from __future__ import annotations

import re
from typing import Any

from localcloud.provider import tags
from localcloud.provider.errors import ProviderError, code_of
from localcloud.provider.naming import unique_id
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.values import Properties

CLASSIC_REGION = "us-east-1"
DELETE_BATCH = 1000
HOSTED_ZONES = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}
_NAME = re.compile(r"(?!\.)(?!.*\.\.)[0-9a-z.-]{3,63}(?<!\.)")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
# Answers that say that a part of a bucket's configuration is not there.
_ABSENT = frozenset(
    {
        "NoSuchBucketPolicy",
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchTagSet",
        "ObjectLockConfigurationNotFoundError",
    }
)


class Bucket(Resource):
    """Its settings are resources of their own; what they set is read into the bucket's state."""

    token = "aws:s3/bucket:Bucket"
    gone = frozenset({"NoSuchBucket", "404"})

    def create(self, call: Call) -> None:
        s3, name = call.client(), _name(call)
        _check_name(name)
        if call.region == CLASSIC_REGION and _exists(s3, name):
            raise ProviderError(
                "BucketAlreadyExists: the requested bucket name is not available; "
                "a bucket of this name exists already"
            )
        request: dict[str, Any] = {"Bucket": name}
        if call.region != CLASSIC_REGION:
            request["CreateBucketConfiguration"] = {"LocationConstraint": call.region}
        if call.inputs.get("objectLockEnabled"):
            request["ObjectLockEnabledForBucket"] = True
        s3.create_bucket(**request)
        call.id = name
        if call.tags:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags.to_list(call.tags)})

    def read(self, call: Call) -> Properties | None:
        s3, name = call.client(), call.id
        region = s3.head_bucket(Bucket=name).get("BucketRegion") or call.region
        return {
            "bucket": name,
            "arn": f"arn:aws:s3:::{name}",
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegion": region,
            "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            "hostedZoneId": HOSTED_ZONES.get(region),
            "tagsAll": _tags(s3, name),
            **_settings(s3, name),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        """What can change besides the tags is forceDestroy, which only the state has."""

    def delete(self, call: Call) -> None:
        from botocore.exceptions import ClientError

        s3 = call.client()
        try:
            s3.delete_bucket(Bucket=call.id)
        except ClientError as error:
            if code_of(error) != "BucketNotEmpty" or not call.state.get("forceDestroy"):
                raise
            _empty(s3, call.id)
            s3.delete_bucket(Bucket=call.id)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        s3 = call.client()
        kept = {k: v for k, v in _tags(s3, call.id).items() if k not in removed}
        together = {**kept, **added}
        if together:
            s3.put_bucket_tagging(Bucket=call.id, Tagging={"TagSet": tags.to_list(together)})
        else:
            s3.delete_bucket_tagging(Bucket=call.id)


def _name(call: Call) -> str:
    name = call.inputs.get("bucket")
    return str(name or f"{call.inputs.get('bucketPrefix') or 'terraform-'}{unique_id()}")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or _ADDRESS.fullmatch(name):
        raise ProviderError(
            f"InvalidBucketName: {name!r} must have 3 to 63 of [0-9a-z.-], no '.' at either end, "
            "no '..', and not be an IP address"
        )


def _exists(s3: Any, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if code_of(error) in ("404", "NoSuchBucket", "NotFound"):
            return False
        raise
    return True


def _settings(s3: Any, name: str) -> Properties:
    """Configuration that separate resources own; it lands here without being a change."""
    policy = _answer(s3.get_bucket_policy, name)
    versioning = _answer(s3.get_bucket_versioning, name)
    encryption = _answer(s3.get_bucket_encryption, name)
    lock = _answer(s3.get_object_lock_configuration, name)
    rules = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    found: Properties = {
        "policy": policy.get("Policy"),
        "versioning": {
            "enabled": versioning.get("Status") == "Enabled",
            "mfaDelete": versioning.get("MFADelete") == "Enabled",
        },
        "objectLockEnabled": "ObjectLockConfiguration" in lock,
        "requestPayer": "BucketOwner",
    }
    if rules:
        default = rules[0].get("ApplyServerSideEncryptionByDefault", {})
        found["serverSideEncryptionConfiguration"] = {
            "rule": {
                "applyServerSideEncryptionByDefault": {
                    "sseAlgorithm": default.get("SSEAlgorithm"),
                    "kmsMasterKeyId": default.get("KMSMasterKeyID"),
                },
                "bucketKeyEnabled": bool(rules[0].get("BucketKeyEnabled")),
            }
        }
    return found


def _tags(s3: Any, name: str) -> dict[str, str]:
    return tags.from_list(_answer(s3.get_bucket_tagging, name).get("TagSet", []))


def _answer(action: Any, name: str) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    try:
        return action(Bucket=name)
    except ClientError as error:
        if code_of(error) in _ABSENT:
            return {}
        raise


def _empty(s3: Any, name: str) -> None:
    """Remove every version of every object."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions]
        for start in range(0, len(keys), DELETE_BATCH):
            batch = keys[start : start + DELETE_BATCH]
            s3.delete_objects(Bucket=name, Delete={"Objects": batch, "Quiet": True})
