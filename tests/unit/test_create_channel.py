"""What `create_channel` takes, what it makes of it, and what it refuses by name before anything is sent."""

from __future__ import annotations

import base64
import enum
import inspect
import ssl
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import pytest
import requests

from flyte_lite import Client, errors, init
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.tokens import Moment
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.keepalive import keepalive_options
from flyte_lite._http.session_transport import SessionTransport
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._rpc.call import Call, Reply
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._session import set_default
from flyte_lite.errors import Code
from flyte_lite.remote import create_channel
from flyte_lite.remote._channel import Channel
from flyte_lite.remote._grpc_options import GrpcOptions, limit_sent
from flyte_lite.remote._ssl_credentials import tls_of

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n"
# Not anything that looks like a secret to a scanner.
PROGRAM: Mapping[str, Any] = {"client_id": "app", "client_secret": "planted"}


def api_key(text: str = "flyte.example:app:planted:acme") -> str:
    return base64.b64encode(text.encode()).decode()


def policy(channel: Channel) -> TlsPolicy:
    return channel.transport._tls


def test_the_parameters_are_the_documented_ones() -> None:
    names = " ".join(inspect.signature(create_channel).parameters)

    assert names == (
        "endpoint api_key insecure insecure_skip_verify ca_cert_file_path ssl_credentials grpc_options compression "
        "http_session proxy_command kwargs"
    )


@pytest.mark.parametrize(
    ("endpoint", "insecure", "origin", "prefix"),
    [
        ("flyte.example", None, "https://flyte.example:443", ""),
        ("dns:///flyte.example:8089", None, "https://flyte.example:8089", ""),
        ("localhost:8090", True, "http://localhost:8090", ""),
        ("https://flyte.example/base", True, "https://flyte.example:443", "/base"),
    ],
)
def test_an_endpoint_is_that_of_a_client(endpoint: str, insecure: Optional[bool], origin: str, prefix: str) -> None:
    channel = create_channel(endpoint, insecure=insecure)

    assert (str(channel.origin), channel.prefix) == (origin, prefix)


def test_the_endpoint_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.ConfigError, match="no endpoint is set"):
        create_channel()
    monkeypatch.setenv("FLYTE_ADMIN_ENDPOINT", "http://localhost:8090")
    assert str(create_channel().origin) == "http://localhost:8090"
    monkeypatch.setenv("FLYTE_API_KEY", api_key())
    channel = create_channel()
    assert (str(channel.origin), channel.org) == ("https://flyte.example:443", "acme")
    assert create_channel("other.example").org is None, "the key is not for that one"


def test_an_api_key_says_where_and_who() -> None:
    channel = create_channel(None, api_key())

    assert str(channel.origin) == "https://flyte.example:443"
    assert repr(channel) == "Channel(https://flyte.example:443, signed in by ClientSecret)"
    assert channel._sign_in.client_id == "app"


def test_a_variable_is_not_enough_to_send_a_key_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_ADMIN_INSECURE", "true")

    assert create_channel(api_key=api_key()).origin.scheme == "https"
    assert create_channel(api_key=api_key(), insecure=True).origin.scheme == "http"


@pytest.mark.parametrize(
    ("endpoint", "good"),
    [
        ("flyte.example", True),
        ("dns:///flyte.example", True),
        ("https://flyte.example", True),
        ("https://flyte.example:8443", False),
        ("other.example", False),
    ],
)
def test_a_key_and_an_endpoint_are_of_one_server(endpoint: str, good: bool) -> None:
    if good:
        create_channel(endpoint, api_key())
        return
    with pytest.raises(errors.ConfigError, match=r"the API key is for flyte.example, and the endpoint is"):
        create_channel(endpoint, api_key())


