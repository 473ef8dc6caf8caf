"""An identity provider of somebody else, whose tokens a devbox takes (RFC 8414, RFC 7662)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import ipaddress
import json
import math
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Optional, Union
from urllib.parse import SplitResult, quote_plus, urlencode, urlsplit

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.guard import TokenRefused
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.protocols import Answer, Incoming

# Seconds for which the document is taken to be what it was, and its most bytes: the real server's.
_DOCUMENT_SECONDS = 300.0
_MOST = 1024 * 1024
# How many tokens are remembered.
_MOST_TOKENS = 1000
_LISTS = (
    "response_types_supported",
    "scopes_supported",
    "token_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
    "grant_types_supported",
)
_TEXTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "device_authorization_endpoint")


class ExternalIssuer:
    """The identity provider that a devbox trusts, instead of one of its own.

        provider = ExternalIssuer(
            "https://login.example.com", client_id="flyte", client_secret=secret, audience="urn:flyte"
        )
        with Devbox(auth=provider) as box: ...

    As the real server with `runs.authMetadata.externalAuthServerBaseUrl`, the devbox passes on what the provider says
    of itself. Unlike it, which leaves that to a proxy, the devbox also looks at tokens: it asks the provider about each
    one, so that a token that was revoked there is worth nothing here. Tokens that a provider can't be asked about, such
    as the JWTs of some, are not taken. It is asked directly, through no proxy.

    Args:
        url: What the provider calls itself: the `issuer` of its document.
        client_id: What the devbox is called there, for its questions.
        client_secret: Proves that.
        audience: Whom a token must be for. Clients are told to ask for it.
        people: What a program that a person signs in with is called there; "" is none.
        redirect_uri: Where a browser comes back to; without a port, the program takes a free one.
        scopes: What programs are told to ask for.
        ca_file: PEM file of the only authorities to trust for it; None are the usual ones.
        timeout: Seconds that connecting to it may take, and then the answer.
        remembered: Seconds for which a token that was good is not asked about again.
        clock: What time it is.

    Raises:
        ValueError: The address is none, is plain http to another machine, or something else is empty.
        OSError: There is no such file.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        audience: str,
        people: str = "",
        redirect_uri: str = "http://localhost/callback",
        scopes: Sequence[str] = (),
        ca_file: Optional[Union[str, Path]] = None,
        timeout: float = 10.0,
        remembered: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not client_id or not client_secret or not audience:
            raise ValueError("client_id, client_secret and audience must say something: tokens are asked about by them")
        if isinstance(scopes, str):
            raise ValueError(f"scopes is a list of texts, such as {scopes.split()}")
        self.url = url
        _place(url)
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._audience = audience
        self._people = people
        self._redirect_uri = redirect_uri
        self._scopes = tuple(scopes)
        self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._timeout = timeout
        self._remembered = remembered
        self._clock = clock
        self._lock = threading.Lock()
        self._document: Optional[tuple[float, Mapping[str, Any]]] = None
        # By hash, so that no token stays here.
        self._good: dict[bytes, _Good] = {}

    def __repr__(self) -> str:
        return f"ExternalIssuer({self.url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what has a secret is not pickled")

    def identity(self, token: str) -> Mapping[str, str]:
        """See `Authority`.

        Raises:
            RpcError: The provider can't be asked now.
        """
        key = hashlib.sha256(token.encode()).digest()
        now = self._clock.monotonic()
        with self._lock:
            known = self._good.get(key)
        if known is not None and now < known.until:
            return known.claims
        said = self._introspected(token)
        claims = self._claims(said)
        left = _end(said) - self._clock.time()
        with self._lock:
            if len(self._good) >= _MOST_TOKENS:
                self._good.clear()
            self._good[key] = _Good(now + min(left, self._remembered), claims)
        return claims

    def metadata(self, endpoint: str) -> auth_service_pb2.GetOAuth2MetadataResponse:
        """See `Authority`; the provider is where it is, whatever the caller calls this server.

        Raises:
            RpcError: The provider can't be asked, or has no document: `unavailable` or `internal`, as the real server.
        """
        said = self._found()
        texts = {name: said[name] for name in _TEXTS if isinstance(said.get(name), str)}
        metadata = auth_service_pb2.GetOAuth2MetadataResponse(issuer=self.url, **texts)
        for name in _LISTS:
            if isinstance(said.get(name), list):
                getattr(metadata, name).extend(map(str, said[name]))
        return metadata

    def client(self, endpoint: str) -> auth_service_pb2.GetPublicClientConfigResponse:
        """See `Authority`."""
        return auth_service_pb2.GetPublicClientConfigResponse(
            client_id=self._people, redirect_uri=self._redirect_uri, scopes=self._scopes, audience=self._audience
        )

    def serves(self, path: str) -> bool:
        """See `Authority`; nothing of it is here."""
        return False

    def answer(self, incoming: Incoming) -> Answer:
        """See `Authority`."""
        raise AssertionError("it serves nothing here")

    def _claims(self, said: Mapping[str, Any]) -> Mapping[str, str]:
        """Whose a token is, by the answer of RFC 7662 §2.2."""
        if said.get("active") is not True:
            raise TokenRefused("the identity provider knows it not, or not any more")
        if _end(said) <= self._clock.time():
            raise TokenRefused("it has expired")
        # A refresh token is active too.
        if str(said.get("token_type", "Bearer")).lower() != "bearer":
            raise TokenRefused("it is no access token that its bearer may use")
        if said.get("iss", self.url) != self.url:
            raise TokenRefused("it is of another identity provider")
        meant = said.get("aud")
        if self._audience not in (meant if isinstance(meant, list) else [meant]):
            raise TokenRefused("it is for another audience")
        claims = {name: value for name, value in said.items() if isinstance(value, str)}
        # A program is nobody's subject with some providers.
        claims.setdefault("sub", claims.get("client_id", ""))
        if not claims["sub"]:
            raise TokenRefused("the identity provider does not say whose it is")
        return claims

    def _introspected(self, token: str) -> Mapping[str, Any]:
        where = self._found().get("introspection_endpoint")
        if not isinstance(where, str):
            raise refusal(Code.INTERNAL, f"the identity provider {self.url} names no introspection_endpoint")
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": self._authorization}
        status, said = self._asked("POST", where, form, headers)
        if status == 200 and said is not None:
            return said
        # Ours are what can be wrong with the question; and the token, of which it may say that nobody can ask.
        if status == 400 and said is not None and said.get("error") == "unsupported_token_type":
            raise TokenRefused("it is none that the identity provider can be asked about")
        raise refusal(
            Code.UNAVAILABLE if status >= 500 else Code.INTERNAL,
            f"the identity provider {self.url} does not say whose a token is: HTTP {status}",
        )

    def _found(self) -> Mapping[str, Any]:
        """Its document."""
        kept, now = self._document, self._clock.monotonic()
        if kept is not None and now < kept[0]:
            return kept[1]
        worst = 0
        for where in _well_known(self.url):
            status, said = self._asked("GET", where)
            if status != 200 or said is None:
                # Of all the answers, that which says that it may be there later.
                worst = max(worst, status)
                continue
            # RFC 8414 §3.3: anybody else's document is not to be used.
            if said.get("issuer") != self.url:
                raise refusal(Code.INTERNAL, f"what {where} describes is not the issuer {self.url}")
            self._document = now + _DOCUMENT_SECONDS, said
            return said
        raise refusal(
            Code.UNAVAILABLE if worst >= 500 else Code.INTERNAL,
            f"the identity provider {self.url} has no document that says how to sign in: HTTP {worst}",
        )

    def _asked(
        self, method: str, url: str, body: Optional[bytes] = None, headers: Optional[Mapping[str, str]] = None
    ) -> tuple[int, Optional[Mapping[str, Any]]]:
        """The status of an answer, and the JSON object that it is, if it is one. Redirects are not followed."""
        try:
            parts = _place(url)
        except ValueError as error:
            raise refusal(
                Code.INTERNAL, f"the identity provider {self.url} names an address that is none: {error}"
            ) from None
        assert parts.hostname is not None
        connection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self._timeout, context=self._tls)
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout)
        )
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        late = threading.Event()
        try:
            connection.connect()
            # Each wait for it ends by itself; but an answer that comes byte by byte is one wait after the other.
            alarm = threading.Timer(self._timeout, _cut, (connection.sock, late))
            alarm.daemon = True
            alarm.start()
            try:
                connection.request(method, target, body, {"Accept": "application/json", **(headers or {})})
                answer = connection.getresponse()
                read = answer.read(_MOST + 1)
            finally:
                alarm.cancel()
            if late.is_set():
                raise socket.timeout
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            # The last is a host, or a path, that can't be written in a request.
            slow = late.is_set() or isinstance(error, socket.timeout)
            why = f"no answer in {self._timeout:g} s" if slow else type(error).__name__
            raise refusal(Code.UNAVAILABLE, f"the identity provider {self.url} can't be asked: {why}") from error
        finally:
            connection.close()
        return answer.status, _object(read)


