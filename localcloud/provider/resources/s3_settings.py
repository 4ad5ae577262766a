"""The resources of aws.s3 that set one part of a bucket's configuration."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import Any

from localcloud.provider import shapes
from localcloud.provider.errors import ProviderError, code_of
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Properties


class BucketSetting(Resource):
    """Named by its bucket, or by ``bucket,expectedBucketOwner``."""

    def create(self, call: Call) -> None:
        retry(lambda: self.put(call), lambda error: code_of(error) == "NoSuchBucket")
        owner = call.inputs.get("expectedBucketOwner")
        call.id = f"{call.inputs['bucket']},{owner}" if owner else str(call.inputs["bucket"])

    def update(self, call: Call, changed: set[str]) -> None:
        self.put(call)

    def put(self, call: Call) -> None:
        """Write the whole setting."""
        raise NotImplementedError

    @staticmethod
    def target(call: Call) -> dict[str, str]:
        """The request's members that name the bucket."""
        bucket, _, owner = (call.id or str(call.inputs["bucket"])).partition(",")
        owner = owner or str(call.inputs.get("expectedBucketOwner") or "")
        return {"Bucket": bucket, **({"ExpectedBucketOwner": owner} if owner else {})}

    def own(self, call: Call) -> Properties:
        """The properties that the id tells."""
        named = self.target(call)
        owner = named.get("ExpectedBucketOwner")
        return {"bucket": named["Bucket"], **({"expectedBucketOwner": owner} if owner else {})}


class BucketVersioning(BucketSetting):
    """A bucket once versioned can only be suspended."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    gone = frozenset({"NoSuchBucket"})

    def put(self, call: Call) -> None:
        wanted = call.inputs["versioningConfiguration"]
        before = (call.state.get("versioningConfiguration") or {}).get("status")
        if wanted["status"] == "Disabled":
            if before in ("Enabled", "Suspended"):
                raise ProviderError(
                    "versioningConfiguration.status cannot be updated from "
                    f"'{before}' to 'Disabled'"
                )
            return
        self._send(call, call.request(["versioningConfiguration"])["VersioningConfiguration"])

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_bucket_versioning(**self.target(call))
        found: Properties = {"status": answer.get("Status") or "Disabled"}
        if answer.get("MFADelete"):
            found["mfaDelete"] = answer["MFADelete"]
        return {**self.own(call), "versioningConfiguration": found}

    def delete(self, call: Call) -> None:
        if (call.state.get("versioningConfiguration") or {}).get("status") == "Disabled":
            return
        retry(
            lambda: self._send(call, {"Status": "Suspended"}),
            lambda error: code_of(error) == "OperationAborted",
        )

    def is_gone(self, error: Exception) -> bool:
        # Object lock forbids suspension; the deletion then leaves the bucket as it is.
        return super().is_gone(error) or code_of(error) == "InvalidBucketState"

    def _send(self, call: Call, configuration: dict[str, Any]) -> None:
        mfa = call.known.get("mfa")
        call.client().put_bucket_versioning(
            **self.target(call),
            VersioningConfiguration=configuration,
            **({"MFA": mfa} if mfa else {}),
        )


class BucketEncryption(BucketSetting):
    """Without it, S3 itself encrypts with its own key."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    gone = frozenset({"NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError"})

    def put(self, call: Call) -> None:
        rules = call.request(["rules"])["Rules"]
        for rule in rules:
            rule.setdefault("BucketKeyEnabled", False)
        call.client().put_bucket_encryption(
            **self.target(call), ServerSideEncryptionConfiguration={"Rules": rules}
        )

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_bucket_encryption(**self.target(call))
        found = call.properties(answer["ServerSideEncryptionConfiguration"])
        return {**self.own(call), **found}

    def delete(self, call: Call) -> None:
        call.client().delete_bucket_encryption(**self.target(call))


