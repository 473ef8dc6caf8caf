"""The identity provider: forms go there, JSON comes back (RFC 6749 §4 and §5). Redirects are never followed."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote_plus, urlencode, urlsplit

from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._http.origin import Origin
from flyte_lite.errors import CallError, Code, EndpointError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline
    from flyte_lite._http.transport import Answer, Transport
    from flyte_lite._rpc.interceptors import Credentials

_MOST = 1024 * 1024
# One answer that does not come must not cost all of the time that a person has.
ANSWER_SECONDS = 30.0
_SHOWN = 300
_TOKEN = re.compile(r"[\x21-\x7e]+").fullmatch
_REDACTED = "[secret]"
# What says "not now" rather than "no".
_LATER = ("temporarily_unavailable", "server_error")


class ProviderAnswer:
    """A JSON object that an identity provider sent.

    Attributes:
        url: Who sent it, without a query.
        status: Of HTTP.
        fields: What is in it; may hold a token.
        born: When it was asked for.
        error: What RFC 6749 calls `error`; "" if it says none.
    """

    __slots__ = ("_secrets", "born", "error", "fields", "status", "url")

    def __init__(
        self, url: str, status: int, fields: Mapping[str, Any], born: Moment, secrets: Sequence[str] = ()
    ) -> None:
        self.url = url
        self.status = status
        self.fields = fields
        self.born = born
        self._secrets = secrets
        error = fields.get("error")
        self.error = error if isinstance(error, str) else ""

    def text(self, name: str) -> str:
        """A field that is text; "" if it is not there."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def seconds(self, name: str) -> Optional[float]:
        """A field that is a length of time above 0; None if it is no such thing."""
        try:
            seconds = float(self.fields.get(name, ""))
        except (TypeError, ValueError, OverflowError):
            return None
        return seconds if 0 < seconds < 1e10 else None

    def token(self, old: Optional[Token] = None) -> Token:
        """The token in it, for which the one it replaces may still have the refresh token.

        Raises:
            CallError: It says why not, or there is none in it that can be used.
        """
        if self.error or self.status not in (200, 201):
            raise self.refusal()
        value = self.text("access_token")
        if not _TOKEN(value):
            raise self._useless("no access_token" if not value else "an access_token that no header can carry")
        kind = self.fields.get("token_type")
        if isinstance(kind, str) and kind.lower() != "bearer":
            raise self._useless(f"a token of the type {shown(kind)}, where only Bearer is known here")
        kept = None if old is None else old.refresh
        refresh = self.text("refresh_token") or kept
        return Token(value, self.born, life=self.seconds("expires_in"), refresh=refresh, issued_by=self.url)

    def refusal(self, doing: str = "no token") -> CallError:
        """The error that it stands for."""
        said = shown(self.error, self._secrets) or "no reason given"
        description = shown(self.text("error_description"), self._secrets)
        text = f"{doing}: {self.url} answered {said}{f' ({description})' if description else ''}, HTTP {self.status}"
        if self.error in _LATER:
            return UnavailableError(text, Code.UNAVAILABLE, sent=False)
        return UnauthenticatedError(text, Code.UNAUTHENTICATED, sent=False)

    def _useless(self, what: str) -> CallError:
        return EndpointError(f"the answer of {self.url} (HTTP {self.status}) has {what}", Code.INTERNAL, sent=False)


