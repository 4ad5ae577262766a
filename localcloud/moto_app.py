"""The services that moto does: its own WSGI application, called in process, one lock a service."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import unquote_to_bytes

from localcloud import long_poll, moto_hooks, s3_integrity
from localcloud.service import ACCOUNT_ID
from localcloud.wire import WireAnswer, WireRequest

log = logging.getLogger(__name__)

_READ_ONLY_PREFIXES = ("Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Filter")
# Publishing and events put messages into other services' stores.
_DELIVERS_TO = {"sns": ("sqs",), "s3": ("sqs", "sns"), "events": ("sqs", "sns", "logs")}


class StateKeeper(Protocol):
    """Puts a service's state on disk; called with the service's lock held."""

    @property
    def restored(self) -> dict[str, str]: ...

    def keep(self, service: str, request: WireRequest | None) -> None: ...

    def clear(self) -> None: ...


class MotoApp:
    """moto as a function from request to answer.

    moto's stores are plain dictionaries that change while others walk through them, so every
    service has one lock; it is held for the call and for putting the state on disk.
    """

    def __init__(self, keeper: StateKeeper) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._keeper = keeper
        self._dispatcher = DomainDispatcherApplication(create_backend_app)
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self._used: set[str] = set(keeper.restored)

    def lock(self, service: str) -> threading.RLock:
        return self._locks[service]

    def call(self, request: WireRequest) -> WireAnswer:
        """Answer one request; blocks, so call it from a worker thread."""
        poll = long_poll.find(request)
        if poll is None:
            return self._call(request)
        # moto would sleep with the lock held, and nobody could send what is waited for.
        return poll.run(self._call)

    def _call(self, request: WireRequest) -> WireAnswer:
        environ = _environ(request)
        try:
            app = self._dispatcher.get_application(environ)
        except ImportError as error:
            log.warning("moto cannot do %s: %s", request.signing_service, error)
            return _failure(environ, NotImplementedError(f"moto needs {error.name} for it"))
        service: str = vars(app)["service"]
        self._used.add(service)
        if service == "s3" and (refused := s3_integrity.refusal(request)) is not None:
            return refused
        mutates = _mutates(request)
        with self.lock(service):
            if service == "iam" and moto_hooks.names_aws_policies(request.body):
                moto_hooks.load_aws_policies(ACCOUNT_ID, "aws")
            answer = _run(app, environ)
            if mutates:
                self._keeper.keep(service, request)
        if mutates:
            for other in _DELIVERS_TO.get(service, ()):
                if other not in self._used:
                    continue
                with self.lock(other):
                    self._keeper.keep(other, None)
        return answer

    def reset(self) -> None:
        """Empty every moto service, and what stands on disk of it."""
        from moto.moto_api._internal.models import moto_api_backend

        held = [self.lock(name) for name in sorted(self._locks)]
        for lock in held:
            lock.acquire()
        try:
            moto_hooks.forget_instances()
            moto_api_backend.reset()
            self._keeper.clear()
        finally:
            for lock in reversed(held):
                lock.release()


def _mutates(request: WireRequest) -> bool:
    """Whether the request may change state; in doubt it does."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        # Query services may be asked by GET, with the action in the URL.
        action = request.query.get("Action", [""])[0]
        return bool(action) and not action.startswith(_READ_ONLY_PREFIXES)
    target = request.header("x-amz-target").rpartition(".")[2]
    action = target or request.form.get("Action", [""])[0]
    if not action and "/operation/" in request.raw_path:
        action = request.raw_path.rpartition("/")[2]
    return not (action and action.startswith(_READ_ONLY_PREFIXES))


def _environ(request: WireRequest) -> dict[str, Any]:
    """WSGI's view of the request, with what moto wants beyond it (raw URI, names of metadata)."""
    from moto.core.request import (
        PRESERVED_HEADER_NAMES_ENVIRON_KEY,
        environ_key_for_header,
        should_preserve_original_header_name,
    )

    host = request.header("host") or "127.0.0.1"
    name, _, port = host.partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.raw_path).decode("latin-1"),
        "QUERY_STRING": request.query_string,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "SERVER_NAME": name,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    preserved: dict[str, str] = {}
    for header, value in request.headers:
        key = environ_key_for_header(header)
        if should_preserve_original_header_name(header):
            preserved[key] = header
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved
    # The front has read the whole body, whatever way it was transferred.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(request.body))
    if request.method == "PUT" and "urlencoded" in environ.get("CONTENT_TYPE", ""):
        # AWS never reads a PUT's body as a form; moto's WSGI layer would, and lose the object.
        environ["CONTENT_TYPE"] = "application/octet-stream"
    return environ


def _run(app: Callable[..., Any], environ: dict[str, Any]) -> WireAnswer:
    answer = WireAnswer(500)

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        answer.status = int(status.split(" ", 1)[0])
        answer.headers = list(headers)

    try:
        chunks = app(environ, start_response)
        try:
            answer.body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
    except Exception as error:  # a gap in moto must be one failed request, not a dead daemon
        log.exception("moto failed at %s %s", environ["REQUEST_METHOD"], environ["RAW_URI"])
        return _failure(environ, error)
    return answer


def _failure(environ: dict[str, Any], error: Exception) -> WireAnswer:
    """A gap in moto, told as AWS tells an internal failure, with what is missing."""
    if isinstance(error, NotImplementedError):
        code, status = "NotImplemented", 501
        text = f"the local cloud does not do this ({error or 'not implemented by moto'})"
    else:
        code, status = "InternalFailure", 500
        text = f"the local cloud failed ({type(error).__name__}: {error}); see `slipway cloud logs`"
    content_type = cast("str", environ.get("CONTENT_TYPE", ""))
    if "json" in content_type:
        body = json.dumps({"__type": code, "message": text}).encode()
        return WireAnswer(status, [("Content-Type", content_type)], body)
    from xml.sax.saxutils import escape

    xml = f"<ErrorResponse><Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
    return WireAnswer(status, [("Content-Type", "text/xml")], f"{xml}</ErrorResponse>".encode())