@pytest.mark.parametrize(
    ("further", "said"),
    [
        ({"client_id": "x"}, "client_id"),
        ({"token": "x", "command": ["x"]}, "command and token"),
        ({"auth_type": "Pkce"}, "auth_type"),
    ],
)
def test_a_key_is_the_only_one_who_says_who_calls(further: Any, said: str) -> None:
    with pytest.raises(errors.ConfigError, match=f"says who calls, and so does {said}"):
        create_channel(api_key=api_key(), **further)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"colour": 1}, "knows no colour; known are add_request"),
    ({"auth_typ": "Pkce"}, "knows no auth_typ; do you mean auth_type"),
    ({"cfg_store": object()}, "cfg_store can't be given to create_channel: it is asynchronous"),
    ({"mounts": {}}, "mounts can't be given to create_channel: it is a setting of an httpx client"),
    ({"timeout": 3}, "timeout can't be given to create_channel"),
    ({"http_session": object()}, "http_session is object; give a requests.Session$"),
    ({"rpc_retries": -1}, "rpc_retries is -1"),
    ({"rpc_retries": "many"}, "rpc_retries is 'many'"),
    ({"protocol": "grpc"}, "protocol is 'grpc'; it is 'connect' or 'grpc-web'"),
    ({"protocol": "grpc-web", "get": True}, "get is given with protocol='grpc-web'"),
    ({"interceptors": [3]}, "interceptors is a list of functions"),
    ({"proxy_timeout": 3}, "proxy_env and proxy_timeout are for proxy_command"),
    ({"proxy_env": {"A": "b"}}, "proxy_env and proxy_timeout are for proxy_command"),
    ({"token": "t", "scopes": ["all"]}, "scopes and audience are for who asks for a token"),
    ({"compression": 7}, "compression is 7; gRPC's are"),
    ({"compression": 1.5}, "compression is float"),
    ({"compression": 1}, "compression is deflate, which servers that speak Connect do not take; use gzip"),
    ({"proxy_timeout": 0}, "proxy_timeout is 0"),
    ({"proxy_timeout": "1"}, "proxy_timeout is '1'"),
    ({"proxy_command": ["true"], "proxy_env": ["a"]}, "proxy_env is a dict of texts"),
    ({"request_auth_code_params": {"a": 1}}, "request_auth_code_params is a dict of texts"),
    ({"http_proxy_url": "://"}, "the proxy in http_proxy_url can't be used: it is no address"),
    ({"proxies": {"https": "ftp://p"}}, "the proxy in proxies can't be used: its kind is not known"),
    ({"proxies": {"ftp": "http://p"}}, "proxies has the key 'ftp'"),
    ({"proxies": {"https": 1}}, "proxies has int for 'https'"),
    ({"proxies": 1}, "proxies is int"),
    ({"proxies": "http://p", "http_proxy_url": "http://q"}, "proxies and http_proxy_url are one thing"),
    ({"request_auth_code_params": {"state": "x"}}, "request_auth_code_params has state, which the sign-in itself"),
    ({"request_access_token_params": {"code": "x"}}, "request_access_token_params has code"),
    ({"refresh_access_token_params": {"grant_type": "x"}}, "refresh_access_token_params has grant_type"),
    ({"verify": ssl.create_default_context()}, "verify is SSLContext; give True, False or a path"),
    ({"verify": 0}, "verify is int"),
    ({"verify": True, "insecure_skip_verify": True}, "verify and insecure_skip_verify contradict each other"),
    ({"verify": False, "insecure_skip_verify": False}, "verify and insecure_skip_verify contradict each other"),
    ({"credentials": object()}, "credentials has no access_token"),
    ({"client_id": "a", "client_secret": "b", "client_credentials_secret": "c"}, "client_secret and client_creden"),
    ({"auth_endpoint": "http://idp.example"}, "auth_endpoint is plain http"),
    ({"grpc_options": 7}, "grpc_options is a list of pairs"),
    ({"grpc_options": [("grpc.enable_retries",)]}, "grpc_options is a list of pairs"),
    (
        {"grpc_options": [("grpc.http2.max_pings_without_data", 0)]},
        "max_pings_without_data can't be had here: .*HTTP/2",
    ),
    ({"grpc_options": [("grpc.lb_policy_name", "round_robin")]}, "lb_policy_name can't be had here: one address"),
    ({"grpc_options": [("grpc.use_local_subchannel_pool", 1)]}, "can't be had here: connections are pooled by"),
    ({"grpc_options": [("grpc.service_config", "{}")]}, "service_config can't be had here: rpc_retries="),
    ({"grpc_options": [("grpc.ssl_target_name_override", "x")]}, "can't be had here: a server is asked by the name"),
    ({"grpc_options": [("grpc.keepalive_time", 1)]}, "can't be had here: it is not known; known are grpc.default_comp"),
    ({"grpc_options": [("grpc.max_receive_message_length", "9")]}, "max_receive_message_length is '9'; give a number"),
    ({"grpc_options": [("grpc.max_receive_message_length", -2)]}, "is -2; give a number of -1 or more"),
    ({"grpc_options": [("grpc.keepalive_time_ms", 0)]}, "keepalive_time_ms is 0"),
    ({"grpc_options": [("grpc.keepalive_permit_without_calls", "x")]}, "permit_without_calls is 'x'"),
    ({"grpc_options": [("grpc.primary_user_agent", "a\r\nb: c")]}, "primary_user_agent is .*; give text"),
    ({"grpc_options": [], "options": [("grpc.enable_retries", 1)]}, "options and grpc_options are one thing"),
    ({"ssl_credentials": 7}, "the authorities of ssl_credentials: give PEM, or the path of a file, and no int"),
    ({"ssl_credentials": b"\x30\x82"}, "these bytes are no PEM"),
    ({"ssl_credentials": PEM + KEY}, "holds a private key, where authorities to trust are expected"),
    ({"ssl_credentials": (PEM,)}, "give PEM, or the path of a file, and no tuple"),
    ({"ssl_credentials": (PEM, 7)}, "the client's key: give PEM"),
    ({"private_key": KEY}, "key needs its certificate"),
    ({"ssl_credentials": "a.pem", "ca_cert_file_path": "b.pem"}, "both name authorities"),
]


