"""The issuer over HTTP: each of its paths, and what keeps a stranger's page from pressing its buttons."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Callable
from urllib.parse import urlsplit

from flyte_lite.devbox.issuer import documents, pages
from flyte_lite.devbox.issuer.authorization import SentBack, allowed, asked
from flyte_lite.devbox.issuer.clients import DEVICE, FORM, OAuthClient, authenticated, parameters
from flyte_lite.devbox.issuer.devices import Devices
from flyte_lite.devbox.issuer.grants import Grants, allowed_scope, check_audience
from flyte_lite.devbox.issuer.refused import Refused
from flyte_lite.devbox.issuer.terms import Terms
from flyte_lite.devbox.protocols import Answer, Headers, Incoming
from flyte_lite.devbox.services.call import endpoint_of
from flyte_lite.devbox.state import State
from flyte_lite.errors import CallError

_MARK = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}").fullmatch
_STORED_NOWHERE = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]


class Endpoints:
    """All of them.

    Args:
        state: Where things are kept.
        terms: On which tokens are given.
        clients: Gives those that are registered, by id.
        grants: Gives tokens.
        devices: Gives device codes.
        name: Of the issuer; a cookie is named after it, for cookies do not know ports.
        key: Known to this issuer alone.
    """

    def __init__(
        self,
        state: State,
        terms: Terms,
        clients: Callable[[], Mapping[str, OAuthClient]],
        grants: Grants,
        devices: Devices,
        name: str,
        key: bytes,
    ) -> None:
        self._state = state
        self._terms = terms
        self._clients = clients
        self._grants = grants
        self._devices = devices
        self._cookie = f"{name.rpartition(':')[2]}-browser"
        self._key = key
        self._programs = {
            documents.TOKEN: self._token,
            documents.DEVICE_CODE: self._device_code,
            documents.REVOKE: self._revoke,
            documents.INTROSPECT: self._introspect,
        }
        self._people = {documents.AUTHORIZE: self._authorize, documents.DEVICE_PAGE: self._device_page}

    def serves(self, path: str) -> bool:
        """True if it is one of theirs."""
        return path in self._programs or path in self._people or path in documents.DOCUMENTS

    def answer(self, incoming: Incoming) -> Answer:
        """Answer one request for a path that is."""
        path, method = incoming.path, incoming.method
        if path in documents.DOCUMENTS:
            if method not in ("GET", "HEAD"):
                return _wrong_method("GET, HEAD")
            return _json(200, documents.document(endpoint_of(incoming.headers, incoming.scheme)))
        if path in self._people:
            if method not in ("GET", "POST"):
                return _wrong_method("GET, POST")
            try:
                return self._people[path](incoming)
            except Refused as refused:
                return pages.told(refused.status, "This can't be", f"{refused.description} ({refused.error})")
        if method != "POST":
            return _wrong_method("POST")
        try:
            form = _form(incoming)
            return self._programs[path](authenticated(self._clients(), incoming.headers, form), form, incoming)
        except Refused as refused:
            further: Headers = [("WWW-Authenticate", 'Basic realm="flyte devbox"')] if refused.status == 401 else []
            fields = {"error": refused.error, "error_description": refused.description}
            return _json(refused.status, fields, further)

    def _token(self, client: OAuthClient, form: Mapping[str, str], _: Incoming) -> Answer:
        return _json(200, self._grants.token(client, form))

    def _device_code(self, client: OAuthClient, form: Mapping[str, str], incoming: Incoming) -> Answer:
        if DEVICE not in client.grants:
            raise Refused("unauthorized_client", "not for this client")
        check_audience(form)
        page = f"{endpoint_of(incoming.headers, incoming.scheme)}{documents.DEVICE_PAGE}"
        return _json(200, self._devices.ask(client, allowed_scope(form), page))

    def _revoke(self, client: OAuthClient, form: Mapping[str, str], _: Incoming) -> Answer:
        self._grants.revoke(client, form)
        return _json(200, {})

    def _introspect(self, client: OAuthClient, form: Mapping[str, str], incoming: Incoming) -> Answer:
        if client.secret_hash is None:
            raise Refused("invalid_client", "only a client with a secret may ask", 401)
        told = self._grants.introspect(form)
        if told["active"]:
            # As in the document that led here (RFC 8414, 3.3); tokens say it in a way that no address changes.
            told["iss"] = documents.issuer(endpoint_of(incoming.headers, incoming.scheme))
        return _json(200, told)

    def _authorize(self, incoming: Incoming) -> Answer:
        posted = self._posted(incoming) if incoming.method == "POST" else {}
        query = posted["request"] if posted else incoming.raw_query
        try:
            request = asked(
                query,
                self._clients(),
                self._terms,
                documents.issuer(endpoint_of(incoming.headers, incoming.scheme)),
            )
            if posted and posted.get("decision") != "allow":
                request.refuse("access_denied", "the sign-in was denied")
        except SentBack as back:
            return pages.redirect(back.url)
        subject = _who(posted) if posted else self._terms.automatic_user
        if subject is not None:
            return pages.redirect(allowed(self._state, self._terms, request, subject))
        hidden, headers = self._marked(incoming, query)
        users, uri = self._terms.users, request.redirect_uri
        return pages.consent(
            documents.AUTHORIZE, request.client, request.scope, users, hidden, redirect_uri=uri, headers=headers
        )

    def _device_page(self, incoming: Incoming) -> Answer:
        posted = self._posted(incoming) if incoming.method == "POST" else {}
        typed = posted["request"] if posted else parameters(incoming.raw_query).get("user_code", "")
        if not typed:
            return pages.entry(documents.DEVICE_PAGE)
        device = self._devices.find(typed)
        if device is None:
            return pages.entry(documents.DEVICE_PAGE, "No program waits for this code, or it has expired.", 400)
        if not posted:
            hidden, headers = self._marked(incoming, device.user_code)
            return pages.consent(
                documents.DEVICE_PAGE,
                device.client,
                device.scope,
                self._terms.users,
                hidden,
                code=device.user_code,
                headers=headers,
            )
        if posted.get("decision") != "allow":
            self._devices.deny(device.user_code)
            return pages.told(200, "Denied", "Your program is told so. You can close this page.")
        self._devices.allow(device.user_code, _who(posted))
        return pages.told(200, "Signed in", "You can close this page and go back to your program.")

    def _marked(self, incoming: Incoming, request: str) -> tuple[dict[str, str], Headers]:
        """What a page's form sends along, and the cookie that goes with it: only our page knows both."""
        known = _cookies(incoming).get(self._cookie, "")
        mark = known if _MARK(known) else secrets.token_urlsafe(32)
        secure = "; Secure" if endpoint_of(incoming.headers, incoming.scheme).startswith("https:") else ""
        cookie = f"{self._cookie}={mark}; Path={documents.ROOT}; HttpOnly; SameSite=Lax{secure}"
        return {"request": request, "mark": self._seal(mark, incoming.path, request)}, [("Set-Cookie", cookie)]

    def _posted(self, incoming: Incoming) -> dict[str, str]:
        """What a person has sent with one of our pages.

        Raises:
            Refused: Another site's page has sent it, or it is not from here at all.
        """
        origin = incoming.headers.get("origin")
        site = incoming.headers.get("sec-fetch-site", "same-origin")
        ours = origin is None or (_host(origin) == incoming.headers.get("host", "").lower())
        form = _form(incoming)
        mark, request = _cookies(incoming).get(self._cookie, ""), form.get("request", "")
        right = self._seal(mark, incoming.path, request)
        if (
            not ours
            or site != "same-origin"
            or not request
            or not hmac.compare_digest(right.encode(), form.get("mark", "").encode())
        ):
            raise Refused("access_denied", "this did not come from the page here; open it again", 403)
        return form

    def _seal(self, mark: str, path: str, request: str) -> str:
        return hmac.digest(self._key, "\0".join(("page", mark, path, request)).encode(), "sha256").hex()


def _form(incoming: Incoming) -> dict[str, str]:
    if incoming.content_type.partition(";")[0].strip() != FORM:
        raise Refused("invalid_request", f"the content type is not {FORM}")
    try:
        return parameters(incoming.body().decode("ascii"))
    except (UnicodeDecodeError, CallError):
        # The second if it came packed, and was cut short.
        raise Refused("invalid_request", "the form is not form-encoded") from None


def _who(posted: Mapping[str, str]) -> str:
    subject = posted.get("other", "").strip() or posted.get("user", "")
    if not _NAME(subject):
        raise Refused("invalid_request", "pick a name, or type one of at most 100 letters")
    return subject


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _cookies(incoming: Incoming) -> dict[str, str]:
    pairs = (pair.strip().partition("=") for pair in incoming.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs}


def _wrong_method(allow: str) -> Answer:
    return Answer(405, [("Allow", allow)])


def _json(status: int, fields: Mapping[str, Any], further: Sequence[tuple[str, str]] = ()) -> Answer:
    body = json.dumps(fields).encode()
    return Answer(status, [*_STORED_NOWHERE, *further], [body], len(body))
