"""Pulumi's provider protocol over gRPC: messages in, values through the lifecycle, messages out.

The engine opens one connection for each provider of a program, so the configuration is kept by
gRPC peer.
"""

# The protocol decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.provider import configuration, functions, paths
from localcloud.provider.diff import Change, Kind
from localcloud.provider.errors import NotConfiguredError, PartialError, ProviderError
from localcloud.provider.lifecycle import Lifecycle
from localcloud.provider.naming import Mode, NameRequest
from localcloud.provider.session import Clients, Session
from localcloud.provider.values import from_struct, has_unknown, to_struct

log = logging.getLogger(__name__)

VERSION = "7.51.1"
SCHEMA = '{"name": "aws", "version": "7.51.1", "resources": {}, "functions": {}}'
DETAILS_KEY = "grpc-status-details-bin"
# Ended connections whose configuration is kept for requests that were still under way.
KEPT_AFTER_END = 64

_T = TypeVar("_T")
_KINDS = {
    (Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Sessions:
    """The configured connections, by peer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, Session] = {}
        self._ended: OrderedDict[str, Session] = OrderedDict()

    def put(self, peer: str, session: Session) -> None:
        with self._lock:
            self._ended.pop(peer, None)
            self._live[peer] = session

    def get(self, peer: str) -> Session:
        """The peer's session, also shortly after its end.

        Raises:
            NotConfiguredError: it has none.
        """
        with self._lock:
            found = self._live.get(peer) or self._ended.get(peer)
        if found is None:
            raise NotConfiguredError
        return found

    def end(self, peer: str) -> None:
        """What waits for the cloud on this connection stops; all others go on."""
        with self._lock:
            session = self._live.pop(peer, None)
            if session is not None:
                session.ended.set()
                self._ended[peer] = session
                while len(self._ended) > KEPT_AFTER_END:
                    self._ended.popitem(last=False)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The servicer; every method runs in a thread of the server's pool."""

    def __init__(self, endpoint_url: str, default_region: str) -> None:
        self._clients = Clients(endpoint_url)
        self._default_region = default_region
        self._sessions = Sessions()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema=SCHEMA)

    def GetMapping(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetMappingsResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._sessions.end(context.peer())
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        news = from_struct(request.news)
        return provider_pb2.CheckResponse(
            inputs=request.news, failures=_failures(configuration.problems(news))
        )

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """A change of region makes another provider; everything else is the same one."""
        olds, news = from_struct(request.olds), from_struct(request.news)
        names = sorted(n for n in {*olds, *news} - {"version"} if olds.get(n) != news.get(n))
        replaces = [name for name in names if name == "region" and not has_unknown(news[name])]
        changes = provider_pb2.DiffResponse.DIFF_SOME if names else _no_change()
        return provider_pb2.DiffResponse(changes=changes, diffs=names, replaces=replaces)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        def configure() -> Any:
            values = from_struct(request.args)
            found = configuration.problems(values)
            if found:
                raise ProviderError("; ".join(f"{f.property}: {f.reason}" for f in found))
            settings = configuration.settings(values, self._default_region)
            session = Session(settings, self._clients)
            session.verify_account()
            self._sessions.put(context.peer(), session)
            return provider_pb2.ConfigureResponse(
                acceptSecrets=False,
                acceptResources=False,
                supportsPreview=True,
                supports_autonaming_configuration=True,
            )

        return _answered(context, configure)

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        def invoke() -> Any:
            session = self._sessions.get(context.peer())
            try:
                found = functions.invoke(request.tok, from_struct(request.args), session)
            except functions.ArgumentError as error:
                failure = provider_pb2.CheckFailure(property=error.argument, reason=str(error))
                return provider_pb2.InvokeResponse(failures=[failure])
            answer = provider_pb2.InvokeResponse()
            getattr(answer, "return").CopyFrom(to_struct(found))
            return answer

        return _answered(context, invoke)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        def check() -> Any:
            news, olds = from_struct(request.news), from_struct(request.olds)
            found, failures = self._lifecycle(request, context).check(
                news, olds, _name_request(request)
            )
            return provider_pb2.CheckResponse(inputs=to_struct(found), failures=_failures(failures))

        return _answered(context, check)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        def diff() -> Any:
            lifecycle = self._lifecycle(request, context)
            state, news = from_struct(request.olds), from_struct(request.news)
            found = lifecycle.diff(state, news, list(request.ignoreChanges))
            some = provider_pb2.DiffResponse.DIFF_SOME if found.changes else _no_change()
            return provider_pb2.DiffResponse(
                changes=some,
                replaces=found.replaces,
                stables=[n for n in lifecycle.outputs if n in state] if found.changes else [],
                deleteBeforeReplace=found.delete_before_replace,
                diffs=sorted(found.properties),
                detailedDiff={paths.text(c.path): _property_diff(c) for c in found.changes},
                hasDetailedDiff=True,
            )

        return _answered(context, diff)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        def create() -> Any:
            lifecycle, news = self._lifecycle(request, context), from_struct(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(
                    properties=to_struct(lifecycle.preview_create(news))
                )
            found_id, state = lifecycle.create(news, request.timeout or None)
            return provider_pb2.CreateResponse(id=found_id, properties=to_struct(state))

        return _answered(context, create)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        def read() -> Any:
            found = self._lifecycle(request, context).read(
                request.id, from_struct(request.properties), from_struct(request.inputs)
            )
            return provider_pb2.ReadResponse(
                id=found.id, properties=to_struct(found.state), inputs=to_struct(found.inputs)
            )

        return _answered(context, read)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        def update() -> Any:
            lifecycle, ignored = self._lifecycle(request, context), list(request.ignoreChanges)
            state, news = from_struct(request.olds), from_struct(request.news)
            if request.preview:
                found = lifecycle.preview_update(state, news, ignored)
            else:
                found = lifecycle.update(request.id, state, news, ignored, request.timeout or None)
            return provider_pb2.UpdateResponse(properties=to_struct(found))

        return _answered(context, update)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        def delete() -> Any:
            self._lifecycle(request, context).delete(
                request.id, from_struct(request.properties), request.timeout or None
            )
            return empty_pb2.Empty()

        return _answered(context, delete)

    def _lifecycle(self, request: Any, context: grpc.ServicerContext) -> Lifecycle:
        token = request.type or request.urn.split("::")[-2].rsplit("$", 1)[-1]
        return Lifecycle(token, self._sessions.get(context.peer()))


def _answered(context: grpc.ServicerContext, action: Callable[[], _T]) -> _T:
    """The answer, or the error in the form that the engine knows how to read."""
    try:
        return action()
    except PartialError as error:
        _set_partial(context, error)
        return context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except ProviderError as error:
        return context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:
        log.exception("the provider failed")
        return context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _set_partial(context: grpc.ServicerContext, error: PartialError) -> None:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id,
        properties=to_struct(error.state),
        inputs=to_struct(error.inputs),
        reasons=[str(error)],
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))


def _name_request(request: Any) -> NameRequest:
    logical = request.name or request.urn.rsplit("::", 1)[-1]
    if not request.HasField("autonaming"):
        return NameRequest(logical, bytes(request.randomSeed))
    modes = provider_pb2.CheckRequest.AutonamingOptions.Mode
    mode = Mode[modes.Name(request.autonaming.mode)]
    return NameRequest(logical, bytes(request.randomSeed), mode, request.autonaming.proposed_name)


def _failures(found: list[Any]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in found]


def _property_diff(change: Change) -> Any:
    return provider_pb2.PropertyDiff(kind=_KINDS[(change.kind, change.replaces)], inputDiff=False)


def _no_change() -> Any:
    return provider_pb2.DiffResponse.DIFF_NONE
