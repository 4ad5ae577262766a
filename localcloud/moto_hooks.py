"""The few places where moto must behave otherwise inside our cloud; installed once, at start."""

from __future__ import annotations

import datetime as real_datetime
import io
import json
import os
import threading
from typing import Any

from localcloud.clock import Clock

_LOAD_POLICIES = "MOTO_IAM_LOAD_MANAGED_POLICIES"


def install(clock: Clock) -> None:
    from localcloud import moto_codebuild

    _use_clock(clock)
    _judge_unconditional_bucket_policies_only()
    _list_versions_without_their_bytes()
    moto_codebuild.install()


class _SimulatedDatetime:
    """``datetime.datetime`` with another idea of now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self, tz: real_datetime.tzinfo | None = None) -> real_datetime.datetime:
        moment = self._clock.now()
        return moment.replace(tzinfo=None) if tz is None else moment.astimezone(tz)

    def __getattr__(self, name: str) -> Any:
        return getattr(real_datetime.datetime, name)


class _SimulatedModule:
    """The module ``datetime`` with :class:`_SimulatedDatetime` in it."""

    def __init__(self, clock: Clock) -> None:
        self.datetime = _SimulatedDatetime(clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(real_datetime, name)


def _use_clock(clock: Clock) -> None:
    """Services import ``utcnow`` by name, so what changes is the module that it looks into."""
    import moto.core.utils

    module: Any = moto.core.utils
    module.datetime = _SimulatedModule(clock)


def _judge_unconditional_bucket_policies_only() -> None:
    """moto takes an unmet condition for a denial, so TLS-only buckets would refuse everybody.

    Statements with a condition (``aws:SecureTransport``) are not judged; the others still are.
    """
    from moto.s3.models import FakeBucket

    bucket_type: Any = FakeBucket
    judge = bucket_type.get_permission

    def get_permission(bucket: Any, action: str, resource: str) -> Any:
        policy: bytes | None = bucket.policy
        if policy is None or b'"Condition"' not in policy:
            return judge(bucket, action, resource)
        document: dict[str, Any] = json.loads(policy)
        statements: Any = document.get("Statement", [])
        listed: list[Any] = statements if isinstance(statements, list) else [statements]
        document["Statement"] = [s for s in listed if "Condition" not in s]
        return judge(_PolicyOnly(json.dumps(document).encode()), action, resource)

    bucket_type.get_permission = get_permission


class _PolicyOnly:
    """As much of a bucket as its policy check looks at."""

    def __init__(self, policy: bytes) -> None:
        self.policy = policy


def _list_versions_without_their_bytes() -> None:
    """ListObjectVersions copies every version of a bucket, to mark the latest: not their bytes too.

    They would be in memory twice while everybody else waits for S3, for each page of a listing.
    """
    from moto.s3.models import FakeKey

    key_type: Any = FakeKey
    key_type.__deepcopy__ = _described_key


def _described_key(key: Any, _memo: Any) -> Any:
    """What a listing tells of an S3 object."""
    assert key.etag  # made of the bytes, where nobody asked for it before
    kind: Any = type(key)
    described: Any = kind.__new__(kind)
    described.__dict__.update(
        key.__dict__,
        _value_buffer=io.BytesIO(),
        disposed=True,
        lock=threading.Lock(),
        multipart=None,
    )
    return described


def forget_instances() -> None:
    """moto remembers every model object ever made, for its dashboard; a daemon would only grow.

    moto's own ``reset_model_data`` lets go of the old lists while it replaces them. What is in them
    may run code when it goes (``FakeKey.__del__``), and until the assignment is over CPython's
    cache of type attributes still gives the dying list to other threads, which append to freed
    memory. So all lists stay until all are replaced.
    """
    from moto.core.model_instances import model_data

    # Another thread may import a service meanwhile: walk through copies.
    services = [list(models.values()) for models in list(model_data.values())]
    models: list[Any] = [model for of_service in services for model in of_service]
    forgotten = [model.instances_tracked for model in models]
    for model in models:
        model.instances_tracked = []
    forgotten.clear()


def names_aws_policies(body: bytes) -> bool:
    """Whether an IAM request needs the policies that AWS itself manages."""
    return b"iam%3A%3Aaws%3Apolicy" in body or b"iam::aws:policy" in body or b"ListPolicies" in body


def load_aws_policies(account_id: str, partition: str) -> dict[str, Any]:
    """All managed policies; AWS's own are made when first asked for, as 1,400 of them take 1 s."""
    from moto.iam.models import iam_backends

    backend: Any = iam_backends[account_id][partition]
    if not backend.aws_managed_policies:
        os.environ[_LOAD_POLICIES] = "true"
        try:
            backend.aws_managed_policies = backend._init_aws_policies()
            backend.managed_policies.update(backend._init_managed_policies())
        finally:
            del os.environ[_LOAD_POLICIES]
    return backend.managed_policies
