"""aws.s3.BucketObjectv2."""

# The interface of a resource decides the arguments.

from __future__ import annotations

import base64
import io
import re
import urllib.parse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from localcloud.provider import tags
from localcloud.provider.errors import ProviderError
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.values import Asset, Properties

DEFAULT_STORAGE_CLASS = "STANDARD"
# Changes of these alone leave the object's bytes and headers where they are.
_NOT_UPLOADED = frozenset({"tags", "tagsAll", "forceDestroy"})
# Property and member of PutObject and HeadObject.
_HEADERS = {
    "bucketKeyEnabled": "BucketKeyEnabled",
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
    "kmsKeyId": "SSEKMSKeyId",
    "websiteRedirect": "WebsiteRedirectLocation",
}
_CHECKSUMS = {
    "checksumCrc32": "ChecksumCRC32",
    "checksumCrc32c": "ChecksumCRC32C",
    "checksumCrc64nvme": "ChecksumCRC64NVME",
    "checksumSha1": "ChecksumSHA1",
    "checksumSha256": "ChecksumSHA256",
}


class BucketObject(Resource):
    """The bytes are only written, never read back: drift shows in the etag and the headers."""

    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    gone = frozenset({"404", "NoSuchKey", "NoSuchBucket"})

    def create(self, call: Call) -> None:
        self._upload(call)
        call.id = f"{call.inputs['bucket']}/{_clean(call.inputs['key'])}"

    def read(self, call: Call) -> Properties | None:
        s3, target = call.client(), _target(call)
        extra = {"ChecksumMode": "ENABLED"} if call.known.get("checksumAlgorithm") else {}
        head: dict[str, Any] = s3.head_object(**target, **extra)
        found: Properties = {
            name: head[member] for name, member in _HEADERS.items() if member in head
        }
        found.setdefault("storageClass", DEFAULT_STORAGE_CLASS)
        found.setdefault("bucketKeyEnabled", False)
        if extra:
            found |= {n: head[m] for n, m in _CHECKSUMS.items() if m in head}
        tagging = s3.get_object_tagging(**target)
        return {
            **found,
            "bucket": target["Bucket"],
            "key": call.known.get("key") or target["Key"],
            "arn": f"arn:aws:s3:::{target['Bucket']}/{target['Key']}",
            "etag": str(head["ETag"]).strip('"'),
            "versionId": head.get("VersionId"),
            "tagsAll": tags.from_list(tagging.get("TagSet", [])),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        if changed - _NOT_UPLOADED:
            self._upload(call)

    def delete(self, call: Call) -> None:
        s3, target = call.client(), _target(call)
        if not call.state.get("versionId"):
            s3.delete_object(**target)
            return
        pages = s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=target["Bucket"], Prefix=target["Key"]):
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                if version["Key"] == target["Key"]:
                    s3.delete_object(**target, VersionId=version["VersionId"])

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        s3, target = call.client(), _target(call)
        current = tags.from_list(s3.get_object_tagging(**target).get("TagSet", []))
        together = {**{k: v for k, v in current.items() if k not in removed}, **added}
        s3.put_object_tagging(**target, Tagging={"TagSet": tags.to_list(together)})

    def import_state(self, resource_id: str) -> Properties:
        bucket, _, key = resource_id.removeprefix("s3://").partition("/")
        if not key:
            raise ProviderError(f"{resource_id!r} is not an object's id; write it as bucket/key")
        return {"bucket": bucket, "key": key}

    def unknown_after(self, changed: set[str]) -> set[str]:
        return {"versionId"} if changed - _NOT_UPLOADED else set()

    def _upload(self, call: Call) -> None:
        inputs = call.inputs
        extra = {m: inputs[n] for n, m in _HEADERS.items() if inputs.get(n) not in (None, "")}
        if inputs.get("kmsKeyId"):
            extra["ServerSideEncryption"] = "aws:kms"
        if inputs.get("checksumAlgorithm"):
            extra["ChecksumAlgorithm"] = inputs["checksumAlgorithm"]
        if call.tags:
            extra["Tagging"] = urllib.parse.urlencode(call.tags)
        extra.setdefault("ContentType", "application/octet-stream")
        with _body(inputs) as body:
            call.client().upload_fileobj(
                body, inputs["bucket"], _clean(inputs["key"]), ExtraArgs=extra
            )


def _target(call: Call) -> dict[str, str]:
    bucket, _, key = call.id.removeprefix("s3://").partition("/")
    known = call.state or call.inputs
    return {"Bucket": str(known.get("bucket") or bucket), "Key": _clean(known.get("key") or key)}


def _clean(key: str) -> str:
    """The key as the provider sends it."""
    return re.sub(r"/+", "/", key).removeprefix("./").removeprefix("/")


def _body(inputs: Properties) -> AbstractContextManager[BinaryIO]:
    if "contentBase64" in inputs:
        return nullcontext(io.BytesIO(base64.b64decode(inputs["contentBase64"], validate=True)))
    source = inputs.get("source")
    if isinstance(source, Asset):
        return _asset_body(source)
    return nullcontext(io.BytesIO(str(inputs.get("content") or "").encode()))


def _asset_body(asset: Asset) -> AbstractContextManager[BinaryIO]:
    if asset.fields.get("text"):
        return nullcontext(io.BytesIO(str(asset.fields["text"]).encode()))
    if asset.fields.get("path"):
        path = Path(str(asset.fields["path"]))
        if not path.is_absolute():
            raise ProviderError(
                f"source: the asset's path {str(path)!r} is relative, and the local cloud does not "
                "run in the program's folder; give an absolute path"
            )
        return path.open("rb")
    if asset.fields.get("uri"):
        raise ProviderError("source: the local cloud reads no remote assets; give a file or a text")
    return nullcontext(io.BytesIO(b""))
