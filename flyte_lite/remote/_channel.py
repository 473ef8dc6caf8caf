"""A channel as `flyte.remote.create_channel` gives it, with the same parameters, over HTTP/1.1."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from flyte_lite._auth.sign_in import SignIn
from flyte_lite._clock import SYSTEM_CLOCK
from flyte_lite._connection import proxies_of, verifies
from flyte_lite._http.keepalive import keepalive_options
from flyte_lite._http.origin import Origin
from flyte_lite._http.proxy import Proxies
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import DEFAULT_LIMIT
from flyte_lite._rpc.channel import Channel as _Channel
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.config import Config, Endpoint
from flyte_lite.config._api_key import ApiKey, check_same_server
from flyte_lite.errors import ConfigError, OptionError
from flyte_lite.remote._channel_keywords import given_keywords, one_of, sign_in
from flyte_lite.remote._grpc_options import GrpcOptions, compression_of, limit_sent
from flyte_lite.remote._ssl_credentials import tls_of
from flyte_lite.remote._stubs import Stubs

if TYPE_CHECKING:
    import ssl

    from requests import Session
    from typing_extensions import Self, Unpack

    from flyte_lite._rpc.call import Interceptor
    from flyte_lite.remote._channel_keywords import Further


class Channel(Stubs, _Channel):
    """The way to one server, for generated stubs and for `Client(channel=...)`. Safe for threads.

    `with` closes its idle connections at the end.

    Attributes:
        org: The organization that its API key names; None if it has none.
    """

    org: Optional[str] = None
    _sign_in: SignIn = SignIn()

    def __repr__(self) -> str:
        who = self._sign_in.kind() or ("nobody yet" if self.origin.scheme == "https" else "nobody")
        proxy = ", through a proxy with a token" if self._sign_in.proxy_command else ""
        return f"Channel({self.origin}{self.prefix}, signed in by {who}{proxy})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections. A call made later opens new ones."""
        self.transport.close()


def create_channel(
    endpoint: Optional[str] = None,
    api_key: Optional[str] = None,
    insecure: Optional[bool] = None,
    insecure_skip_verify: Optional[bool] = None,
    ca_cert_file_path: Optional[str] = None,
    ssl_credentials: Union[
        str, bytes, os.PathLike[str], tuple[Any, Any], tuple[Any, Any, Any], ssl.SSLContext, None
    ] = None,
    grpc_options: Optional[Sequence[tuple[str, Any]]] = None,
    compression: Any = None,
    http_session: Optional[Session] = None,
    proxy_command: Optional[Sequence[str]] = None,
    **kwargs: Unpack[Further],
) -> Channel:
    """A channel to a server, with what proves who calls. Nothing is sent until the first call.

        with create_channel("flyte.example.com", client_id="app", client_secret=secret) as channel:
            RunServiceStub(channel).GetRunDetails(request)
            client = Client(channel=channel, project="p", domain="development")

    Without credentials nothing is shown to a server. If one that is spoken to by https then asks for them, somebody at
    a terminal is asked to sign in with a browser. By plain http only what is named here is shown, because both were
    asked for; nobody is asked to sign in.

    Args:
        endpoint: `host`, `host:port`, `http(s)://host:port/path` or `dns:///host`; None reads it from the API key, then
            from FLYTE_ADMIN_ENDPOINT.
        api_key: Says endpoint, client id and secret; None reads FLYTE_API_KEY if there is no `endpoint` either.
        insecure: True for plain HTTP where the endpoint says neither http nor https.
        insecure_skip_verify: True takes any certificate.
        ca_cert_file_path: PEM file of the only authorities to trust.
        ssl_credentials: PEM, or the path of a file, with the only authorities to trust; a pair of a client's
            certificate and key, each PEM or a path, and with a third part the authorities; or an `ssl.SSLContext`,
            which is used as it is.
        grpc_options: Pairs of gRPC's: sizes of messages, user agent, retries, compression, HTTP proxy, keepalive.
        compression: How requests are packed: a name such as "gzip", or one of gRPC's; None is not at all.
        http_session: Used for all requests, as its owner configured it.
        proxy_command: A command whose output is a token for a proxy before the server, shown as `proxy-authorization`.
        **kwargs: Who calls: `auth_type` ("Pkce", "ClientSecret", "ExternalCommand", "DeviceFlow", "Passthrough"),
            `client_id`, `client_secret` (or a function that gives it; also as `client_credentials_secret`),
            `client_auth` ("basic" or "post"), `command` (its output is the token), `token` (or a function that gives
            it), `scopes`, `audience`, `header_key`, `redirect_uri`, `token_endpoint`, `authorization_endpoint`,
            `device_authorization_endpoint` (or all these in `auth_client_config`), `request_auth_code_params`,
            `request_access_token_params`, `refresh_access_token_params`, `interactive` (True asks a person wherever we
            are, False never), `credentials` (a token to begin with), `token_store` and
            `disable_keyring` (see `Client`), `auth_endpoint` (who knows how to sign in),
            `proxy_env` and `proxy_timeout` of the proxy command. How calls are made: `proxies` (one for everything,
            or a dict as `requests` takes it; {} is none) or `http_proxy_url`, instead of the environment's, `verify`,
            `rpc_retries`, `protocol` ("connect" or "grpc-web"), `get` (True asks by HTTP GET what has no side effects),
            `interceptors` (functions of a call and of what carries it out, the first outermost: `def count(call,
            proceed): ...; return proceed(call)`), `root_certificates`, `certificate_chain`, `private_key`.

    Raises:
        OptionError: One of these has no meaning over HTTP, is not known, or is none; the text says which and why.
        ConfigError: There is no endpoint, or the settings of the sign-in contradict each other.
    """
    given = given_keywords(kwargs)
    key = _key(endpoint, api_key, given)
    config = Config.load(_arguments(key, endpoint, insecure, insecure_skip_verify, ca_cert_file_path, given))
    server = config.server()
    if key is not None and endpoint:
        check_same_server(key.endpoint, endpoint)
    grpc = GrpcOptions.read(one_of(given, "options", grpc_options=grpc_options) or ())
    tls = _Tls(
        ssl_credentials,
        *(given.get(name) for name in ("root_certificates", "certificate_chain", "private_key")),
    )
    theirs = _proxies(given, grpc)
    if theirs is None and http_session is None:
        theirs = proxies_of(config)
    transport = _transport(server, config, tls, http_session, theirs, grpc)
    who = sign_in(key, given, proxy_command, config)
    origin = Origin(server.scheme, server.host, server.port)
    knows = _knows_sign_in(given.get("auth_endpoint"), server, who.kind())
    retries = given.get("rpc_retries", grpc.retries)
    if retries is not None and (not isinstance(retries, int) or retries < 0):
        raise OptionError(f"rpc_retries is {retries!r}; give a number of 0 or more")
    packed = compression_of(grpc.compression if compression is None else compression)
    channel = Channel(
        transport,
        origin,
        server.path,
        protocol=_protocol(given)(compression=packed, agent=grpc.agent),
        retry=None if retries is None else RetryPolicy(retries=retries),
        credentials=who.credentials(transport, Origin(knows.scheme, knows.host, knows.port), knows.path, SYSTEM_CLOCK),
        interceptors=_interceptors(given.get("interceptors", ()), grpc.send_limit),
        limit=DEFAULT_LIMIT if grpc.limit is None else grpc.limit,
    )
    channel._sign_in = who
    channel.org = None if key is None else key.org
    return channel