def _cut(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        # TCP's own: that of TLS is not for another thread than the one that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _end(said: Mapping[str, Any]) -> float:
    """When a token is over, in seconds since 1970; far away if nobody says, or with more digits than a clock has."""
    ends = said.get("exp")
    try:
        return float(ends) if isinstance(ends, (int, float)) else math.inf
    except OverflowError:
        return math.inf


class _Good(NamedTuple):
    until: float
    claims: Mapping[str, str]


def _place(url: str) -> SplitResult:
    """The parts of an address that secrets may go to.

    Raises:
        ValueError: It is none.
    """
    if "@" in url.partition("//")[2].partition("/")[0]:
        # Not shown: what is before it is a password, most likely.
        raise ValueError("an address with a user in it is not that of an identity provider; leave out what is before @")
    parts = urlsplit(url)
    host, _ = parts.hostname, parts.port
    if not host or parts.scheme not in ("http", "https") or parts.fragment:
        raise ValueError(f"{url[:80]!r} is not the address of an identity provider, such as https://login.example.com")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError(f"{url[:80]!r} is plain http, where secrets would be readable; give the address by https")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _well_known(url: str) -> Iterator[str]:
    """Where its document may be: as RFC 8414 §3.1 has it, as it is often done, and as OpenID Connect has it."""
    parts, plain = urlsplit(url), url.rstrip("/")
    name = "/.well-known/oauth-authorization-server"
    first = parts._replace(path=name + parts.path.rstrip("/"), query="").geturl()
    yield first
    if first != plain + name:
        yield plain + name
    yield plain + "/.well-known/openid-configuration"


def _object(body: bytes) -> Optional[Mapping[str, Any]]:
    if len(body) > _MOST:
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
