"""What goes wrong in the provider, worded as the AWS provider words it."""

from __future__ import annotations

from typing import Any

from contracts.errors import SlipwayError


class ProviderError(SlipwayError):
    """An operation of the provider failed."""


class UnknownTypeError(ProviderError):
    """The program uses a type or function that the local cloud does not emulate."""

    def __init__(self, what: str, token: str) -> None:
        super().__init__(
            f"{what} {token} is not emulated by the local cloud's AWS provider; leave it out on "
            "the local stack, or run this stack against AWS"
        )
        self.token = token


class NotConfiguredError(ProviderError):
    """An operation came on a connection that was never configured."""

    def __init__(self) -> None:
        super().__init__("this connection was not configured; the engine must call Configure first")


class PartialError(ProviderError):
    """The resource exists, but the operation did not end well.

    ``state`` and ``inputs`` are what is known of it; the engine keeps them and tries again.
    """

    def __init__(
        self, reason: str, resource_id: str, state: dict[str, Any], inputs: dict[str, Any]
    ) -> None:
        super().__init__(reason)
        self.resource_id = resource_id
        self.state = state
        self.inputs = inputs


def code_of(error: Exception) -> str:
    """The AWS error code of a botocore error; "" for any other."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def message_of(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Message", ""))


def aws_text(service: str, error: Exception) -> str:
    """An AWS error as the AWS SDK for Go writes it."""
    response: dict[str, Any] = getattr(error, "response", {})
    if "Error" not in response:
        return str(error)
    metadata = response.get("ResponseMetadata", {})
    return (
        f"operation error {service}: {getattr(error, 'operation_name', '')}, "
        f"https response error StatusCode: {metadata.get('HTTPStatusCode', 0)}, "
        f"RequestID: {metadata.get('RequestId', '')}, "
        f"api error {code_of(error)}: {message_of(error)}"
    )
