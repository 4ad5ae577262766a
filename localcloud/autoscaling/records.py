"""What Application Auto Scaling remembers, as one JSON document."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

Params = dict[str, Any]
# Region and resource id: there is one scalable dimension.
Key = tuple[str, str]

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING, STEP = "TargetTrackingScaling", "StepScaling"
IN_PROGRESS, SUCCESSFUL = "InProgress", "Successful"
FAILED, OVERRIDDEN = "Failed", "Overridden"
FORMAT = 1
# "From the previous six weeks" (botocore, DescribeScalingActivities), and not without end.
KEPT_SECONDS = 42 * 24 * 3600
KEPT_ACTIVITIES = 500
_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")


def split(resource_id: str) -> tuple[str, str] | None:
    """Endpoint and variant of ``endpoint/E/variant/V``; None for anything else."""
    found = _RESOURCE.fullmatch(resource_id)
    return None if found is None else (found[1], found[2])


@dataclass(frozen=True)
class Change:
    """The last scale-out that came about: instances before and after, and when (epoch seconds)."""

    before: int
    after: int
    ended: float


@dataclass
class Target:
    """A scalable target."""

    region: str
    resource_id: str
    arn: str
    created: float
    minimum: int
    maximum: int
    suspended: dict[str, bool]
    tags: dict[str, str] = field(default_factory=dict[str, str])
    last_out: Change | None = None
    last_in: float | None = None

    @property
    def key(self) -> Key:
        return self.region, self.resource_id

    @property
    def endpoint(self) -> str:
        return self.resource_id.split("/")[1]

    @property
    def variant(self) -> str:
        return self.resource_id.split("/")[3]


@dataclass
class Policy:
    """A scaling policy; ``alarms`` are the names of those that target tracking made for itself."""

    region: str
    resource_id: str
    name: str
    type: str
    arn: str
    created: float
    config: Params
    alarms: list[str] = field(default_factory=list[str])

    @property
    def key(self) -> Key:
        return self.region, self.resource_id


@dataclass
class Scheduled:
    """A scheduled action; ``next_run`` is None where it never runs again."""

    region: str
    resource_id: str
    name: str
    arn: str
    created: float
    schedule: str
    timezone: str | None
    action: Params
    start: float | None
    end: float | None
    next_run: float | None

    @property
    def key(self) -> Key:
        return self.region, self.resource_id


@dataclass
class Activity:
    """A scaling activity; ``not_scaled`` is the reason of one that came to nothing."""

    id: str
    region: str
    resource_id: str
    description: str
    cause: str
    start: float
    before: int
    desired: int
    status: str
    message: str | None = None
    ended: float | None = None
    not_scaled: Params | None = None

    @property
    def key(self) -> Key:
        return self.region, self.resource_id


class State:
    """Guarded by ``lock``, which is never held while another service is called."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.targets: dict[Key, Target] = {}
        self.policies: dict[tuple[str, str, str], Policy] = {}
        self.scheduled: dict[tuple[str, str, str], Scheduled] = {}
        self.activities: list[Activity] = []

    def policies_of(self, key: Key) -> list[Policy]:
        with self.lock:
            return [p for p in self.policies.values() if p.key == key]

    def add(self, activity: Activity) -> None:
        """The newest comes last; an endpoint's oldest go when they are too many."""
        with self.lock:
            oldest = activity.start - KEPT_SECONDS
            own = [a for a in self.activities if a.key == activity.key]
            too_many = {a.id for a in own[: max(0, len(own) + 1 - KEPT_ACTIVITIES)]}
            self.activities = [
                a for a in self.activities if a.start >= oldest and a.id not in too_many
            ]
            self.activities.append(activity)

    def clear(self) -> None:
        with self.lock:
            self.targets, self.policies, self.scheduled, self.activities = {}, {}, {}, []

    def dump(self) -> bytes:
        with self.lock:
            value = {
                "format": FORMAT,
                "targets": [dataclasses.asdict(t) for t in self.targets.values()],
                "policies": [dataclasses.asdict(p) for p in self.policies.values()],
                "scheduled": [dataclasses.asdict(s) for s in self.scheduled.values()],
                "activities": [dataclasses.asdict(a) for a in self.activities],
            }
            return json.dumps(value, sort_keys=True).encode()

    def load(self, data: bytes) -> None:
        """Replace everything; raises ``ValueError`` for a document of another format."""
        value: Params = json.loads(data)
        if value["format"] != FORMAT:
            raise ValueError(f"the format is {value['format']}, {FORMAT} is needed")
        targets = [_target(t) for t in value["targets"]]
        policies = [Policy(**p) for p in value["policies"]]
        scheduled = [Scheduled(**s) for s in value["scheduled"]]
        with self.lock:
            self.targets = {t.key: t for t in targets}
            self.policies = {(*p.key, p.name): p for p in policies}
            self.scheduled = {(*s.key, s.name): s for s in scheduled}
            self.activities = [Activity(**a) for a in value["activities"]]


def _target(value: Params) -> Target:
    last: Params | None = value["last_out"]
    target = Target(**value)
    target.last_out = None if last is None else Change(**last)
    return target