def _key(endpoint: Optional[str], api_key: Optional[str], given: Mapping[str, Any]) -> Optional[ApiKey]:
    text = api_key or (None if endpoint else os.environ.get("FLYTE_API_KEY"))
    if not text:
        return None
    others = [
        name
        for name in ("client_id", "client_secret", "client_credentials_secret", "command", "token")
        if name in given
    ]
    if given.get("auth_type", "ClientSecret") != "ClientSecret":
        others.append("auth_type")
    if others:
        raise ConfigError(f"the API key says who calls, and so does {' and '.join(others)}; give one of them")
    return ApiKey.parse(text)


def _arguments(
    key: Optional[ApiKey],
    endpoint: Optional[str],
    insecure: Optional[bool],
    insecure_skip_verify: Optional[bool],
    ca_file: Optional[str],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    verify = given.get("verify")
    if not isinstance(verify, (bool, str, type(None))):
        raise OptionError(
            f"verify is {type(verify).__name__}; give True, False or a path (a context: ssl_credentials=)"
        )
    if verify is not None:
        # An explicit word about it is not undone by a variable of the environment.
        skip = [each for each in (insecure_skip_verify, verify is False) if each is not None]
        if len(set(map(bool, skip))) > 1:
            raise OptionError("verify and insecure_skip_verify contradict each other")
        insecure_skip_verify = verify is False
    ca_file = one_of(
        given, "ca_cert_path", ca_cert_file_path=ca_file, verify=verify if isinstance(verify, str) else None
    )
    return {
        "endpoint": key.endpoint if key else endpoint,
        # A variable of the environment must not be enough to send a key's secret in clear.
        "insecure": bool(insecure) if key else insecure,
        "insecure_skip_verify": insecure_skip_verify,
        "ca_cert_file_path": ca_file,
        "disable_keyring": given.get("disable_keyring"),
        "token_store": given.get("token_store"),
    }


class _Tls(NamedTuple):
    """What was given for TLS."""

    ssl_credentials: Any
    root_certificates: Any = None
    certificate_chain: Any = None
    private_key: Any = None


def transport_of(config: Config, ssl_credentials: Any, http_session: Any, proxies: Any) -> Transport:
    """The connections of a client by what no setting can say; see `Client`.

    Raises:
        OptionError: One of these is none; the text says which.
        ConfigError: They contradict the settings.
    """
    by_caller = config.by_caller("http_proxy_url")
    if proxies is not None:
        if by_caller:
            raise ConfigError("proxies and http_proxy_url are one thing; give one of them")
        theirs = _proxies({"proxies": proxies}, GrpcOptions())
    else:
        # What a file or a variable says is nothing to a session that has its own.
        theirs = proxies_of(config) if http_session is None or by_caller else None
    return _transport(config.server(), config, _Tls(ssl_credentials), http_session, theirs, GrpcOptions())


def _transport(
    server: Endpoint,
    config: Config,
    tls: _Tls,
    http_session: Any,
    proxies: Optional[Proxies],
    grpc: GrpcOptions,
) -> Transport:
    some_tls = any(part is not None for part in tls)
    if some_tls and server.scheme == "http":
        raise OptionError(f"ssl_credentials are for https, and {server.host} is spoken to by plain http")
    if http_session is not None:
        beside = {
            "ssl_credentials": some_tls,
            "insecure_skip_verify": config.sources["insecure_skip_verify"] == "argument",
            "ca_cert_file_path": config.sources["ca_cert_file_path"] == "argument",
            "" if proxies is None else proxies.source: proxies is not None,
            "grpc.keepalive_time_ms": grpc.keepalive is not None or grpc.keepalive_timeout is not None,
        }
        for name, there in beside.items():
            if there:
                raise OptionError(f"http_session is used as its owner configured it; set on it what {name} says")
        return _session_transport(http_session)
    policy = tls_of(
        tls.ssl_credentials,
        verify=verifies(config),
        skips=config.by_caller("insecure_skip_verify"),
        ca_file=config.ca_cert_file_path,
        ca_file_by_caller=config.by_caller("ca_cert_file_path"),
        root_certificates=tls.root_certificates,
        certificate_chain=tls.certificate_chain,
        private_key=tls.private_key,
    )
    return Transport(
        policy,
        os.environ,
        proxies=proxies,
        socket_options=keepalive_options(grpc.keepalive, grpc.keepalive_timeout),
    )


def _session_transport(session: Any) -> Transport:
    kinds = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(session).__mro__]
    if ("requests", "Session") not in kinds:
        reason = "; httpx is not used here" if any(name == "httpx" for name, _ in kinds) else ""
        raise OptionError(f"http_session is {type(session).__name__}; give a requests.Session{reason}")
    from flyte_lite._http.session_transport import SessionTransport

    return SessionTransport(session)


