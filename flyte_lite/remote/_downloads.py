"""What tasks left in the object store, through addresses that the server signs for a while.

Nothing of who calls goes to the store, nothing is followed elsewhere, and no signature gets into a text.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Optional, TypeVar
from urllib.parse import parse_qsl, urlsplit

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._clusters import Route
from flyte_lite._repeat import repeat
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite._session import Session
from flyte_lite.errors import CallError, Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2

if TYPE_CHECKING:
    from flyte_lite._http.answer import OpenAnswer
    from flyte_lite._http.origin import Origin

T = TypeVar("T")

_CREATE_DOWNLOAD_LINK: Method[
    dataproxy_service_pb2.CreateDownloadLinkRequest, dataproxy_service_pb2.CreateDownloadLinkResponse
] = Method(dataproxy_service_pb2, "DataProxyService", "CreateDownloadLink", safe=True)
_OPERATION_CREATE_DOWNLOAD_LINK = 5

REPORT = 1
"""`flyteidl2.dataproxy.ArtifactType`."""
CODE_BUNDLE = 2
"""`flyteidl2.dataproxy.ArtifactType`."""

_RETRY = RetryPolicy()
_MOST_REFUSAL = 64 * 1024
_SHOWN = 160
_random = random.SystemRandom()
_log = logging.getLogger("flyte_lite")


class SignedUrl(NamedTuple):
    """An address whose query is a key to it.

    Attributes:
        origin: Which object store.
        path: Where in it.
        query: The signature, and what it is good for.
    """

    origin: Origin
    path: str
    query: str

    @classmethod
    def parse(cls, url: str) -> SignedUrl:
        """An address as the server gives it.

        Raises:
            EndpointError: It is none.
        """
        from flyte_lite._http.origin import Origin

        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise errors.EndpointError("the server gave an address of its object store that is none", Code.INTERNAL)
        return cls(Origin(parts.scheme, parts.hostname, port), parts.path or "/", parts.query)

    def __repr__(self) -> str:
        return f"{self.origin}{self.path}"

    def without_signature(self, text: str) -> str:
        """A text without what the query is made of."""
        values = [self.query, *(value for _, value in parse_qsl(self.query)), *re.split("[&=]", self.query)]
        for value in sorted(values, key=len, reverse=True):
            if len(value) > 7:
                text = text.replace(value, "...")
        return text


def download(
    session: Session,
    artifact: int,
    action: identifier_pb2.ActionIdentifier,
    attempt: int,
    deadline: Deadline,
    headers: dict[str, str],
    read: Callable[[OpenAnswer], T],
) -> T:
    """What an attempt left; asks for another address once, if the first one is not good any more.

    Args:
        artifact: `REPORT` or `CODE_BUNDLE`.
        headers: Sent along.
        read: Makes of the answer what is wanted; called again if the connection is lost.

    Raises:
        NotFoundError: The server says that there is none, or the store does.
        PermissionDeniedError: The store refused the address.
        CallError: See `flyte_lite.errors`.

    RPC:
        flyteidl2.dataproxy.DataProxyService/CreateDownloadLink
    """
    try:
        return _get(session, _signed(session, artifact, action, attempt, deadline), deadline, headers, read)
    except errors.PermissionDeniedError as error:
        if error.method != _GET:
            raise
    return _get(session, _signed(session, artifact, action, attempt, deadline), deadline, headers, read)


def _signed(
    session: Session, artifact: int, action: identifier_pb2.ActionIdentifier, attempt: int, deadline: Deadline
) -> SignedUrl:
    request = dataproxy_service_pb2.CreateDownloadLinkRequest(
        artifact_type=artifact,  # type: ignore[arg-type]
        action_attempt_id=identifier_pb2.ActionAttemptIdentifier(action_id=action, attempt=attempt),
    )
    route = Route(_OPERATION_CREATE_DOWNLOAD_LINK, action.run.project, action.run.domain, action)
    urls = session.call(_CREATE_DOWNLOAD_LINK, request, deadline=deadline, route=route).pre_signed_urls.signed_url
    if not urls:
        raise errors.NotFoundError("the server gave no address to download it from", Code.NOT_FOUND)
    return SignedUrl.parse(urls[0])


_GET = "GET"


def _get(
    session: Session, url: SignedUrl, deadline: Deadline, headers: dict[str, str], read: Callable[[OpenAnswer], T]
) -> T:
    clock = session.clock
    started = clock.monotonic()
    transport = session.channel.transport.for_strangers()

    def once(number: int) -> T:
        try:
            target = f"{url.path}?{url.query}" if url.query else url.path
            answer = transport.open(_GET, url.origin, target, headers, None, deadline)
            try:
                if answer.status != 200:
                    raise refusal(url, answer)
                value = read(answer)
            finally:
                answer.close()
        except CallError as error:
            error.method, error.endpoint, error.attempts = _GET, str(url.origin), number
            error.elapsed = clock.monotonic() - started
            _log.debug("GET %r %s attempts=%d ms=%.1f", url, error.code.value, number, error.elapsed * 1000)
            error.message = url.without_signature(error.message)
            error.args = (error.message,)
            raise error from None  # what the layers below say may have the whole address in it
        _log.debug("GET %r ok attempts=%d ms=%.1f", url, number, (clock.monotonic() - started) * 1000)
        return value

    def again(number: int, _: Optional[T], error: Optional[Exception]) -> Optional[float]:
        if not isinstance(error, CallError):
            return None
        return _RETRY.delay(error, number, True, deadline.left(), _random.random())

    return repeat(once, again, deadline)


def refusal(url: SignedUrl, answer: OpenAnswer) -> CallError:
    """What an answer of the store means that is not what was asked for; without the signature."""
    status = answer.status
    if 300 <= status < 400:
        # Without what may be a secret: the user, the query and the fragment.
        to = re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", answer.headers.get("location", ["nowhere"])[0])
        text = f"the object store answers HTTP {status} and redirects to {_shown(to)}, which is not followed"
        return errors.EndpointError(text, Code.UNKNOWN)
    said = _said(url, answer.read(_MOST_REFUSAL)) if answer.headers.get("content-encoding") is None else ""
    text = f"the object store answers HTTP {status}{said}"
    if status in (400, 401, 403):
        return errors.PermissionDeniedError(
            f"{text}; the address that the server signed is not good for it, or not any more", Code.PERMISSION_DENIED
        )
    if status in (404, 410):
        return errors.NotFoundError(f"{text}; what was there is gone", Code.NOT_FOUND)
    if status == 429 or status >= 500:
        return errors.UnavailableError(text, Code.UNAVAILABLE, headers=answer.headers)
    return errors.EndpointError(text, Code.UNKNOWN)


def _said(url: SignedUrl, body: bytes) -> str:
    """Code and message of the XML that stores answer with. The rest of it may have the signature in it."""
    text = body.decode("utf-8", "replace")
    found = [re.search(rf"<{name}>([^<]*)</{name}>", text) for name in ("Code", "Message")]
    said = url.without_signature(": ".join(match[1].strip() for match in found if match is not None))
    return f" ({_shown(said)})" if said else ""


def _shown(text: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
