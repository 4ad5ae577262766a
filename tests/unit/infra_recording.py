"""Runs the program against Pulumi's mocks and keeps every registration with its options.

``MockMonitor`` hands only inputs to the mocks; the requests themselves carry the options. It also
runs no hooks; this one asks those of a creation, as the engine does, and keeps what they refuse.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pulumi
from pulumi.output import Unknown
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from infra.settings import StackConfig
from infra.stack import build
from infra.surroundings import Surroundings

ACCOUNT = "123456789012"
REGION = "eu-west-1"
PROJECT = "slipway"

# Stands for an input that is not known in a preview.
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class Registered:
    """One resource as the engine is asked to make it; ``token`` such as ``sagemaker:Endpoint``."""

    token: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    is_custom: bool
    protect: bool
    retain_on_delete: bool
    ignore_changes: tuple[str, ...]
    delete_before_replace: bool | None
    import_id: str
    before_create: tuple[str, ...]
    dependencies: frozenset[str]


class CloudMocks(Mocks):
    """Answers as the provider: names, ARNs and ids of what was made; nothing of it in a preview."""

    def __init__(self, preview: bool) -> None:
        self._preview = preview

    def call(self, args: MockCallArgs) -> Any:
        raise AssertionError(f"the stack itself asks nothing of AWS, but called {args.token}")

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom or self._preview:
            return None, dict(args.inputs)
        kind = args.typ.rsplit(":", 1)[-1]
        name = args.inputs.get("name") or f"{args.name}-1234567"
        match kind:
            case "Bucket":
                bucket = args.inputs.get("bucket") or f"{args.name}-1234567"
                return bucket, {**args.inputs, "bucket": bucket, "arn": f"arn:aws:s3:::{bucket}"}
            case "Role":
                return name, {**args.inputs, "name": name, "arn": role_arn(name)}
            case _:
                arn = f"arn:aws:any:{REGION}:{ACCOUNT}:{kind.lower()}/{name}"
                return name, {"name": name, "arn": arn, **args.inputs}


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


class RecordingMonitor(MockMonitor):
    """``preview`` runs only the hooks that are meant for it."""

    def __init__(self, mocks: Mocks, preview: bool) -> None:
        super().__init__(mocks)
        self._preview = preview
        self.registered: list[Registered] = []
        self.hooks: dict[str, Any] = {}
        self.refusals: list[str] = []

    def RegisterResource(self, request: Any) -> Any:
        for name in request.hooks.before_create:
            if self.hooks[name].on_dry_run or not self._preview:
                self._ask(self.hooks[name].callback, request)
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(_registered(request, answer.urn))
        return answer

    def RegisterResourceHook(self, request: Any) -> Any:
        self.hooks[request.name] = request
        return super().RegisterResourceHook(request)

    def _ask(self, callback: Any, request: Any) -> None:
        asked = resource_pb2.ResourceHookRequest(
            name=request.name, type=request.type, new_inputs=request.object
        )
        with grpc.insecure_channel(callback.target) as channel:
            answer = callback_pb2_grpc.CallbacksStub(channel).Invoke(
                callback_pb2.CallbackInvokeRequest(
                    token=callback.token, request=asked.SerializeToString()
                ),
                timeout=20,
            )
        error = resource_pb2.ResourceHookResponse.FromString(answer.response).error
        if error:
            self.refusals.append(error)


def _registered(request: Any, urn: str) -> Registered:
    inputs = _plain(rpc.deserialize_properties(request.object))
    defined = request.deleteBeforeReplaceDefined
    return Registered(
        token=_short(request.type),
        name=request.name,
        urn=urn,
        parent=request.parent,
        inputs=inputs,
        is_custom=request.custom,
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        ignore_changes=tuple(request.ignoreChanges),
        delete_before_replace=request.deleteBeforeReplace if defined else None,
        import_id=request.importId,
        before_create=tuple(request.hooks.before_create),
        dependencies=frozenset(request.dependencies),
    )


def _plain(value: Any) -> Any:
    """Assets as their paths, what is unknown as ``UNKNOWN``."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case pulumi.FileAsset():
            return value.path
        case pulumi.AssetArchive():
            return {path: _plain(asset) for path, asset in value.assets.items()}
        case Unknown():
            return UNKNOWN
        case _:
            return value


def _short(token: str) -> str:
    """``aws:sagemaker/endpoint:Endpoint`` → ``sagemaker:Endpoint``."""
    if not token.startswith("aws:"):
        return token
    _, module, kind = token.split(":")
    return f"{module.split('/')[0]}:{kind}"


@dataclass(frozen=True)
class Declared:
    """All that one run of the program asked for.

    ``exports`` holds what became known: one entry in an ``up``, none in a preview.
    ``refusals`` are the errors of the hooks; the engine stops there, the mocks go on.
    """

    resources: tuple[Registered, ...]
    exports: list[dict[str, Any]]
    refusals: tuple[str, ...]

    def of(self, token: str) -> list[Registered]:
        return [found for found in self.resources if found.token == token]

    def one(self, token: str, name: str | None = None) -> Registered:
        found = [r for r in self.of(token) if name is None or r.name == name]
        assert len(found) == 1, f"{len(found)} of {token} {name or ''}"
        return found[0]

    def by_urn(self, urn: str) -> Registered:
        return next(found for found in self.resources if found.urn == urn)

    def custom(self) -> list[Registered]:
        return [found for found in self.resources if found.is_custom]

    def children_of(self, above: Registered | None) -> Iterator[Registered]:
        """None is the stack itself."""
        known = {found.urn for found in self.resources}
        for found in self.resources:
            is_child = found.parent not in known if above is None else found.parent == above.urn
            if is_child:
                yield found

    def tree(self, above: Registered | None = None) -> dict[str, Any]:
        """Every resource as ``token name``, with its children below it."""
        return {
            f"{child.token} {child.name}": self.tree(child) for child in self.children_of(above)
        }

    def unknown_inputs(self) -> set[str]:
        """``name.path`` of every input that the engine does not know yet."""
        return {
            f"{found.name}.{path}"
            for found in self.custom()
            for path in _unknown_paths(found.inputs)
        }


def declare(config: StackConfig, around: Surroundings, preview: bool = False) -> Declared:
    """What ``infra.stack.build`` declares, in the mode ``up`` or ``preview``."""
    exports: list[dict[str, Any]] = []

    def program() -> pulumi.Output[Any]:
        return pulumi.Output.from_input(build(config, around)).apply(exports.append)

    # Pulumi's test mode takes the thread's loop; a test before may have closed or removed it.
    asyncio.set_event_loop(asyncio.new_event_loop())
    monitor = RecordingMonitor(CloudMocks(preview), preview)
    pulumi.runtime.set_mocks(monitor.mocks, PROJECT, config.stack, preview, monitor=monitor)
    pulumi.runtime.test(program)()
    return Declared(tuple(monitor.registered), exports, tuple(monitor.refusals))


def _unknown_paths(value: Any, path: str = "") -> Iterator[str]:
    if value == UNKNOWN:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_paths(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unknown_paths(item, f"{path}[{i}]")


def policy_statements(document: str) -> list[dict[str, Any]]:
    return json.loads(document)["Statement"]
