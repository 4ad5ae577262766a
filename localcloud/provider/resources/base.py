"""What a resource of the provider is: five operations in terms of boto3."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from localcloud.provider import shapes
from localcloud.provider.errors import code_of
from localcloud.provider.schema import ResourceType
from localcloud.provider.session import PARTITION, Session
from localcloud.provider.values import Properties

POLL_SECONDS = 0.2
# The real provider repeats for two minutes what may fail until IAM has told all of AWS about a new
# principal. The local cloud knows at once; what fails here after this long fails for good.
PROPAGATION_SECONDS = 1.0

_T = TypeVar("_T")


@dataclass
class Call:
    """One operation on one resource.

    ``inputs`` are what the program wants, ``state`` what was known before (empty at creation). A
    creation sets ``id`` as soon as the cloud has the thing, so that a failure after it is told as
    one of a resource that exists.
    """

    type: ResourceType
    session: Session
    inputs: Properties
    state: Properties
    id: str = ""
    timeout_seconds: float | None = None

    @property
    def region(self) -> str:
        """The state's region, for what exists stays where it is."""
        known = self.state.get("region") or self.inputs.get("region")
        return str(known or self.session.region)

    @property
    def known(self) -> Properties:
        """What is wanted where there is a program, else what was known."""
        return self.inputs or self.state

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.inputs.get("tagsAll") or {})

    def client(self, service: str | None = None) -> Any:
        return self.session.client(service or self.type.api, self.region)

    def arn(self, service: str, resource: str, region: str | None = None) -> str:
        place = self.region if region is None else region
        return f"arn:{PARTITION}:{service}:{place}:{self.session.account_id}:{resource}"

    def request(self, only: Iterable[str] | None = None) -> dict[str, Any]:
        """The wanted inputs as the API's request has them."""
        return shapes.to_api(self.type.inputs, self.inputs, only)

    def properties(self, answer: dict[str, Any]) -> Properties:
        """The properties in the API's answer."""
        return shapes.from_api(self.type.inputs, answer)


class Resource(ABC):
    """One resource type. boto3's errors pass through; the lifecycle words them.

    ``gone`` are the error codes that say that the resource does not exist.
    """

    token: ClassVar[str]
    gone: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def create(self, call: Call) -> None:
        """Make it and set ``call.id``."""

    @abstractmethod
    def read(self, call: Call) -> Properties | None:
        """All that AWS says of it, ``tagsAll`` included; None when it is gone."""

    def update(self, call: Call, changed: set[str]) -> None:
        """Change what differs; tags are changed before, by :meth:`tag`."""
        raise NotImplementedError(f"{self.token} cannot be updated: {sorted(changed)}")

    @abstractmethod
    def delete(self, call: Call) -> None:
        """Take it away; an error that :meth:`is_gone` knows counts as done."""

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        """Set and remove tags by the service's tag API."""
        raise NotImplementedError(f"{self.token} has no tags")

    def is_gone(self, error: Exception) -> bool:
        return code_of(error) in self.gone

    def keeps_delete_error(self, error: Exception) -> bool:
        """Whether not finding it is an error of a deletion, as it is for a few types."""
        return False

    def import_state(self, resource_id: str) -> Properties:
        """What an import's id tells that AWS does not."""
        return {}

    def imported_id(self, resource_id: str, found: Properties) -> str:
        """The id in the state of what an import named by ``resource_id``."""
        return resource_id

    def unknown_after(self, changed: set[str]) -> set[str]:
        """Outputs that an update of these properties will change in a way not known before."""
        return set()

    def unknown_with(self, changed: set[str], wanted: Properties) -> set[str]:
        """As :meth:`unknown_after`, where that depends on what the program wants."""
        return self.unknown_after(changed)


def retry(
    action: Callable[[], _T],
    again: Callable[[Exception], bool],
    seconds: float = PROPAGATION_SECONDS,
) -> _T:
    """Repeat while the error is one that may pass."""
    from botocore.exceptions import ClientError

    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except ClientError as error:
            if not again(error) or time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)
