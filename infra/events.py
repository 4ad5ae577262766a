"""Where releases tell what happens: a topic for people and chat, the event bus for pipelines."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.controller_policies import topic_policy

EVENT_BUS = "default"


@dataclass(frozen=True)
class ReleaseEventsArgs:
    tags: dict[str, str]


class ReleaseEvents(pulumi.ComponentResource):
    """``topic_arn`` is known only once nobody can publish without TLS."""

    topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ReleaseEventsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:events:ReleaseEvents", name, {}, opts)
        topic = aws.sns.Topic(
            f"{name}-releases",
            display_name="Slipway releases",
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.sns.TopicPolicy(
            f"{name}-releases-tls-only",
            arn=topic.arn,
            policy=topic.arn.apply(topic_policy),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.topic_arn = pulumi.Output.all(topic.arn, policy.id).apply(lambda both: both[0])
        self.register_outputs({"topic_arn": self.topic_arn})