class BucketPublicAccessBlock(BucketSetting):
    """All four flags are false unless given, so an empty one opens the bucket."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    gone = frozenset({"NoSuchBucket", "NoSuchPublicAccessBlockConfiguration"})
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

    def put(self, call: Call) -> None:
        call.client().put_public_access_block(
            **self.target(call), PublicAccessBlockConfiguration=call.request(self.flags)
        )

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_public_access_block(**self.target(call))
        return {**self.own(call), **call.properties(answer["PublicAccessBlockConfiguration"])}

    def delete(self, call: Call) -> None:
        if not call.state.get("skipDestroy"):
            call.client().delete_public_access_block(**self.target(call))


class BucketPolicy(BucketSetting):
    """One to a bucket: a second one overwrites the first."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    gone = frozenset({"NoSuchBucket", "NoSuchBucketPolicy"})

    def put(self, call: Call) -> None:
        call.client().put_bucket_policy(**self.target(call), Policy=call.inputs["policy"])

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_bucket_policy(**self.target(call))
        return {**self.own(call), "policy": answer["Policy"]}

    def delete(self, call: Call) -> None:
        call.client().delete_bucket_policy(**self.target(call))


class BucketOwnershipControls(BucketSetting):
    """Who owns what others write."""

    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    gone = frozenset({"NoSuchBucket", "OwnershipControlsNotFoundError"})

    def put(self, call: Call) -> None:
        rule = call.request(["rule"])["Rule"]
        call.client().put_bucket_ownership_controls(
            **self.target(call), OwnershipControls={"Rules": [rule]}
        )

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_bucket_ownership_controls(**self.target(call))
        rule = answer["OwnershipControls"]["Rules"][0]
        return {**self.own(call), **call.properties({"Rule": rule})}

    def delete(self, call: Call) -> None:
        call.client().delete_bucket_ownership_controls(**self.target(call))


# What moto takes in a lifecycle rule and forgets; on the local cloud the state alone has it.
_FORGOTTEN = {
    "filter": ("objectSizeGreaterThan", "objectSizeLessThan"),
    "noncurrentVersionExpiration": ("newerNoncurrentVersions",),
}


class BucketLifecycle(BucketSetting):
    """The list of rules as a whole."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    gone = frozenset({"NoSuchBucket", "NoSuchLifecycleConfiguration"})

    def put(self, call: Call) -> None:
        rules = call.request(["rules"]).get("Rules", [])
        for rule in rules:
            if "Filter" not in rule and "Prefix" not in rule:
                rule["Filter"] = {"Prefix": ""}
        call.client().put_bucket_lifecycle_configuration(
            **self.target(call),
            LifecycleConfiguration={"Rules": rules},
            **call.request(["transitionDefaultMinimumObjectSize"]),
        )

    def read(self, call: Call) -> Properties | None:
        answer = call.client().get_bucket_lifecycle_configuration(**self.target(call))
        if not answer.get("Rules"):
            return None
        found = shapes.from_api(call.type.inputs, answer)
        size = call.type.inputs["transitionDefaultMinimumObjectSize"]
        found.setdefault(size.name, size.default)
        known = {rule["id"]: rule for rule in call.known.get("rules") or []}
        for rule in found["rules"]:
            _remember(rule, known.get(rule["id"], {}))
            if rule.get("prefix") == "":
                del rule["prefix"]
            for name in ("expiration", "noncurrentVersionExpiration"):
                if rule.get(name) == {}:
                    del rule[name]
        return {**self.own(call), **found}

    def delete(self, call: Call) -> None:
        call.client().delete_bucket_lifecycle(**self.target(call))


def _remember(rule: Properties, known: Properties) -> None:
    """Put what the cloud forgot of a rule back into it."""
    for block, names in _FORGOTTEN.items():
        if block not in rule:
            continue
        before = known.get(block) or {}
        for name in names:
            if name not in rule[block] and before.get(name) is not None:
                rule[block][name] = before[name]
