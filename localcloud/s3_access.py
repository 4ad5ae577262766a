"""S3 and SNS for the cloud's own parts: the same road as a request from outside, without HTTP."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from localcloud.in_moto import authorization
from localcloud.moto_app import MotoApp
from localcloud.service import DEFAULT_REGION, AlarmAction, ServiceError
from localcloud.wire import WireAnswer, WireRequest

_URI = re.compile(r"^s3://(?P<bucket>[^/]+)/(?P<key>.+)$", re.DOTALL)
_TOPIC = re.compile(r"^arn:aws[\w-]*:sns:(?P<region>[\w-]+):\d{12}:.+$")

# The principal that alarms invoke functions with.


class InProcessS3:
    """:class:`localcloud.service.S3Access` over moto."""

    def __init__(self, moto: MotoApp) -> None:
        self._moto = moto

    def get_object(self, uri: str) -> bytes:
        return self._call("GET", *_split(uri)).body

    def download(self, uri: str, target: Path) -> None:
        content = self.get_object(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def put_object(
        self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        self._call("PUT", bucket, key, body, content_type)

    def exists(self, uri: str) -> bool:
        try:
            self._call("HEAD", *_split(uri))
        except ServiceError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _call(
        self, method: str, bucket: str, key: str, body: bytes = b"", content_type: str = ""
    ) -> WireAnswer:
        headers = [
            ("Host", "127.0.0.1"),
            ("Authorization", authorization("s3", DEFAULT_REGION)),
        ]
        if content_type:
            headers.append(("Content-Type", content_type))
        request = WireRequest(method, f"/{quote(bucket)}/{quote(key)}", tuple(headers), body)
        answer = self._moto.call(request)
        if answer.status >= 400:
            raise _error(answer, f"s3://{bucket}/{key}")
        return answer


class InProcessTopics:
    """SNS over moto."""

    def __init__(self, moto: MotoApp) -> None:
        self._moto = moto

    def take(self, action: AlarmAction) -> None:
        """Publish what an alarm tells to the topic that its action names."""
        self.publish(action.arn, action.message, action.subject)

    def publish(self, topic_arn: str, message: str, subject: str) -> None:
        """An unknown topic raises :class:`ServiceError` (``NotFound``)."""
        found = _TOPIC.match(topic_arn)
        if found is None:
            raise ServiceError("InvalidParameter", f"Invalid parameter: TopicArn {topic_arn!r}")
        form = {
            "Action": "Publish",
            "Version": "2010-03-31",
            "TopicArn": topic_arn,
            "Message": message,
            "Subject": subject,
        }
        headers = (
            ("Host", "127.0.0.1"),
            ("Authorization", authorization("sns", found["region"])),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        )
        answer = self._moto.call(WireRequest("POST", "/", headers, urlencode(form).encode()))
        if answer.status >= 400:
            raise _error(answer, topic_arn)


def _split(uri: str) -> tuple[str, str]:
    found = _URI.match(uri)
    if found is None:
        raise ServiceError("InvalidURI", f"{uri!r} is not an S3 URI of the form s3://bucket/key")
    return found["bucket"], found["key"]


def _error(answer: WireAnswer, what: str) -> ServiceError:
    code, message = "", ""
    if answer.body:
        for element in ElementTree.fromstring(answer.body).iter():
            name = element.tag.rpartition("}")[2]
            if name == "Code":
                code = element.text or ""
            elif name == "Message":
                message = element.text or ""
    code = code or ("NoSuchKey" if answer.status == 404 else f"Http{answer.status}")
    return ServiceError(code, f"{message or code} ({what})", answer.status)
