"""Which credentials a caller's settings amount to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Optional, Union

from flyte_lite._auth.client_credentials import ClientCredentials, ClientProof, Secret
from flyte_lite._auth.command import DEFAULT_SECONDS, Command
from flyte_lite._auth.device_code import DeviceCode
from flyte_lite._auth.discovery import ClientConfig, Discovery, FoundHeader, GivenHeader, UsualHeader, takes_token
from flyte_lite._auth.given import GivenToken
from flyte_lite._auth.passthrough import Passthrough
from flyte_lite._auth.person import BY_PLAIN_HTTP, Person, unattended
from flyte_lite._auth.pkce import Pkce
from flyte_lite._auth.provider import IdentityProvider, is_loopback, split
from flyte_lite._auth.store import Place, TokenStore, place_of, where
from flyte_lite._auth.tokens import Header, Together, Token, TokenCredentials, TokenSource
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from flyte_lite._auth.login import Login
    from flyte_lite._clock import Clock
    from flyte_lite._http.origin import Origin
    from flyte_lite._http.transport import Transport
    from flyte_lite._rpc.interceptors import Credentials

AUTH_TYPES = ("Pkce", "ClientSecret", "ExternalCommand", "DeviceFlow", "Passthrough")
PERSONS = ("Pkce", "DeviceFlow")
"""Those of `AUTH_TYPES` that need a person."""

PROXY_HEADER = "proxy-authorization"


class _Way(NamedTuple):
    provider: IdentityProvider
    discovery: Discovery
    source: TokenSource


class SignIn(NamedTuple):
    """A caller's settings.

    Attributes:
        auth_type: One of `AUTH_TYPES`; None takes what the others amount to: a secret, a command or a token is shown
            from the first call on, and without any of them a person is asked to sign in if a server by https wants it.
        client_id: None takes the server's, for a person.
        client_secret: Itself, or a function that gives it.
        client_auth: How the secret is sent: "basic", "post", or None for what the provider takes.
        command: Prints a token.
        token: Itself, or a function that gives it.
        header_key: The header that takes the token; None finds out.
        known: What else the caller knows better than the server.
        on_demand: True asks a person only when the server wants somebody, though `auth_type` names how.
        interactive: True asks a person wherever we are, False never, None where somebody can answer.
        to_authorize: Added to the address that a person signs in at.
        to_token: Added to the form that gets their first token.
        to_refresh: Added to the form that gets each next.
        first: A token to begin with.
        proxy_command: Prints a token for a proxy before the server.
        proxy_environ: Added to its environment.
        proxy_seconds: The most that it may take.
        token_store: Where tokens are kept, as `Config` has it; None is the keyring for a person's.
        disable_keyring: True keeps them out of it, unless `token_store` names it.
        settings: What is set of all this, and where, for an error that nobody can sign in; None says nothing.
    """

    auth_type: Optional[str] = None
    client_id: Optional[str] = None
    client_secret: Optional[Secret] = None
    client_auth: Optional[str] = None
    command: Optional[Sequence[str]] = None
    token: Optional[Union[str, Callable[[], str]]] = None
    header_key: Optional[str] = None
    known: ClientConfig = ClientConfig()
    on_demand: bool = False
    interactive: Optional[bool] = None
    to_authorize: Mapping[str, str] = {}
    to_token: Mapping[str, str] = {}
    to_refresh: Mapping[str, str] = {}
    first: Optional[Token] = None
    proxy_command: Optional[Sequence[str]] = None
    proxy_environ: Mapping[str, str] = {}
    proxy_seconds: float = DEFAULT_SECONDS
    token_store: Any = None
    disable_keyring: bool = False
    settings: Optional[Callable[[], str]] = None

    def __repr__(self) -> str:
        return f"SignIn({self.kind() or 'nothing'})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what signs in is not pickled")

    def kind(self) -> Optional[str]:
        """One of `AUTH_TYPES`, "Token", or None if the caller does not say.

        Raises:
            ConfigError: It says several things, or half of one.
        """
        if self.auth_type is not None and self.auth_type not in AUTH_TYPES:
            raise ConfigError(f"auth_type is {self.auth_type!r}; it is one of {', '.join(AUTH_TYPES)}")
        given = [name for name in ("client_secret", "command", "token") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are given; one of them says who calls")
        amounts = {"client_secret": "ClientSecret", "command": "ExternalCommand", "token": "Token"}
        kind = self.auth_type or (amounts[given[0]] if given else None)
        fits = {
            "ClientSecret": ("client_secret",),
            "ExternalCommand": ("command",),
            "Passthrough": (),
            "Token": ("token",),
        }
        if given and given[0] not in fits.get(kind or "", ("client_secret",)):
            raise ConfigError(f"auth_type is {kind!r}, which takes no {given[0]}")
        if kind == "ClientSecret" and not (self.client_id and self.client_secret):
            raise ConfigError('auth_type "ClientSecret" needs client_id and client_secret')
        if kind == "ExternalCommand" and self.command is None:
            raise ConfigError(
                'auth_type "ExternalCommand" needs command, such as ["gcloud", "auth", "print-identity-token"]'
            )
        if self.client_auth not in (None, "basic", "post"):
            raise ConfigError(f"client_auth is {self.client_auth!r}; it is 'basic' or 'post'")
        if self.header_key and not takes_token(self.header_key):
            raise ConfigError("header_key is no name of a header that a call can carry")
        return kind

    def credentials(
        self,
        transport: Transport,
        origin: Origin,
        prefix: str,
        clock: Clock,
        *,
        person: Optional[Person] = None,
        asks: bool = True,
    ) -> Optional[Credentials]:
        """What to show to a server; None is nothing.

        By plain http a server gets what the caller named, as both were asked for; nobody is asked to sign in to it
        for a mere "unauthenticated", as the official SDK does not either. One of this very machine is shown a login
        that was made before, if it wants somebody.

        Args:
            transport: Also for the identity provider.
            origin: The server, or whoever knows how to sign in to it.
            prefix: Path before its methods' paths.
            clock: What the life of tokens is measured on.
            person: Who may be asked; None is whoever sits here.
            asks: False asks nobody, because what is set does not mean this server.

        Raises:
            ConfigError: The settings are not what they must be.
        """
        kind = self.kind()
        proxy = self._proxy(clock)
        asks = asks and not (kind is None and origin.scheme == "http")
        if kind == "Passthrough":
            own: Credentials = Passthrough()
        elif asks or is_loopback(origin.host):
            if not asks:
                person = Person(unasked=BY_PLAIN_HTTP, settings=self.settings)
            person = person or Person(self.interactive, settings=self.settings)
            way = self._way(transport, origin, prefix, clock, proxy, person)
            waits = kind is None or not asks or (self.on_demand and kind in PERSONS)
            own = TokenCredentials(
                way.source,
                self._header(kind, way.discovery),
                clock,
                eager=not waits,
                looks=asks and kind in PERSONS,
                token=self.first,
            )
        else:
            return proxy
        return own if proxy is None else Together(own, proxy)

    def kept(self) -> str:
        """What keeps the tokens, for people; "" is the memory of this process, or whoever gives them.

        Raises:
            ConfigError: The settings are not what they must be.
        """
        return where(self._store(self.kind()))

    def login(self, transport: Transport, origin: Origin, prefix: str, clock: Clock, person: Person) -> Login:
        """A person's login to a server, for who makes it or ends it. See `credentials`.

        Raises:
            ConfigError: The settings are not what they must be, or no person's.
        """
        kind = self.kind()
        if kind not in (None, *PERSONS):
            raise ConfigError(f"{kind} is set, which needs no login")
        from flyte_lite._auth.login import Login

        way = self._way(transport, origin, prefix, clock, self._proxy(clock), person)
        return Login(way.source, way.provider, way.discovery, self._proof())

    def _way(
        self,
        transport: Transport,
        origin: Origin,
        prefix: str,
        clock: Clock,
        proxy: Optional[Credentials],
        person: Person,
    ) -> _Way:
        channel = Channel(transport, origin, prefix, retry=RetryPolicy(retries=0), credentials=proxy, clock=clock)
        provider = IdentityProvider(transport, origin, proxy=proxy, named=self._hosts(origin))
        discovery = Discovery(channel, provider, self._known())
        kind = self.kind()
        source = self._token_source(kind, provider, discovery, person)
        store = self._store(kind)
        if store is not None:
            from flyte_lite._auth.stored import Stored

            source = Stored(source, store, self._place(kind, origin, prefix))
        return _Way(provider, discovery, source)

    def _store(self, kind: Optional[str]) -> Optional[TokenStore]:
        """Where tokens are kept; None is the memory of this process."""
        # Those of a command and of a function are kept by whoever gives them.
        if kind not in (None, *PERSONS, "ClientSecret") or (self.first is not None and self.token_store is None):
            return None
        person = kind != "ClientSecret"
        return store_of(self.token_store, person=person, disable_keyring=self.disable_keyring)

    def _place(self, kind: Optional[str], origin: Origin, prefix: str) -> Place:
        program = "" if kind in (None, *PERSONS) else kind or ""
        return place_of(
            *origin,
            prefix,
            program=program,
            client_id=self.client_id or "",
            audience=self.known.audience,
            scopes=self.known.scopes if program else (),
            token_endpoint=self.known.token_endpoint,
            issuer=self.known.issuer,
        )

    def _proof(self) -> ClientProof:
        return ClientProof(self.client_id or "", self.client_secret, self.client_auth)

    def _proxy(self, clock: Clock) -> Optional[Credentials]:
        if self.proxy_command is None:
            return None
        command = Command(self.proxy_command, environ=self.proxy_environ, seconds=self.proxy_seconds)
        return TokenCredentials(command, GivenHeader(PROXY_HEADER), clock)

    def _hosts(self, origin: Origin) -> list[str]:
        """Hosts of the provider that the caller named.

        Raises:
            ConfigError: It is none, or one that secrets must not go to.
        """
        hosts = []
        for name in ("token_endpoint", "authorization_endpoint", "device_authorization_endpoint", "issuer"):
            url = getattr(self.known, name)
            if not url:
                continue
            try:
                place, _ = split(url)
            except ValueError as error:
                raise ConfigError(f"{name}: {error}") from None
            if place.scheme == "http" and origin.scheme == "https" and not is_loopback(place.host):
                raise ConfigError(
                    f"{name} is plain http, where secrets would be readable; the server is spoken to by https"
                )
            hosts.append(place.host)
        return hosts

    def _known(self) -> ClientConfig:
        return self.known._replace(client_id=self.client_id or "", header_key=(self.header_key or "").lower())

    def _header(self, kind: Optional[str], discovery: Discovery) -> Header:
        if self.header_key:
            return GivenHeader(self.header_key)
        return UsualHeader(discovery) if kind in ("ExternalCommand", "Token") else FoundHeader(discovery)

    def _token_source(
        self, kind: Optional[str], provider: IdentityProvider, discovery: Discovery, person: Person
    ) -> TokenSource:
        if kind == "ExternalCommand" and self.command is not None:
            return Command(self.command)
        if kind == "Token" and self.token is not None:
            return GivenToken(self.token)
        proof = self._proof()
        if kind == "ClientSecret":
            return ClientCredentials(provider, discovery, proof)
        if kind == "DeviceFlow":
            return DeviceCode(provider, discovery, proof, person, to_refresh=self.to_refresh)
        return Pkce(
            provider,
            discovery,
            proof,
            person,
            to_authorize=self.to_authorize,
            to_token=self.to_token,
            to_refresh=self.to_refresh,
        )


_KNOWN = (
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "redirect_uri",
    "audience",
    "client_id",
    "header_key",
    "issuer",
)


def client_config(whole: Any, given: Mapping[str, Any]) -> ClientConfig:
    """What the caller knows of the identity provider.

    Args:
        whole: An object or a dict with the names of `ClientConfig`; None is none.
        given: Single parameters, each of which wins over the whole.

    Raises:
        ConfigError: One is no text.
    """
    values: dict[str, Any] = {}

    def of_whole(name: str) -> Any:
        return whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)

    for name in _KNOWN:
        value = given.get(name) or of_whole(name)
        if value:
            if not isinstance(value, str):
                raise ConfigError(f"{name} is {type(value).__name__}; give text")
            values[name] = value
    scopes = given.get("scopes") or of_whole("scopes")
    return ClientConfig(**values, scopes=words("scopes", scopes) if scopes else ())


def words(name: str, value: Any) -> tuple[str, ...]:
    """Scopes as callers write them: a list, or one text with spaces or commas.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    if isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ConfigError(f"{name} is a list of texts")


def store_of(
    choice: Any,
    *,
    person: bool,
    disable_keyring: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Optional[TokenStore]:
    """The store that the setting `token_store` stands for; None is the memory of this process.

    Args:
        choice: As `Config` reads it: None, "memory", "keyring", "file", the path of a folder, or a store. None is the
            keyring for what a person has, where somebody may sit.
        person: Whether a person signs in; what a program gets is kept where the caller says, and nowhere else.
        disable_keyring: Whether None never means the keyring.

    Raises:
        ConfigError: There is no folder for files.
    """
    if choice is None:
        choice = "keyring" if person and not disable_keyring and not unattended(environ) else "memory"
    if choice == "memory":
        return None
    if choice == "keyring":
        from flyte_lite._auth.keyring_store import KEYRING

        return KEYRING
    if not isinstance(choice, (str, os.PathLike)):
        store: TokenStore = choice
        return store
    from flyte_lite._auth.file_store import FileStore, usual_folder

    return FileStore(usual_folder(environ) if choice == "file" else Path(choice))
