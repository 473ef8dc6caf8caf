"""`Issuer`: the identity provider of a devbox, as tests see it and as the devbox's guard does."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Callable, NoReturn, Optional

from flyte_lite._clock import SYSTEM_CLOCK, Clock
from flyte_lite.devbox.issuer import documents
from flyte_lite.devbox.issuer.access_tokens import AccessTokens
from flyte_lite.devbox.issuer.clients import CLIENT, CODE, DEVICE, REFRESH, OAuthClient, hashed
from flyte_lite.devbox.issuer.devices import Devices
from flyte_lite.devbox.issuer.endpoints import Endpoints
from flyte_lite.devbox.issuer.grants import Grants, TokenRequest
from flyte_lite.devbox.issuer.terms import AUDIENCE, PUBLIC_CLIENT, SCOPES, Terms
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.protocols import Answer, Incoming
    from flyte_lite.devbox.state import State

PROGRAM = "flyte-devbox-program"
# What `token` writes down as the grant of its sign-ins; no client can ask for it.
_BY_HAND = "by_hand"


class Issuer(Terms):
    """Gives tokens for a devbox, to everybody who asks as they should; see also `Terms`.

        with Devbox(auth=True) as box:
            program = flyte_lite.Client(api_key=box.issuer.api_key)
            with create_channel(box.endpoint, token=box.issuer.token("ada")) as channel:
                person = flyte_lite.Client(channel=channel)

            box.issuer.token_seconds = 2            # for tokens from now on
            box.issuer.expire_tokens()              # those that there are
            box.issuer.allow(code, as_user="ada")   # a device code that some client shows
            assert box.issuer.issued()["refresh_token"] == 1

    Args:
        state: Where it is kept what was given; a second issuer on it goes on where the first one was.
        endpoint: Tells where the devbox listens.
        real: The clock of those who ask.

    Attributes:
        client_id: Of the program that can sign in.
        client_secret: What it proves that with.
        public_client_id: As what people sign in, which has no secret.
    """

    __slots__ = (
        "_devices",
        "_endpoint",
        "_grants",
        "_key",
        "_name",
        "_state",
        "_tokens",
        "_web",
        "client_id",
        "client_secret",
        "public_client_id",
    )

    def __init__(self, state: State, endpoint: Callable[[], str], real: Clock = SYSTEM_CLOCK) -> None:
        super().__init__()
        self._state = state
        self._endpoint = endpoint
        kept = state.sign_ins.issuer()
        self._name, self._key = kept or (f"urn:flyte-devbox:{secrets.token_hex(8)}", secrets.token_bytes(32))
        if kept is None:
            state.sign_ins.keep_issuer(self._name, self._key)
        self.client_id = PROGRAM
        # Made of the key, so that it is kept nowhere, and still the same after a restart.
        made = hmac.digest(self._key, b"the secret of the program", "sha256")
        self.client_secret = base64.urlsafe_b64encode(made).decode().rstrip("=")
        self.public_client_id = PUBLIC_CLIENT
        self._tokens = AccessTokens(state, self._name, self._key)
        self._devices = Devices(state, self, real)
        self._grants = Grants(state, self, self._tokens, self._devices)
        self._web = Endpoints(state, self, self._clients, self._grants, self._devices, self._name, self._key)

    def __repr__(self) -> str:
        return f"Issuer({self._name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what has secrets is not pickled")

    @property
    def api_key(self) -> str:
        """An API key of the program: the endpoint, its id and its secret, as `flyte_lite.init(api_key=)` takes them.

        The official SDK can't read one whose endpoint has a port.

        Raises:
            RuntimeError: The devbox was not started, or is closed.
        """
        return base64.b64encode(f"{self._endpoint()}:{self.client_id}:{self.client_secret}:".encode()).decode()

    @property
    def requests(self) -> list[TokenRequest]:
        """What was asked of the token endpoint, in order: the last ten thousand."""
        return list(self._grants.requests)

    def issued(self) -> Counter[str]:
        """How many of these got a token, for each `grant_type`, such as "refresh_token"."""
        return self._grants.issued()

    def token(self, user: Optional[str] = None, *, seconds: Optional[float] = None, audience: str = AUDIENCE) -> str:
        """An access token, without any sign-in.

        Args:
            user: Whom it is for; None is the program.
            seconds: Its life; None is `token_seconds`. One below 0 is over.
            audience: Whom it is to be shown to. The devbox refuses it if that is anybody else.
        """
        client = self.client_id if user is None else self.public_client_id
        scope = " ".join(SCOPES)
        life = self.token_seconds if seconds is None else seconds
        # Whole: a sign-in without any token may be forgotten at any moment.
        with self._state.database.transaction():
            sign_in = self._state.sign_ins.get(self._state.sign_ins.begin(client, user or client, scope, _BY_HAND))
            return self._grants.access_token(sign_in, scope, life, audience)

    def waiting(self) -> list[str]:
        """The device codes that wait for a person, as a person types them in, oldest first."""
        return self._devices.waiting()

    def allow(self, user_code: str, as_user: str) -> None:
        """Do what a person does who types in a device code and allows it.

        Args:
            user_code: As a client shows it.
            as_user: Who signs in.

        Raises:
            ValueError: No such code waits.
        """
        if not self._devices.allow(user_code, as_user):
            raise ValueError(f"no device code {user_code!r} waits; those that do are {self.waiting()}")

    def deny(self, user_code: str) -> None:
        """Do what a person does who types in a device code and denies it.

        Args:
            user_code: As a client shows it.

        Raises:
            ValueError: No such code waits.
        """
        if not self._devices.deny(user_code):
            raise ValueError(f"no device code {user_code!r} waits; those that do are {self.waiting()}")

    def expire_tokens(self) -> None:
        """Let all access tokens be over. Refresh tokens are as good as before."""
        self._state.sign_ins.expire_access(self._state.now())

    def revoke_all(self) -> None:
        """End every sign-in: no token, refresh token or code that somebody allowed is good any more.

        A device code that still waits for a person goes on.
        """
        self._state.sign_ins.revoke()

    def reset(self) -> None:
        """Begin anew on a state that was cleared: the terms are as at first, the program's secret stays the same."""
        self._state.sign_ins.keep_issuer(self._name, self._key)
        self._grants.requests.clear()
        self._devices.reset()
        self.defaults()

    def identity(self, token: str) -> Mapping[str, str]:
        """See `Authority`."""
        return {name: value for name, value in self._tokens.read(token).items() if isinstance(value, str)}

    def metadata(self, endpoint: str) -> auth_service_pb2.GetOAuth2MetadataResponse:
        """See `Authority`."""
        return auth_service_pb2.GetOAuth2MetadataResponse(**documents.metadata(endpoint))

    def client(self, endpoint: str) -> auth_service_pb2.GetPublicClientConfigResponse:
        """See `Authority`."""
        return auth_service_pb2.GetPublicClientConfigResponse(
            client_id=self.public_client_id,
            redirect_uri=self.redirect_uris[0],
            scopes=SCOPES,
            audience=AUDIENCE,
        )

    def serves(self, path: str) -> bool:
        """See `Authority`."""
        return self._web.serves(path)

    def answer(self, incoming: Incoming) -> Answer:
        """See `Authority`."""
        return self._web.answer(incoming)

    def _clients(self) -> Mapping[str, OAuthClient]:
        program = OAuthClient(self.client_id, hashed(self.client_secret), (CLIENT,))
        people = OAuthClient(self.public_client_id, None, (CODE, REFRESH, DEVICE))
        return {client.id: client for client in (people, program)}
