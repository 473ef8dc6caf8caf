"""The devbox's issuer, asked without a socket: what clients send to it, and what people do on its pages."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from fakes import FakeClock

from flyte_lite.devbox.issuer.clients import FORM
from flyte_lite.devbox.issuer.issuer import Issuer
from flyte_lite.devbox.protocols import Incoming
from flyte_lite.devbox.state import State

ENDPOINT = "http://box:1"
CALLBACK = "http://localhost:4000/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def fields(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.fields.get("error", ""))

    @property
    def page(self) -> str:
        return self.body.decode()

    @property
    def back(self) -> dict[str, str]:
        """What a browser is sent back with."""
        assert self.status == 303, self.body
        return {name: value for name, (value,) in parse_qs(urlsplit(self.headers["location"]).query).items()}


class Front:
    """An issuer on a state in memory, whose time a test turns.

    Attributes:
        cookie: What the browser keeps.
    """

    def __init__(self, state: Optional[State] = None) -> None:
        self.clock = FakeClock()
        self.state = state or State(self.clock)
        self.issuer = Issuer(self.state, lambda: ENDPOINT, self.clock)
        self.cookie = ""

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        content_type: str = "",
        headers: Mapping[str, str] = {},
    ) -> Said:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_HOST": "box:1",
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        }
        assert self.issuer.serves(path)
        answer = self.issuer.answer(Incoming(environ))
        told = {name.lower(): value for name, value in answer.headers}
        return Said(answer.status, told, b"".join(answer.body))

    def post(self, path: str, headers: Mapping[str, str] = {}, **form: str) -> Said:
        """Send a form, as programs do."""
        return self.ask("POST", f"/oauth2/{path}", body=urlencode(form).encode(), content_type=FORM, headers=headers)

    def token(self, grant_type: str, headers: Mapping[str, str] = {}, **form: str) -> Said:
        """Ask for a token."""
        return self.post("token", headers, grant_type=grant_type, **form)

    def by_people(self, grant_type: str, **form: str) -> Said:
        """The same, as the client of people."""
        return self.token(grant_type, client_id=self.issuer.public_client_id, **form)

    @property
    def basic(self) -> dict[str, str]:
        """How the program proves who it is."""
        pair = f"{quote_plus(self.issuer.client_id)}:{quote_plus(self.issuer.client_secret)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def good(self, token: str) -> bool:
        """Whether the issuer says so of a token."""
        return bool(self.post("introspect", self.basic, token=token).fields["active"])

    def request(self, **changed: Optional[str]) -> str:
        """The query that a browser is sent with; what is None is left out."""
        wanted = {
            "response_type": "code",
            "client_id": self.issuer.public_client_id,
            "redirect_uri": CALLBACK,
            "state": "s&t",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changed,
        }
        return urlencode({name: value for name, value in wanted.items() if value is not None})

    def open(self, path: str, query: str = "") -> Said:
        """Show a page in the browser."""
        said = self.ask("GET", f"/oauth2/{path}", query, headers={"cookie": self.cookie} if self.cookie else {})
        self.cookie = said.headers.get("set-cookie", self.cookie).partition(";")[0]
        return said

    def press(self, page: Said, path: str, headers: Mapping[str, str] = {}, **form: str) -> Said:
        """Press a button of the page."""
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.page)
        sent = {**{name: html.unescape(value) for name, value in hidden}, **form}
        return self.post(path, {"cookie": self.cookie, "origin": ENDPOINT, **headers}, **sent)

    def code(self, **changed: Optional[str]) -> str:
        """An authorization code, for a person who allows it."""
        page = self.open("authorize", self.request(**changed))
        return self.press(page, "authorize", user="ada", decision="allow").back["code"]

    def exchange(self, code: str, **changed: str) -> Said:
        """Tokens for it."""
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changed}
        return self.by_people("authorization_code", **form)

    def signed_in(self) -> Any:
        """The tokens of a person who has just signed in."""
        return self.exchange(self.code()).fields

    def refresh(self, token: str, **form: str) -> Said:
        """The next tokens."""
        return self.by_people("refresh_token", refresh_token=token, **form)


def claims(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]