@pytest.mark.parametrize(("keywords", "said"), REFUSED)
def test_what_has_no_meaning_is_refused_by_name(keywords: Any, said: str) -> None:
    with pytest.raises(errors.OptionError, match=said) as caught:
        create_channel("flyte.example", **keywords)
    assert "planted" not in str(caught.value)


def test_what_is_not_ours_is_known_by_where_it_comes_from() -> None:
    def of(module: str, name: str) -> Any:
        return type(name, (), {"__module__": module})()

    with pytest.raises(errors.OptionError, match="is an object of gRPC's, which nobody can look into"):
        create_channel("h", ssl_credentials=of("grpc", "ChannelCredentials"))
    with pytest.raises(errors.OptionError, match=r"http_session is AsyncClient; give a requests.Session; httpx is not"):
        create_channel("h", http_session=of("httpx._client", "AsyncClient"))


@pytest.mark.parametrize("name", ["ssl_credentials", "root_certificates"])
def test_tls_has_no_meaning_for_plain_http(name: str) -> None:
    further: Any = {name: PEM}
    with pytest.raises(errors.OptionError, match=r"h is spoken to by plain http"):
        create_channel("http://h", **further)


def test_ssl_credentials() -> None:
    context = ssl.create_default_context()

    def made(value: Any, **more: Any) -> TlsPolicy:
        return policy(create_channel("flyte.example", ssl_credentials=value, **more))

    assert made(None) == TlsPolicy()
    assert made("ca.pem") == TlsPolicy(ca_file="ca.pem")
    assert made(Path("ca.pem")) == TlsPolicy(ca_file="ca.pem")
    assert made(PEM) == TlsPolicy(ca=PEM)
    assert made(PEM.encode()) == TlsPolicy(ca=PEM.encode())
    assert made(("cert.pem", "key.pem")) == TlsPolicy(cert="cert.pem", key="key.pem")
    assert made((PEM, KEY, "ca.pem")) == TlsPolicy(ca_file="ca.pem", cert=PEM, key=KEY)
    assert made((PEM + KEY, None)) == TlsPolicy(cert=PEM + KEY)
    assert made((PEM, KEY), ca_cert_file_path="ca.pem") == TlsPolicy(ca_file="ca.pem", cert=PEM, key=KEY)
    assert made(context) == TlsPolicy(ssl_context=context)
    assert made(None, root_certificates=PEM, certificate_chain=PEM, private_key=KEY) == TlsPolicy(
        ca=PEM, cert=PEM, key=KEY
    )


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"insecure_skip_verify": True}, TlsPolicy(verify=False)),
        ({"verify": False}, TlsPolicy(verify=False)),
        ({"verify": True}, TlsPolicy()),
        ({"verify": "ca.pem"}, TlsPolicy(ca_file="ca.pem")),
        ({"ca_cert_path": "ca.pem"}, TlsPolicy(ca_file="ca.pem")),
        ({"ca_cert_file_path": "ca.pem", "ca_cert_path": "ca.pem"}, TlsPolicy(ca_file="ca.pem")),
    ],
)
def test_whom_to_trust(keywords: Any, expected: TlsPolicy) -> None:
    assert policy(create_channel("flyte.example", **keywords)) == expected


