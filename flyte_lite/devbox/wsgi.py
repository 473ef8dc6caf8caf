"""The devbox as one WSGI application: paths, methods and content types, and the way of a call through a service.

It answers as connect-go and the real server's middleware do, quirks included; how messages travel is in `protocols`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.devbox.calls import Calls, ServedCall
from flyte_lite.devbox.faults import Faults
from flyte_lite.devbox.guard import NotAdmitted
from flyte_lite.devbox.protocols import Answer, Headers, Incoming, Protocol, accepted, choose, refused
from flyte_lite.devbox.protocols.error_json import status_of
from flyte_lite.devbox.services.call import Call, CallOver, End, endpoint_of
from flyte_lite.errors import CallError, Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from flyte_lite.devbox.guard import Guard
    from flyte_lite.devbox.object_store import ObjectStore
    from flyte_lite.devbox.services import Rpc

    Environ = dict[str, Any]
    StartResponse = Callable[[str, Headers], Any]

_log = logging.getLogger("flyte_lite.devbox")

# What a server tells the application in the environment, if it can: whether the caller has left, and where trailers go.
GONE = "flyte_lite.gone"
TRAILERS = "flyte_lite.trailers"

_LATE = "context deadline exceeded"
_TEXT = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK",
    206: "Partial Content",
    303: "See Other",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    429: "Too Many Requests",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_OAUTH = "/.well-known/oauth-authorization-server"
_NO_OAUTH = "unimplemented: oauth2 metadata is not configured; set runs.authMetadata.externalAuthServerBaseUrl\n"


class Application:
    """The WSGI application.

    Args:
        rpcs: What is served, by path.
        faults: What is to go wrong; None is nothing.
        calls: Where calls are kept; None is nowhere.
        store: The object store, for those who come with a signed address; None is not served.
        guard: Lets callers in; None lets everybody.

    Raises:
        ConnectionDropped: From a call, where the server is to close the connection without an answer, or without the
            rest of one.
    """

    def __init__(
        self,
        rpcs: Mapping[str, Rpc],
        faults: Optional[Faults] = None,
        calls: Optional[Calls] = None,
        store: Optional[ObjectStore] = None,
        guard: Optional[Guard] = None,
    ) -> None:
        self._rpcs = rpcs
        self._guard = guard
        self._store = store
        self._faults = Faults(rpcs) if faults is None else faults
        self._calls = calls
        self._stopping = threading.Event()

    def end_streams(self) -> None:
        """End every stream that is open, within half a second; those that are opened later go on."""
        ended, self._stopping = self._stopping, threading.Event()
        ended.set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        incoming = Incoming(environ)
        rpc = self._rpcs.get(incoming.path)
        if rpc is not None:
            answer = self._call(rpc, incoming, environ.get(GONE, _never))
        elif self._store is not None and self._store.serves(incoming.path):
            answer = self._store.answer(incoming)
        elif self._guard is not None and self._guard.authority.serves(incoming.path):
            answer = self._guard.authority.answer(incoming)
        else:
            answer = self._elsewhere(incoming)
        headers = answer.headers
        if answer.length is not None:
            headers = [*headers, ("Content-Length", str(answer.length))]
        if answer.trailers is not None:
            environ[TRAILERS] = answer.trailers
        start_response(f"{answer.status} {_REASONS[answer.status]}", headers)
        return answer.body if incoming.method != "HEAD" else ()

    def _call(self, rpc: Rpc, incoming: Incoming, gone: Callable[[], bool]) -> Answer:
        identity: Optional[Mapping[str, str]] = None
        if self._guard is not None:
            try:
                identity = self._guard.admit(rpc.name, incoming.headers)
            except NotAdmitted as why:
                return self._not_admitted(rpc, incoming, why)
        if rpc.both_ways:
            return Answer(505, [("Connection", "close")])
        methods = ["GET", "POST"] if rpc.by_get else ["POST"]
        if incoming.method not in methods:
            return Answer(405, [("Allow", ", ".join(methods))])
        protocol = choose(incoming, rpc.streams)
        if protocol is None:
            return Answer(415, [("Accept-Post", accepted(rpc.streams))])
        if incoming.method == "GET" and incoming.has_body:
            return Answer(415, [])
        return protocol.answer(self._messages(rpc, protocol, incoming, gone, identity))

    def _not_admitted(self, rpc: Rpc, incoming: Incoming, why: NotAdmitted) -> Answer:
        protocol = choose(incoming, rpc.streams)
        if protocol is None:
            answer = refused(why.error)
        else:
            answer = protocol.refused(why.error)
            if self._calls is not None:
                served = ServedCall(rpc.name, protocol.name, protocol.codec.name, incoming.headers)
                served.code, served.error, served.finished = why.error.code, why.error.message, time.time()
                self._calls.begin(served)
        challenge = [("WWW-Authenticate", why.challenge)] if why.challenge else []
        return answer._replace(headers=[*answer.headers, *challenge])

    def _messages(
        self,
        rpc: Rpc,
        protocol: Protocol,
        incoming: Incoming,
        gone: Callable[[], bool],
        identity: Optional[Mapping[str, str]],
    ) -> Iterator[bytes]:
        """The answer's messages, encoded; CallError ends them."""
        served = ServedCall(rpc.name, protocol.name, protocol.codec.name, incoming.headers)
        if self._calls is not None:
            self._calls.begin(served)
        try:
            yield from self._carried_out(rpc, protocol, incoming, gone, served, identity)
        except CallError as error:
            served.code, served.error = error.code, error.message
            raise
        except (ConnectionDropped, GeneratorExit):
            served.dropped = True
            raise
        except CallOver as over:
            if over.end is End.LATE and not rpc.streams:
                served.code, served.error = Code.DEADLINE_EXCEEDED, _LATE
                raise refusal(Code.DEADLINE_EXCEEDED, _LATE) from over
            # A stream whose deadline passes looks like success, and so does the end of one that only half closed.
            if over.end is End.STOPPED or not rpc.streams:
                served.dropped = True
                raise ConnectionDropped(str(over)) from over
        except Exception as error:
            # A defect of a handler: the caller is told, the server lives on.
            _log.exception("the devbox failed to answer %s", incoming.path)
            told = refusal(Code.INTERNAL, f"the devbox failed: {type(error).__name__}: {error}")
            served.code, served.error = told.code, told.message
            raise told from error
        finally:
            served.finished = time.time()

    def _carried_out(
        self,
        rpc: Rpc,
        protocol: Protocol,
        incoming: Incoming,
        gone: Callable[[], bool],
        served: ServedCall,
        identity: Optional[Mapping[str, str]],
    ) -> Iterator[bytes]:
        seconds = protocol.check()
        deadline = Deadline(SYSTEM_CLOCK, seconds)
        request = protocol.message(rpc.request)
        if self._calls is not None:
            self._calls.asked(served, request)
        if seconds is not None and seconds <= 0:
            raise refusal(Code.DEADLINE_EXCEEDED, _LATE)
        call = Call(incoming.headers, deadline, gone, self._stopping, incoming.scheme, identity)
        for message in self._handled(rpc, request, call):
            try:
                encoded = protocol.codec.encode(message)
            except Exception as error:
                # Not everything has a form in JSON; instants after the year 9999 have none.
                raise refusal(Code.INTERNAL, f"marshal message: {error}") from error
            if self._calls is not None:
                self._calls.answered(served, message, encoded if protocol.codec is PROTO else None)
            yield encoded

    def _handled(self, rpc: Rpc, request: Message, call: Call) -> Iterator[Message]:
        """What the service answers, as far as the faults let it through."""
        plan = self._faults.plan(rpc.name)
        if plan.delay:
            call.pause(plan.delay)
        plan.refuse()
        if rpc.streams:
            yield from plan.through(rpc.handle(request, call))
            return
        try:
            response = rpc.handle(request, call)
        finally:
            # An error is an answer too.
            plan.lose()
        yield response

    def _elsewhere(self, incoming: Incoming) -> Answer:
        path, method = incoming.path, incoming.method
        if path in ("/healthz", "/readyz") and method in ("GET", "HEAD"):
            return Answer(200, [("Content-Type", _TEXT)], [b"OK"], 2)
        if path == _OAUTH:
            if method != "GET":
                return _text(405, "method not allowed\n", ("Allow", "GET"))
            return _text(501, _NO_OAUTH) if self._guard is None else _how_to_sign_in(self._guard, incoming)
        return _text(404, "404 page not found\n")


def _never() -> bool:
    return False


def _how_to_sign_in(guard: Guard, incoming: Incoming) -> Answer:
    """The document of RFC 8414, whose names the real server writes as protobuf does in JSON."""
    try:
        found = guard.authority.metadata(endpoint_of(incoming.headers, incoming.scheme))
    except CallError as error:
        return _text(status_of(error.code), f"{error.code.value}: {error.message}\n")
    body = JSON.encode(found)
    return Answer(200, [("Content-Type", "application/json")], [body], len(body))


def _text(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    body = text.encode()
    return Answer(status, [("Content-Type", _TEXT), ("X-Content-Type-Options", "nosniff"), *headers], [body], len(body))
