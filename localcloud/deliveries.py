"""What one service hands to another: queued, and carried out while no service is locked."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from localcloud.in_moto import InMoto
from localcloud.lambda_ import policies
from localcloud.service import ACCOUNT_ID, AlarmAction, ServiceError

log = logging.getLogger(__name__)
_THREADS = 8
# Who calls a function for an alarm.
ALARMS = "lambda.alarms.cloudwatch.amazonaws.com"


class Functions(Protocol):
    """Lambda, as far as deliveries need it."""

    def deliver(self, arn: str, payload: bytes, service: str, source_arn: str) -> None: ...


class Machines(Protocol):
    """Step Functions, as far as deliveries need it."""

    def start(self, machine_arn: str, region: str, input_text: str, name: str | None) -> str: ...


@dataclass(frozen=True)
class Delivery:
    """``service`` is the principal that delivers for ``source``; empty: a role allowed it.

    ``dead_letters`` is the queue for what cannot be delivered; ``role`` is what a target needs that
    is reached by a role.
    """

    target: str
    payload: str
    service: str
    source: str
    role: str = ""
    group: str = ""
    dead_letters: str = ""


class Deliveries:
    """A failure is told in the log, and to the dead letter queue when there is one."""

    def __init__(self, aws: InMoto, functions: Functions, machines: Machines) -> None:
        self._aws, self._functions, self._machines = aws, functions, machines
        self._workers = ThreadPoolExecutor(_THREADS, thread_name_prefix="delivery")
        self._is_closed = False

    def submit(self, delivery: Delivery) -> None:
        """Returns at once; may be called with any lock held."""
        if not self._is_closed:
            self._workers.submit(self._try, delivery)

    def take(self, action: AlarmAction) -> None:
        """Hand an alarm to the function that its action names, if the function's policy lets it."""
        self.deliver(Delivery(action.arn, action.payload, ALARMS, action.alarm_arn))

    def close(self) -> None:
        self._is_closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)

    def deliver(self, delivery: Delivery) -> None:
        """Carry it out now.

        Raises:
            ServiceError: why it cannot be delivered.
        """
        parts = delivery.target.split(":", 5)
        service, region = (parts[2], parts[3]) if len(parts) == 6 else ("", "")
        match service:
            case "lambda":
                self._to_function(delivery)
            case "sns":
                self._to_topic(delivery, region)
            case "sqs":
                self._to_queue(delivery, region)
            case "states":
                self._to_machine(delivery, region)
            case "logs":
                self._to_log(delivery, region)
            case _:
                raise ServiceError(
                    "InvalidTarget", f"the local cloud does not deliver to {delivery.target}"
                )

    def _try(self, delivery: Delivery) -> None:
        try:
            self.deliver(delivery)
        except ServiceError as error:
            log.warning("%s is not delivered to %s: %s", delivery.source, delivery.target, error)
            self._bury(delivery, error)
        except Exception:
            log.exception("%s is not delivered to %s", delivery.source, delivery.target)

    def _to_function(self, delivery: Delivery) -> None:
        self._functions.deliver(
            delivery.target, delivery.payload.encode(), delivery.service, delivery.source
        )

    def _to_topic(self, delivery: Delivery, region: str) -> None:
        answer = self._aws.query("sns", region, "GetTopicAttributes", {"TopicArn": delivery.target})
        policy = _entry(answer, "Policy")
        self._check(delivery, policy, "sns:Publish")
        self._aws.query(
            "sns", region, "Publish", {"TopicArn": delivery.target, "Message": delivery.payload}
        )

    def _to_queue(self, delivery: Delivery, region: str) -> None:
        name = delivery.target.rpartition(":")[2]
        url = self._aws.json("sqs", region, "GetQueueUrl", {"QueueName": name})["QueueUrl"]
        answer = self._aws.json(
            "sqs", region, "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["Policy"]}
        )
        policy = (answer.get("Attributes") or {}).get("Policy", "")
        self._check(delivery, policy, "sqs:SendMessage")
        params = {"QueueUrl": url, "MessageBody": delivery.payload}
        if delivery.group:
            params["MessageGroupId"] = delivery.group
        self._aws.json("sqs", region, "SendMessage", params)

    def _to_machine(self, delivery: Delivery, region: str) -> None:
        if not self._aws.trusted(delivery.role, delivery.service):
            raise ServiceError(
                "AccessDeniedException",
                f"the target needs a RoleArn that {delivery.service} may assume, got "
                f"{delivery.role or 'none'}",
            )
        self._machines.start(delivery.target, region, delivery.payload, None)

    def _to_log(self, delivery: Delivery, region: str) -> None:
        group = delivery.target.partition(":log-group:")[2].removesuffix(":*")
        stream = {"logGroupName": group, "logStreamName": str(uuid.uuid4())}
        event = {"timestamp": int(time.time() * 1000), "message": delivery.payload}
        self._aws.json("logs", region, "CreateLogStream", stream)
        self._aws.json("logs", region, "PutLogEvents", {**stream, "logEvents": [event]})

    def _check(self, delivery: Delivery, policy: str, action: str) -> None:
        """A resource policy must let the service in; with a role there is nothing to check here."""
        if not delivery.service:
            return
        document: dict[str, Any] = json.loads(policy) if policy else {}
        found: Any = document.get("Statement", [])
        statements: list[Any] = found if isinstance(found, list) else [found]
        if not policies.allows(statements, delivery.service, action, delivery.source, ACCOUNT_ID):
            raise ServiceError(
                "AccessDeniedException",
                f"{delivery.service} may not {action} for {delivery.source}: the target's policy "
                "does not allow it",
            )

    def _bury(self, delivery: Delivery, error: ServiceError) -> None:
        if not delivery.dead_letters:
            return
        try:
            self._to_queue(
                Delivery(
                    delivery.dead_letters,
                    delivery.payload,
                    delivery.service,
                    delivery.source,
                ),
                delivery.dead_letters.split(":")[3],
            )
        except ServiceError as worse:
            log.warning("nor to its dead letter queue: %s (was: %s)", worse, error)


def connected(deliveries: Deliveries) -> Callable[[str, str, bytes], None]:
    """What Lambda sends to its destinations with: their roles allow it."""

    def send(target: str, source: str, payload: bytes) -> None:
        deliveries.submit(Delivery(target, payload.decode(), "", source))

    return send


def _entry(xml: str, key: str) -> str:
    """The value of one entry of a Query answer's map."""
    from html import unescape

    rest = xml.partition(f"<key>{key}</key>")[2]
    return unescape(rest.partition("<value>")[2].partition("</value>")[0])
