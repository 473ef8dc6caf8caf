"""The channel that settings lead to: TLS, proxy, repeats, and who calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Optional

from flyte_lite._clock import SYSTEM_CLOCK
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from flyte_lite._auth.login import Login
    from flyte_lite._auth.person import Person
    from flyte_lite._auth.sign_in import SignIn
    from flyte_lite._clock import Deadline
    from flyte_lite._http.origin import Origin
    from flyte_lite._http.proxy import Proxies
    from flyte_lite._http.transport import Transport
    from flyte_lite._rpc.channel import Channel
    from flyte_lite._rpc.interceptors import Credentials
    from flyte_lite.config import Config, Endpoint

# What says who calls, or how that is proven.
_OF_SIGN_IN = (
    "auth_type",
    "command",
    "proxy_command",
    "client_id",
    "client_credentials_secret",
    "scopes",
    "audience",
    "auth_client_config",
)
_ASKING = (None, "Pkce", "DeviceFlow")
EXPLAINED = (
    "endpoint",
    "auth_type",
    "command",
    "client_id",
    "client_credentials_secret",
    "disable_keyring",
    "token_store",
    "headless",
)
"""What an error that nobody can sign in shows of the settings."""


def channel_of(config: Config, server: Endpoint, transport: Optional[Transport] = None) -> Channel:
    """A channel to a server by these settings. Nothing is sent yet.

    Args:
        transport: Instead of the one that they say.

    Raises:
        ConfigError: One of them can't be used; the text says which, and where it was read.
    """
    from flyte_lite._http.origin import Origin
    from flyte_lite._rpc.channel import Channel

    transport = transport or transport_of(config)
    origin = Origin(server.scheme, server.host, server.port)
    retry = None
    if config.rpc_retries is not None:
        from flyte_lite._rpc.retry import RetryPolicy

        retry = RetryPolicy(retries=config.rpc_retries)
    return Channel(
        transport,
        origin,
        server.path,
        retry=retry,
        credentials=_credentials(config, transport, origin, server.path),
        clock=SYSTEM_CLOCK,
    )


def transport_of(config: Config) -> Transport:
    """The connections that these settings allow: whom to trust, and through which proxy.

    Raises:
        ConfigError: The proxy is no address.
    """
    from flyte_lite._http.tls import TlsPolicy
    from flyte_lite._http.transport import Transport

    return Transport(TlsPolicy(ca_file=config.ca_cert_file_path, verify=verifies(config)), proxies=proxies_of(config))


def proxies_of(config: Config) -> Optional[Proxies]:
    """The proxy for everything; None leaves it to HTTPS_PROXY and its kin.

    Raises:
        ConfigError: It is no address.
    """
    if config.http_proxy_url is None:
        return None
    from flyte_lite._http.proxy import Proxies

    by_caller = config.by_caller("http_proxy_url")
    return Proxies.given("http_proxy_url" if by_caller else config.sources["http_proxy_url"], config.http_proxy_url)


def verifies(config: Config) -> bool:
    """Whether certificates of servers are verified.

    Authorities that somebody named are not given up for a flag in a file, as with the official SDK.
    """
    named = config.ca_cert_file_path is not None and not config.by_caller("insecure_skip_verify")
    return named or not config.insecure_skip_verify


def _credentials(config: Config, transport: Transport, origin: Origin, prefix: str) -> Optional[Credentials]:
    """What to show to the server; None is nothing.

    By plain http nothing is shown that only a file or the environment says, as the official SDK does not either, and
    nobody is asked to sign in: what the caller named and what API keys say was meant for that server. The token of
    `proxy_command` is: it is for the proxy on the way, and no call gets through without it.
    """
    unmeant = origin.scheme == "http" and not _meant_for_plain_http(config)
    stored = unmeant and _of_a_person(config) and _may_be_here(origin.host)
    if unmeant and not stored:
        if config.proxy_command is None:
            return None
        config = config._replace(
            **{name: type(config)._field_defaults[name] for name in _OF_SIGN_IN if name != "proxy_command"}
        )
    said = [name for name in _OF_SIGN_IN if getattr(config, name)]

    def make() -> Optional[Credentials]:
        return sign_in_of(config).credentials(transport, origin, prefix, SYSTEM_CLOCK, asks=not unmeant)

    if stored and config.proxy_command is None:
        return OnDemand(make)
    # A word about the identity provider alone asks nobody.
    return make() if said else OnDemand(make)


def _meant_for_plain_http(config: Config) -> bool:
    return config.by_caller("command" if config.auth_type is None else "auth_type")


def _of_a_person(config: Config) -> bool:
    return config.auth_type in _ASKING and (config.auth_type is not None or config.command is None)


def _may_be_here(host: str) -> bool:
    # What tells it for sure is loaded with the sign-in.
    return host == "localhost" or host.startswith(("127.", "::1"))


def may_be_shown(there: Endpoint, server: Origin) -> bool:
    """Whether a token for a server may be shown to another that it names: by TLS, or where plain http was asked for."""
    if there.scheme == "https" or there.host == server.host:
        return True
    from flyte_lite._auth.provider import is_loopback

    return is_loopback(there.host)


def sign_in_of(config: Config) -> SignIn:
    """Who calls, by these settings; of several the one that `auth_type` names counts.

    Raises:
        ConfigError: `auth_type` is none, or lacks what it needs.
    """
    from flyte_lite._auth.sign_in import AUTH_TYPES, SignIn, client_config

    kind = config.auth_type
    if kind is not None and kind not in AUTH_TYPES:
        near = [name for name in AUTH_TYPES if name.lower() == kind.lower()]
        hint = f"write {near[0]}" if near else f"it is one of {', '.join(AUTH_TYPES)}"
        raise ConfigError(
            f"auth_type is {kind[:40]!r} (from {config.sources.get('auth_type', 'argument')}); {hint}",
            code="InvalidAuthMode",
        )
    # A secret that lies about in the environment is not a person's.
    secret = kind == "ClientSecret" or (kind in _ASKING and config.by_caller("client_credentials_secret"))
    known = client_config(config.auth_client_config, {"scopes": config.scopes, "audience": config.audience})
    signing = SignIn(
        auth_type=kind,
        client_id=config.client_id or known.client_id or None,
        client_secret=config.client_credentials_secret if secret else None,
        command=config.command if kind in (None, "ExternalCommand") else None,
        proxy_command=config.proxy_command,
        # Files name a flow for servers that turn out to want nobody.
        on_demand=True,
        header_key=known.header_key or None,
        known=known,
        interactive=None if config.headless is None else not config.headless,
        token_store=config.token_store,
        disable_keyring=config.disable_keyring,
        settings=lambda: config.explain(*EXPLAINED),
    )
    try:
        signing.kind()
    except ConfigError as error:
        source = config.sources.get("auth_type", "argument")
        if source in ("default", "argument"):
            raise
        told = config.sources.get("client_credentials_secret", "default")
        # Such as a variable that is named and not set.
        why = f"; {told}" if kind == "ClientSecret" and told.startswith("not set") else ""
        raise ConfigError(f"{error.message} (from {source}{why})", code=error.code) from None
    return signing


def login_of(config: Config, transport: Transport, server: Endpoint, person: Optional[Person] = None) -> Login:
    """The login of a person by these settings. Nothing is sent yet.

    Args:
        person: Who may be asked; None is nobody.

    Raises:
        ConfigError: They can't be used, or are no person's.
    """
    from flyte_lite._auth.person import Person
    from flyte_lite._http.origin import Origin

    origin = Origin(server.scheme, server.host, server.port)
    return sign_in_of(config).login(transport, origin, server.path, SYSTEM_CLOCK, person or Person(False))


class OnDemand:
    """Credentials that are made when a server wants some: nothing of signing in is loaded for one that does not.

    Args:
        make: Makes them; None is none.
    """

    def __init__(self, make: Callable[[], Optional[Credentials]]) -> None:
        self._make = make
        # No lock, which a fork could leave locked: `setdefault` is atomic, and what loses is dropped unused.
        self._made: dict[str, Optional[Credentials]] = {}

    @property
    def made(self) -> Optional[Credentials]:
        """What was made; None is nothing so far."""
        return self._made.get("")

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        """See `Credentials`."""
        made = self._made.get("")
        return {} if made is None else made.headers(deadline)

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        """See `Credentials`."""
        made = self._made.get("") or self._made.setdefault("", self._make())
        return made is not None and made.refused(sent, deadline)


def console_of(config: Config, server: Endpoint) -> str:
    """Address of the web console, without a slash at its end: the one that is set, or the server's.

    Raises:
        ConfigError: What is set is no address.
    """
    own = config.console()
    place = own or server
    host = f"[{place.host}]" if ":" in place.host else place.host
    # The local installation has its console beside the API's port.
    port = 8080 if own is None and (place.host, place.port) == ("localhost", 8090) else place.port
    usual = port == (80 if place.scheme == "http" else 443)
    return f"{place.scheme}://{host}" + ("" if usual else f":{port}") + ("" if own is None else own.path)