def _protocol(given: Mapping[str, Any]) -> Callable[..., Union[Connect, GrpcWeb]]:
    name, get = given.get("protocol", "connect"), bool(given.get("get"))
    if name not in ("connect", "grpc-web"):
        raise OptionError(f"protocol is {name!r}; it is 'connect' or 'grpc-web' (gRPC itself needs HTTP/2)")
    if name == "connect":
        return functools.partial(Connect, get=get)
    if get:
        raise OptionError("get is given with protocol='grpc-web', which has nothing but POST")
    return GrpcWeb


def _interceptors(given: Sequence[Interceptor], send_limit: Optional[int]) -> Sequence[Interceptor]:
    if not isinstance(given, (list, tuple)) or not all(map(callable, given)):
        raise OptionError("interceptors is a list of functions of a call and of what carries it out")
    return given if send_limit is None else (*given, limit_sent(send_limit))


def _knows_sign_in(auth_endpoint: Optional[str], server: Endpoint, kind: Optional[str]) -> Endpoint:
    if auth_endpoint is None:
        return server
    found = Endpoint.parse(auth_endpoint, insecure=server.scheme == "http")
    if server.scheme == "http" and kind is None:
        raise OptionError(
            "auth_endpoint says how to sign in, which nobody is asked to do for a server by plain http; say who calls, "
            "such as with auth_type="
        )
    if found.scheme == "http" and server.scheme == "https":
        raise OptionError("auth_endpoint is plain http, where secrets would be readable; the server is https")
    return found


def _proxies(given: Mapping[str, Any], grpc: GrpcOptions) -> Optional[Proxies]:
    """What was said of proxies; None leaves it to the environment.

    Raises:
        OptionError: It is no address, or it is said twice.
    """
    value = one_of(given, "proxies", "http_proxy_url")
    source = "proxies" if given.get("proxies") is not None else "http_proxy_url"
    if value is None:
        # One that says nothing is one: none at all.
        value, source = given.get(source, grpc.proxy), source if source in given else "grpc_options"
    if value is None:
        return None
    try:
        return Proxies.given(source, value)
    except ConfigError as error:
        raise OptionError(error.message) from None
