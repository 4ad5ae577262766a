"""The provider's own configuration: its keys, their types, and what of them has an effect here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.provider.check import Failure
from localcloud.provider.tags import TagSettings
from localcloud.provider.validators import region as region_problem
from localcloud.provider.values import UNKNOWN, Properties

# The keys of pulumi_aws 7.51.1. Those that concern how AWS itself is reached are accepted and have
# no effect: there is one endpoint, and it takes any credentials.
KEYS = frozenset(
    {
        "accessKey",
        "allowedAccountIds",
        "assumeRoleWithWebIdentity",
        "assumeRoles",
        "customCaBundle",
        "defaultTags",
        "ec2MetadataServiceEndpoint",
        "ec2MetadataServiceEndpointMode",
        "endpoints",
        "forbiddenAccountIds",
        "httpProxy",
        "httpsProxy",
        "ignoreTags",
        "insecure",
        "maxRetries",
        "noProxy",
        "profile",
        "region",
        "retryMode",
        "s3UsEast1RegionalEndpoint",
        "s3UsePathStyle",
        "secretKey",
        "sharedConfigFiles",
        "sharedCredentialsFiles",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "stsRegion",
        "tagPolicyCompliance",
        "token",
        "tokenBucketRateLimiterCapacity",
        "useDualstackEndpoint",
        "useFipsEndpoint",
        "userAgents",
    }
)
# The engine's own members of a provider's inputs.
ENGINE_KEYS = frozenset({"version", "pluginDownloadURL", "__internal"})


@dataclass(frozen=True)
class Settings:
    """What of the configuration has an effect."""

    region: str
    tags: TagSettings = field(default_factory=TagSettings)
    allowed_accounts: tuple[str, ...] = ()
    forbidden_accounts: tuple[str, ...] = ()


def problems(values: Properties) -> list[Failure]:
    """Unknown keys, and values of no sense."""
    found = [
        Failure(key, f"could not find property {key} in the AWS provider's configuration")
        for key in sorted(values.keys() - KEYS - ENGINE_KEYS)
    ]
    region = values.get("region")
    if isinstance(region, str) and not _flag(values.get("skipRegionValidation")):
        reason = region_problem(region)
        found += [Failure("region", reason)] if reason else []
    for key in ("defaultTags", "ignoreTags", "endpoints", "allowedAccountIds"):
        try:
            decoded(values.get(key))
        except ValueError as error:
            found.append(Failure(key, f"must be JSON: {error}"))
    if values.get("allowedAccountIds") and values.get("forbiddenAccountIds"):
        found.append(Failure("allowedAccountIds", "conflicts with forbiddenAccountIds"))
    return found


def settings(values: Properties, default_region: str) -> Settings:
    """The settings in a configuration that has no problems."""
    defaults = _object(values.get("defaultTags")).get("tags") or {}
    ignored = _object(values.get("ignoreTags"))
    return Settings(
        region=str(values.get("region") or default_region),
        tags=TagSettings(
            defaults=dict(defaults),
            ignored_keys=frozenset(ignored.get("keys") or ()),
            ignored_prefixes=tuple(ignored.get("keyPrefixes") or ()),
        ),
        allowed_accounts=tuple(decoded(values.get("allowedAccountIds")) or ()),
        forbidden_accounts=tuple(decoded(values.get("forbiddenAccountIds")) or ()),
    )


def decoded(value: Any) -> Any:
    """A setting that is no text comes as JSON text or as it is."""
    if isinstance(value, str) and value is not UNKNOWN:
        return json.loads(value) if value else None
    return value


def _object(value: Any) -> Mapping[str, Any]:
    found = decoded(value)
    return found if isinstance(found, dict) else {}


def _flag(value: Any) -> bool:
    return value in (True, "true")
