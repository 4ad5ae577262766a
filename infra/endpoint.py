"""The endpoint: made once by Pulumi; what it serves is the release controller's from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

# Raises where the endpoint with these inputs must not be made.
Guard = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class ServingEndpointArgs:
    """``endpoint_config_name`` counts at creation only.

    ``adopted``: the endpoint stands already; Pulumi takes it over if it does not know it.
    """

    endpoint_name: str
    endpoint_config_name: pulumi.Input[str]
    guard: Guard
    adopted: bool
    tags: dict[str, str]


class ServingEndpoint(pulumi.ComponentResource):
    """Protected, and never created or replaced while releases of it are remembered."""

    endpoint: aws.sagemaker.Endpoint

    def __init__(
        self, name: str, args: ServingEndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:endpoint:ServingEndpoint", name, {}, opts)

        def check(call: pulumi.ResourceHookArgs) -> None:
            args.guard(call.new_inputs or {})

        refusal = pulumi.ResourceHook(
            f"{name}-no-release-history", check, pulumi.ResourceHookOptions(on_dry_run=True)
        )
        self.endpoint = aws.sagemaker.Endpoint(
            f"{name}-endpoint",
            name=args.endpoint_name,
            endpoint_config_name=args.endpoint_config_name,
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                import_=args.endpoint_name if args.adopted else None,
                # An explicit name would make the provider delete first; the option wins.
                delete_before_replace=False,
                # Both are the controller's: an update by Pulumi takes back scaled counts and
                # shifted weights, and reports a rolled-back one as done (fact 10.3).
                ignore_changes=["endpointConfigName", "deploymentConfig"],
                hooks=pulumi.ResourceHookBinding(before_create=[refusal]),
            ),
        )
        self.register_outputs({"name": self.endpoint.name, "arn": self.endpoint.arn})
