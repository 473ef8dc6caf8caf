"""oidc-provider, running: rotation, reuse detection and PKCE are on, and it counts what it grants."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlencode, urlsplit

from caller import CERTIFICATES, Caller, Place, calling

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite.devbox import Devbox, ExternalIssuer
from flyte_lite.idl.flyteidl2.auth import identity_pb2

HERE = Path(__file__).parent
BASIC = ("app:1", "client_secret_basic", "s3:cr+t /%40&=-b4sic-0123456789abcdef")
POST = ("app-2", "client_secret_post", "p0st-s3cr3t-0123456789abcdef")
RESOURCE = ("flyte-server", "r3source-s3cr3t-0123456789abcdef")
PEOPLE = "flyte-people"
AUDIENCE, OTHER_AUDIENCE, STRUCTURED_AUDIENCE = "urn:flyte", "urn:somebody-else", "urn:structured"
REDIRECT_URI = "http://localhost/callback"
WHO: Method[Any, Any] = Method(identity_pb2, "IdentityService", "UserInfo")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
AUTHORITY = CERTIFICATES / "authority.pem"


class OidcProvider:
    """See the module. Use it with `with`.

    Args:
        program: Starts a script with Node.
        certificate: PEM with its key, for https; None is http.

    Attributes:
        url: What it calls itself.
    """

    def __init__(self, program: Path, certificate: Optional[Path] = None) -> None:
        settings = {
            "certificate": None if certificate is None else str(certificate),
            "life": 3600,
            "programs": [BASIC, POST],
            "people": PEOPLE,
            "redirect_uri": REDIRECT_URI,
            "resource": RESOURCE,
            "structured": [STRUCTURED_AUDIENCE],
            "cookies": "signs the cookies of people",
        }
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [str(program), str(HERE / "provider.mjs"), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.url: str = self._answer()["issuer"]
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> OidcProvider:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def granted(self) -> dict[str, int]:
        """How many tokens there were, by grant, since it was started or `count_anew`."""
        found: dict[str, int] = self._ask("told")["granted"]
        return found

    @property
    def refused(self) -> list[list[str]]:
        """Grant, error and reason of each answer that was none."""
        found: list[list[str]] = self._ask("told")["refused"]
        return found

    @property
    def good(self) -> list[str]:
        """The kind of each token that is good for something still."""
        return sorted(self._ask("kept")["kinds"])

    @property
    def made(self) -> list[str]:
        """Every token, refresh token, code and device code that it has given out since."""
        found: list[str] = self._ask("told")["made"]
        return found

    def count_anew(self) -> None:
        self._ask("anew")

    def token(self, audience: str = AUDIENCE, **form: str) -> dict[str, Any]:
        """What anybody gets from it who asks without us: a program's token, if the form says nothing else."""
        asked = {
            "grant_type": "client_credentials",
            "client_id": POST[0],
            "client_secret": POST[2],
            "audience": audience,
        }
        body = urlencode({**asked, "scope": "all", **form}).encode()
        context = ssl.create_default_context(cafile=str(AUTHORITY))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(f"{self.url}/token", body, timeout=20) as answer:
            said: dict[str, Any] = json.load(answer)
        return said

    def tokens_live(self, seconds: int) -> None:
        """Those that are made from now on."""
        self._ask("life", seconds=seconds)

    def end_tokens(self) -> None:
        """None is good for anything any more; refresh tokens still are."""
        self._ask("end")

    def sign_everybody_out(self) -> None:
        """Refresh tokens are good for nothing either."""
        self._ask("forget")

    def _ask(self, do: str, **more: Any) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "oidc-provider has ended"
        said: dict[str, Any] = json.loads(line)
        return said


def trusted(provider: OidcProvider) -> ExternalIssuer:
    """What a devbox is given to trust it; whatever it said once is asked again, so that what is revoked is refused."""
    return ExternalIssuer(
        provider.url,
        client_id=RESOURCE[0],
        client_secret=RESOURCE[1],
        audience=AUDIENCE,
        people=PEOPLE,
        redirect_uri=REDIRECT_URI,
        scopes=("all",),
        ca_file=AUTHORITY,
        remembered=0.0,
    )


def at(box: Devbox, **settings: Any) -> AbstractContextManager[Caller]:
    """A caller of a devbox."""
    parts = urlsplit(box.endpoint)
    assert parts.port is not None
    return calling(Place(parts.scheme, parts.port), **settings)


def subject(channel: Channel) -> str:
    """Whom the server takes us for."""
    who = channel.unary(WHO, identity_pb2.UserInfoRequest(), deadline=Deadline(SYSTEM_CLOCK, 20.0)).message
    return str(who.subject)