class IdentityProvider:
    """Speaks to whoever gives out tokens, the same way as to the server: its TLS, its proxies, its deadline.

    Args:
        transport: The door to the network.
        control_plane: The server that the tokens are for.
        proxy: What a proxy before the server wants to see.
        named: Hosts that the caller named, and not only the server: these too may see that, and be spoken to by plain
            http if the server is.
    """

    def __init__(
        self,
        transport: Transport,
        control_plane: Origin,
        *,
        proxy: Optional[Credentials] = None,
        named: Sequence[str] = (),
    ) -> None:
        self._transport = transport
        self._control_plane = control_plane
        self._proxy = proxy
        self._known = {control_plane.host, *named}

    def post(
        self,
        url: str,
        form: Mapping[str, Optional[str]],
        deadline: Deadline,
        *,
        authorization: Optional[str] = None,
        secrets: Sequence[str] = (),
    ) -> ProviderAnswer:
        """Send a form.

        Args:
            form: What is None or "" is left out.
            authorization: Of the client.
            secrets: What no message may repeat, though the provider does.

        Raises:
            CallError: No answer came, or one that is none of OAuth 2.0; where it is such an error, look at `error`.
        """
        given = {name: value for name, value in form.items() if value}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if authorization is not None:
            headers["Authorization"] = authorization
        return self._ask("POST", url, headers, urlencode(given).encode(), deadline, secrets)

    def get(self, url: str, deadline: Deadline) -> ProviderAnswer:
        """Fetch a JSON object; see `post`."""
        return self._ask("GET", url, {"Accept": "application/json"}, None, deadline, ())

    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Optional[bytes],
        deadline: Deadline,
        secrets: Sequence[str],
    ) -> ProviderAnswer:
        deadline = deadline.within(ANSWER_SECONDS)
        origin, target = self.place(url)
        where = self.name(url)
        born = Moment.now(deadline.clock)
        proxy = self._proxy if origin.host in self._known else None
        sent = {} if proxy is None else proxy.headers(deadline)
        try:
            answer = self._transport.exchange(method, origin, target, {**sent, **headers}, body, deadline, _MOST)
            # Without a word of OAuth's it was the proxy, and not the provider.
            by_proxy = answer.status in (401, 407) and _object(answer) is None
            if proxy is not None and by_proxy and proxy.refused(sent, deadline):
                answer = self._transport.exchange(
                    method, origin, target, {**proxy.headers(deadline), **headers}, body, deadline, _MOST
                )
        except CallError as error:
            raise unsent(error, f"no token from {where}") from error.__cause__
        return _read(where, answer, born, secrets)

    def name(self, url: str) -> str:
        """An address as answers from there have it in `url`.

        Raises:
            EndpointError: See `place`.
        """
        origin, target = self.place(url)
        return f"{origin}{target.partition('?')[0]}"

    def place(self, url: str) -> tuple[Origin, str]:
        """Where a URL leads: its origin, and its path and query.

        Raises:
            EndpointError: It is none, or one that secrets must not go to.
        """
        try:
            origin, target = split(url)
        except ValueError as error:
            raise EndpointError(
                f"the server names an address for signing in that is none: {error}", Code.INTERNAL, sent=False
            ) from None
        plain = origin.scheme == "http" and not is_loopback(origin.host)
        if plain and (self._control_plane.scheme == "https" or origin.host not in self._known):
            how = (
                "as the server itself is spoken to by https"
                if self._control_plane.scheme == "https"
                else "as nobody asked for that; if it is right, name it with token_endpoint= and its kin"
            )
            raise EndpointError(
                f"the server names {origin} for signing in, which is plain http: secrets are not sent there, {how}",
                Code.INTERNAL,
                sent=False,
            )
        return origin, target


def unsent(error: CallError, doing: str) -> CallError:
    """The same error as that of a call that could not even begin, saying what was being done."""
    error.message = f"{doing}: {error.message}"
    error.args = (error.message,)
    error.sent = False
    # A cookie of an identity provider is nobody's business; when to come again is.
    error.headers = {name: values for name, values in error.headers.items() if name in ("retry-after", "date")}
    return error


def split(url: str) -> tuple[Origin, str]:
    """The origin of an http(s) URL, and its path and query.

    Raises:
        ValueError: It is no such URL.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    if not host or parts.scheme not in ("http", "https") or port == 0 or not _TOKEN(url) or "@" in parts.netloc:
        raise ValueError(f"{shown(url.partition('?')[0].rpartition('@')[2])[:80]!r} is not the address of a web page")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(parts.scheme, host, port or (443 if parts.scheme == "https" else 80)), target


def is_loopback(host: str) -> bool:
    """True for this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def basic(client_id: str, secret: str) -> str:
    """An `Authorization` of a client; both parts are form-encoded first, as RFC 6749 §2.3.1 wants it."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def shown(text: str, secrets: Sequence[str] = ()) -> str:
    """What a stranger said, fit for a terminal and a log: one line, not much of it, and none of the secrets."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, _REDACTED).replace(quote_plus(secret), _REDACTED)
    text = " ".join("".join(char if char.isprintable() else " " for char in text[:100_000]).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _object(answer: Answer) -> Optional[dict[str, Any]]:
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _read(where: str, answer: Answer, born: Moment, secrets: Sequence[str]) -> ProviderAnswer:
    status = answer.status
    # What was asked to be done, such as by RFC 7009, may be done without a word.
    fields = {} if status == 200 and not answer.body.strip() else _object(answer)
    media = shown(answer.headers.get("content-type", ["no content type"])[0].partition(";")[0])
    # Nothing of the body: what is no JSON may be a form with a token in it.
    said = f"HTTP {status} {shown(answer.reason)}".rstrip() + f", {media}"
    if status in (408, 429) or (status >= 500 and status != 501):
        kept = {name: values for name, values in answer.headers.items() if name in ("retry-after", "date")}
        reason = "" if fields is None else ProviderAnswer(where, status, fields, born, secrets).refusal("").message
        text = f"no token{reason}" if reason else f"no token from {where} now ({said})"
        raise UnavailableError(text, Code.UNAVAILABLE, headers=kept, sent=False)
    if fields is not None and (status in (200, 201) or isinstance(fields.get("error"), str)):
        return ProviderAnswer(where, status, fields, born, secrets)
    if 300 <= status < 400:
        to = re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", answer.headers.get("location", ["nowhere"])[0])
        raise EndpointError(
            f"no token from {where}: it redirects to {shown(to, secrets)} ({said}), which is never followed with "
            "secrets; is it the right address?",
            Code.UNKNOWN,
            sent=False,
        )
    if status in (400, 401, 403):
        raise UnauthenticatedError(
            f"no token from {where}: it refused without a reason that OAuth 2.0 knows ({said})",
            Code.UNAUTHENTICATED,
            sent=False,
        )
    raise EndpointError(f"no token from {where}: what answered speaks no OAuth 2.0 ({said})", Code.UNKNOWN, sent=False)