@pytest.mark.parametrize("verify", [True, "ca.pem"])
def test_who_asks_to_verify_is_not_overruled_by_a_variable(verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_ADMIN_INSECURESKIPVERIFY", "true")
    assert not policy(create_channel("flyte.example")).verify, "the variable is the right one"

    assert policy(create_channel("flyte.example", verify=verify)).verify


def test_nobody_is_asked_to_sign_in_by_plain_http_though_somebody_knows_how() -> None:
    further: dict[str, Any] = {"auth_endpoint": "https://idp.example"}

    with pytest.raises(errors.OptionError, match="which nobody is asked to do for a server by plain http"):
        create_channel("http://flyte.example", **further)
    create_channel("http://flyte.example", **further, **PROGRAM)


@pytest.mark.parametrize("name", ["a b", "x\r\ny", "host", "Content-Length", "connect-timeout-ms", "\xe9"])
def test_a_header_that_no_call_can_carry_takes_no_token(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="header_key is no name of a header that a call can carry"):
        create_channel("flyte.example", header_key=name, token="planted")  # no secret


class Compression(enum.IntEnum):
    """As gRPC's."""

    NoCompression = 0
    Deflate = 1
    Gzip = 2


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        (Compression.NoCompression, None),
        (Compression.Gzip, "gzip"),
        (types.SimpleNamespace(value=2), "gzip"),
    ],
)
def test_compression(value: Any, name: Optional[str]) -> None:
    packing = create_channel("flyte.example", compression=value)._protocol._packing

    assert (None if packing is None else packing.name) == name


def test_a_compression_that_is_not_known() -> None:
    with pytest.raises(errors.ConfigError, match="compression is 'snappy'"):
        create_channel("flyte.example", compression="snappy")


