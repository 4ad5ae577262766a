"""The AWS provider's functions: what a program asks without making anything."""

# Every function takes the same two arguments.
# ruff: noqa: ARG001

from __future__ import annotations

from collections.abc import Callable

from localcloud.provider.api_model import regions
from localcloud.provider.errors import ProviderError, UnknownTypeError
from localcloud.provider.policy_document import ArgumentError, policy_document
from localcloud.provider.session import DNS_SUFFIX, PARTITION, Session
from localcloud.provider.values import Properties

Function = Callable[[Properties, Session], Properties]


def invoke(token: str, arguments: Properties, session: Session) -> Properties:
    """Run one function.

    Raises:
        UnknownTypeError: the token names none of them.
        ArgumentError: an argument is unknown or wrong.
    """
    entry = _FUNCTIONS.get(token)
    if entry is None:
        raise UnknownTypeError("function", token)
    allowed, function = entry
    unknown = sorted(name for name in arguments.keys() - set(allowed) if not name.startswith("__"))
    if unknown:
        raise ArgumentError(
            unknown[0], f"invalid or unknown key; {token} takes {', '.join(allowed) or 'nothing'}"
        )
    return function(arguments, session)


def _caller_identity(arguments: Properties, session: Session) -> Properties:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise ProviderError(f"reading STS Caller Identity: {error}") from error
    return {
        "accountId": answer["Account"],
        "arn": answer["Arn"],
        "id": answer["Account"],
        "userId": answer["UserId"],
    }


def _region(arguments: Properties, session: Session) -> Properties:
    given = arguments.get("region")
    if given is not None and arguments.get("name") is not None:
        raise ArgumentError("region", "region conflicts with name")
    name = given or arguments.get("name") or session.region
    endpoint = arguments.get("endpoint")
    if endpoint is not None:
        name = _region_of_endpoint(str(endpoint), given or arguments.get("name"))
    if name not in regions():
        raise ArgumentError("region", f"region not found for name {name!r}")
    return {
        "id": name,
        "name": name,
        "region": name,
        "description": regions()[name],
        "endpoint": f"ec2.{name}.{DNS_SUFFIX}",
    }


def _region_of_endpoint(endpoint: str, given: str | None) -> str:
    found = next((r for r in regions() if endpoint == f"ec2.{r}.{DNS_SUFFIX}"), None)
    if found is None:
        raise ArgumentError("endpoint", f"region not found for endpoint {endpoint!r}")
    if given is not None and given != found:
        raise ArgumentError("endpoint", f"endpoint {endpoint!r} is not in region {given}")
    return found


def _partition(arguments: Properties, session: Session) -> Properties:
    return {
        "id": PARTITION,
        "partition": PARTITION,
        "dnsSuffix": DNS_SUFFIX,
        "reverseDnsPrefix": "com.amazonaws",
    }


def _policy_document(arguments: Properties, session: Session) -> Properties:
    return policy_document(arguments)


_FUNCTIONS: dict[str, tuple[tuple[str, ...], Function]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": (("id",), _caller_identity),
    "aws:index/getPartition:getPartition": (("id",), _partition),
    "aws:index/getRegion:getRegion": (("endpoint", "id", "name", "region"), _region),
    "aws:iam/getPolicyDocument:getPolicyDocument": (
        (
            "overrideJson",
            "overridePolicyDocuments",
            "policyId",
            "sourceJson",
            "sourcePolicyDocuments",
            "statements",
            "version",
        ),
        _policy_document,
    ),
}
