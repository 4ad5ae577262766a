"""What InvokeEndpoint takes: headers by their rules, and what of them the container gets. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.service import DEFAULT_REGION

CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_PREFIX = "x-amzn-sagemaker-"
_TARGET_VARIANT = _PREFIX + "target-variant"
_INFERENCE_ID = _PREFIX + "inference-id"
_FORWARDED = (
    ("content-type", "Content-Type"),
    ("accept", "Accept"),
    (CUSTOM_ATTRIBUTES, "X-Amzn-SageMaker-Custom-Attributes"),
)
_NOT_OFFERED = {
    _PREFIX + "target-model": "TargetModel needs a multi-model endpoint",
    _PREFIX + "target-container-hostname": "TargetContainerHostname needs several containers",
    _PREFIX + "inference-component": "InferenceComponentName needs inference components",
    _PREFIX + "session-id": "SessionId needs a container with stateful sessions",
    _PREFIX + "prefix-aware-id": "PrefixAwareId needs prefix-aware routing",
    _PREFIX + "enable-explanations": "EnableExplanations needs an explainer",
}
_VARIANT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_PRINTABLE = re.compile(r"[!-~][ -~]{0,63}")
_VISIBLE = re.compile(r"[ -~]{0,1024}")


@dataclass(frozen=True)
class InvokeRequest:
    """``forwarded`` is the part of an HTTP head that the container gets."""

    region: str
    target_variant: str | None
    inference_id: str | None
    content_type: str
    forwarded: bytes


class InvalidHeaderError(Exception):
    """A header that AWS refuses with ``ValidationError``; the text is AWS's message."""


def parse(headers: Mapping[str, str]) -> InvokeRequest:
    """Raises :class:`InvalidHeaderError`."""
    lower = {name.lower(): value for name, value in headers.items()}
    target, inference_id = lower.get(_TARGET_VARIANT), lower.get(_INFERENCE_ID)
    for name, why in _NOT_OFFERED.items():
        if name in lower:
            raise InvalidHeaderError(f"{why}; this endpoint serves one model a variant.")
    if target is not None and not _VARIANT_NAME.fullmatch(target):
        raise _constraint(target, "targetVariant", _VARIANT_NAME.pattern)
    if inference_id is not None and not _PRINTABLE.fullmatch(inference_id):
        raise _constraint(inference_id, "inferenceId", r"\A\S[\p{Print}]*\z (1 to 64 characters)")
    lines: list[str] = []
    for name, sent in _FORWARDED:
        value = lower.get(name)
        if value is not None:
            if not _VISIBLE.fullmatch(value):
                raise _constraint(value, name, "visible ASCII, at most 1024 characters")
            lines.append(f"{sent}: {value}\r\n")
    return InvokeRequest(
        region=signed_region(lower.get("authorization", "")),
        target_variant=target,
        inference_id=inference_id,
        content_type=lower.get("content-type", ""),
        forwarded="".join(lines).encode("ascii"),
    )


def signed_region(authorization: str) -> str:
    """The region of a SigV4 scope: ``Credential=KEY/DATE/REGION/sagemaker/aws4_request``."""
    _, found, rest = authorization.partition("Credential=")
    scope = rest.partition(",")[0].split("/")
    return scope[-3] if found and len(scope) >= 5 else DEFAULT_REGION


def _constraint(value: str, name: str, wanted: str) -> InvalidHeaderError:
    return InvalidHeaderError(
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {wanted}"
    )