def test_options_of_grpc() -> None:
    channel = create_channel(
        "flyte.example",
        grpc_options=[
            ("grpc.max_receive_message_length", 1000),
            ("grpc.enable_retries", 0),
            ("grpc.primary_user_agent", "my-app/1"),
            ("grpc.default_compression_algorithm", 2),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 9_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )

    assert channel._limit == 1000
    assert channel._retry.retries == 0
    assert channel._protocol._agent.startswith("my-app/1 flyte-lite/")
    assert channel._protocol._packing is not None
    assert channel.transport._socket_options == keepalive_options(30, 9)
    assert create_channel("h", grpc_options=[("grpc.max_receive_message_length", -1)])._limit > 1 << 39
    assert create_channel("h", grpc_options=[("grpc.enable_retries", 1)])._retry.retries == 3
    assert create_channel("h", options=[("grpc.enable_retries", 0)])._retry.retries == 0
    assert create_channel("h", rpc_retries=7, grpc_options=[("grpc.enable_retries", 0)])._retry.retries == 7


@pytest.mark.parametrize(
    ("keywords", "proxy"),
    [
        ({}, ("https_proxy", "http://env:1")),
        ({"http_proxy_url": "http://mine:3"}, ("http_proxy_url", "http://mine:3")),
        ({"proxies": "mine:3"}, ("proxies", "http://mine:3")),
        ({"proxies": {"https": "socks5h://u:p@mine"}}, ("proxies", "socks5h://u:p@mine")),
        ({"proxies": {"http": "http://mine:3"}}, ("", "")),
        ({"proxies": {"all": "http://mine:3", "no_proxy": ".example"}}, ("", "")),
        ({"proxies": {}}, ("", "")),
        ({"proxies": ""}, ("", "")),
        ({"http_proxy_url": ""}, ("", "")),
        ({"proxies": "http://mine:3", "http_proxy_url": "http://mine:3"}, ("proxies", "http://mine:3")),
        ({"grpc_options": [("grpc.http_proxy", "http://mine:3")]}, ("grpc_options", "http://mine:3")),
        (
            {"grpc_options": [("grpc.http_proxy", "http://mine:3")], "proxies": "http://nearer:4"},
            ("proxies", "http://nearer:4"),
        ),
        ({"grpc_options": [("grpc.enable_http_proxy", 0)]}, ("", "")),
        ({"grpc_options": [("grpc.enable_http_proxy", 1)]}, ("https_proxy", "http://env:1")),
    ],
)
def test_a_proxy_that_is_named_is_the_only_one(
    keywords: Any, proxy: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://env:1")
    channel = create_channel("flyte.example", **keywords)

    found = channel.transport.proxy(channel.origin)

    assert ("" if found is None else found.source, "" if found is None else found.url) == proxy


def test_a_proxy_of_the_settings_is_nearer_than_that_of_all_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://env:1")
    monkeypatch.setenv("FLYTE_ADMIN_HTTPPROXYURL", "http://ours:2")

    def of(**keywords: Any) -> Any:
        channel = create_channel("flyte.example", **keywords)
        return channel.transport.proxy(channel.origin)

    assert of().url == "http://ours:2"
    assert of(http_proxy_url="http://mine:3").url == "http://mine:3"
    assert of(proxies={}) is None
    # A session has its own.
    assert isinstance(create_channel("flyte.example", http_session=requests.Session()).transport, SessionTransport)


def test_a_session_of_the_callers_is_used_as_it_is() -> None:
    session = requests.Session()
    channel = create_channel("flyte.example", http_session=session)

    assert isinstance(channel.transport, SessionTransport)
    assert channel.transport._session is session
    beside: list[dict[str, Any]] = [
        {"insecure_skip_verify": True},
        {"verify": False},
        {"ca_cert_file_path": "ca.pem"},
        {"ssl_credentials": PEM},
        {"http_proxy_url": "http://p"},
        {"proxies": {}},
        {"grpc_options": [("grpc.keepalive_time_ms", 5)]},
    ]
    for further in beside:
        with pytest.raises(errors.OptionError, match="as its owner configured it; set on it what"):
            create_channel("flyte.example", http_session=session, **further)


@pytest.mark.parametrize(("name", "kind"), [("connect", Connect), ("grpc-web", GrpcWeb)])
def test_the_protocol(name: str, kind: type[Any]) -> None:
    assert isinstance(create_channel("flyte.example", protocol=name)._protocol, kind)


def test_who_calls() -> None:
    official = types.SimpleNamespace(
        token_endpoint="https://idp.example/token", authorization_endpoint="", redirect_uri="http://localhost/",
        client_id="theirs", scopes=["a"], header_key="X-Theirs", audience=None,
    )  # fmt: skip
    sign_in = create_channel(
        "flyte.example",
        auth_type="Pkce",
        auth_client_config=official,
        scopes="b c",
        audience="us",
        request_auth_code_params={"prompt": "login"},
        request_access_token_params={"x": "y"},
        refresh_access_token_params={"z": "0"},
        add_request_auth_code_params_to_request_access_token_params=True,
        interactive=False,
        disable_keyring=True,
        token_store="file",
    )._sign_in

    assert (sign_in.disable_keyring, sign_in.token_store) == (True, "file")
    assert sign_in.known == ClientConfig(
        token_endpoint="https://idp.example/token",
        redirect_uri="http://localhost/",
        client_id="theirs",
        scopes=("b", "c"),
        header_key="X-Theirs",
        audience="us",
    )
    assert (sign_in.client_id, sign_in.header_key, sign_in.interactive) == ("theirs", "X-Theirs", False)
    assert (sign_in.to_authorize, sign_in.to_token) == ({"prompt": "login"}, {"prompt": "login", "x": "y"})
    assert sign_in.to_refresh == {"z": "0"}


@pytest.mark.parametrize("name", ["client_secret", "client_credentials_secret"])
def test_a_secret_has_two_names(name: str) -> None:
    further: Any = {name: "planted"}
    channel = create_channel("flyte.example", client_id="app", **further)

    assert channel._sign_in.kind() == "ClientSecret"
    assert "planted" not in repr(channel) + repr(channel._sign_in) + repr(channel.credentials)


def test_a_token_to_begin_with() -> None:
    official = types.SimpleNamespace(access_token="abc", refresh_token="r", expires_in=60)
    first = create_channel("flyte.example", auth_type="Pkce", credentials=official)._sign_in.first

    assert first is not None
    assert (first.value, first.refresh) == ("abc", "r")
    assert 59 < (first.left(Moment.now(SYSTEM_CLOCK)) or 0) <= 60


@pytest.mark.parametrize(
    ("endpoint", "further", "text"),
    [
        ("flyte.example", {}, "Channel(https://flyte.example:443, signed in by nobody yet)"),
        ("http://h/base", {}, "Channel(http://h:80/base, signed in by nobody)"),
        ("flyte.example", PROGRAM, "Channel(https://flyte.example:443, signed in by ClientSecret)"),
        (
            "flyte.example",
            {"token": "planted", "proxy_command": ["x", "planted"]},
            "Channel(https://flyte.example:443, signed in by Token, through a proxy with a token)",
        ),
    ],
)
def test_a_channel_shows_where_it_leads(endpoint: str, further: Any, text: str) -> None:
    assert repr(create_channel(endpoint, **further)) == text


class Sized:
    def __init__(self, size: int) -> None:
        self.size = size

    def ByteSize(self) -> int:
        return self.size


@pytest.mark.parametrize("wrap", [tuple, iter], ids=["whole", "stream"])
def test_a_message_that_is_too_large_is_not_sent(wrap: Any) -> None:
    sent: list[int] = []

    def proceed(call: Call) -> Any:
        sent.extend(message.size for message in call.messages)
        return Reply(None, {}, {})

    def call(*sizes: int) -> None:
        made = Call(None, "client_stream", wrap([Sized(size) for size in sizes]), Deadline(SYSTEM_CLOCK, 1), None)  # type: ignore[arg-type]
        limit_sent(10)(made, proceed)

    call(10, 1)
    with pytest.raises(errors.RpcError, match=r"a message of 11 bytes is over the limit of 10") as caught:
        call(3, 11)
    assert (caught.value.code, caught.value.sent) == (Code.RESOURCE_EXHAUSTED, wrap is iter)
    assert sent == [10, 1, *([3] if wrap is iter else [])]


def test_a_limit_of_none_is_none() -> None:
    assert (
        GrpcOptions.read([("grpc.max_send_message_length", -1)]).send_limit
        == GrpcOptions.read([("grpc.max_receive_message_length", -1)]).limit
    )


def test_a_client_over_a_channel() -> None:
    channel = create_channel(api_key=api_key())
    client = Client(channel=channel, project="p", domain="d")

    assert client._session.channel is channel
    assert client.endpoint == "https://flyte.example:443"
    assert client._session.scope == ("acme", "p", "d")
    assert client._session.console == "https://flyte.example"
    assert Client(channel=channel, org="other")._session.scope.org == "other"
    assert Client(channel=create_channel("acme.flyte.example"))._session.scope.org == "acme"
    try:
        assert init(channel=channel)._session.channel is channel
    finally:
        set_default(None)


def test_a_client_over_a_channel_has_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = create_channel("flyte.example")
    monkeypatch.setenv("FLYTE_ADMIN_ENDPOINT", "other.example")
    monkeypatch.setenv("FLYTE_TASK_PROJECT", "from-env")

    assert Client(channel=channel).endpoint == "https://flyte.example:443"
    assert Client(channel=channel)._session.scope.project == "from-env"
    beside: list[dict[str, Any]] = [{"endpoint": "h"}, {"insecure": True}, {"ca_cert_file_path": "x"}]
    for further in beside:
        with pytest.raises(errors.ConfigError, match="is settled where the channel is made"):
            Client(channel=channel, **further)
    with pytest.raises(errors.ConfigError, match=r"channel is object; give what remote.create_channel returns"):
        Client(channel=object())  # type: ignore[arg-type]


def test_tls_of_nothing_is_the_usual() -> None:
    assert tls_of(None, verify=True, ca_file=None) == TlsPolicy()
