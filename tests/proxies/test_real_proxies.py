"""Launch, wait and logs through proxies that people have: they work, or fail with the sentence that helps."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Optional

import pytest
from chaos_server import CERTIFICATES

from flyte_lite import Client
from flyte_lite.errors import ConfigError, ConnectFailedError, EndpointError, TlsError, TransportError, UnavailableError

USER, PASSWORD = "me", "h1dden-word"
AUTHORITY = str(CERTIFICATES / "authority.pem")
MOST_SECONDS = 60


class Row(NamedTuple):
    """A way to a devbox, and how it ends.

    Attributes:
        name: What is between us.
        way: Endpoint, further arguments of the client, and environment; given the fixtures that it asks for.
        error: None works.
        text: What it says, of several things that matter.
        silent: Seconds that the task says nothing.
    """

    name: str
    way: Callable[..., tuple[str, Mapping[str, Any], Mapping[str, str]]]
    error: Any = None
    text: tuple[str, ...] = ()
    silent: float = 0.0


def proxied(place: str, user: str = f"{USER}:{PASSWORD}@") -> str:
    return f"http://{user}{place}"


CA = {"ca_cert_file_path": AUTHORITY}
NOWHERE = {"HTTPS_PROXY": "http://nowhere.invalid:1", "NO_PROXY": "*"}
TABLE = [
    Row("tinyproxy, http", lambda box, tinyproxy: (box.endpoint, {}, {"HTTP_PROXY": proxied(tinyproxy)})),
    Row("tinyproxy, https", lambda secure, tinyproxy: (secure, CA, {"HTTPS_PROXY": proxied(tinyproxy)}), silent=1),
    Row("tinyproxy, an argument", lambda secure, tinyproxy: (secure, {**CA, "proxies": proxied(tinyproxy)}, NOWHERE)),
    Row(
        "tinyproxy, no password, http",
        lambda box, tinyproxy: (box.endpoint, {}, {"http_proxy": proxied(tinyproxy, "")}),
        EndpointError,
        ("the proxy {tinyproxy} (from http_proxy) wants a user and a password", "http://user:password@host:port"),
    ),
    Row(
        "tinyproxy, no password, https",
        lambda secure, tinyproxy: (secure, CA, {"ALL_PROXY": proxied(tinyproxy, "")}),
        EndpointError,
        ("the proxy {tinyproxy} (from ALL_PROXY) wants a user and a password", "http://user:password@host:port"),
    ),
    Row(
        "tinyproxy, wrong password",
        lambda secure, tinyproxy: (secure, CA, {"HTTPS_PROXY": proxied(tinyproxy, f"me:{PASSWORD}-@")}),
        EndpointError,
        ("the proxy {tinyproxy} (from HTTPS_PROXY) does not take the user and the password", "no NTLM or Kerberos"),
    ),
    Row(
        "tinyproxy, a password that is not escaped",
        lambda secure, tinyproxy: (secure, CA, {"HTTPS_PROXY": proxied(tinyproxy, f"me:{PASSWORD}?@")}),
        ConfigError,
        ("the proxy in HTTPS_PROXY can't be used", "with special characters as %40 for @"),
    ),
    Row(
        "tinyproxy, no tunnel to there",
        lambda nobody, tinyproxy: (f"https://{nobody}", CA, {"HTTPS_PROXY": proxied(tinyproxy)}),
        ConnectFailedError,
        ("the proxy {tinyproxy} (from HTTPS_PROXY) did not open a tunnel", "403"),
    ),
    Row(
        "tinyproxy, nobody there, http",
        lambda nobody, tinyproxy: (f"http://{nobody}", {}, {"HTTP_PROXY": proxied(tinyproxy)}),
        # Its page, or a broken connection: it closes this without having read all.
        TransportError,
        ("proxy",),
    ),
    Row(
        "mitmproxy, its CA given",
        lambda secure, mitmproxy: (
            secure,
            {"ca_cert_file_path": mitmproxy.authority},
            {"HTTPS_PROXY": proxied(mitmproxy.place)},
        ),
        silent=1,
    ),
    Row(
        "mitmproxy, its CA in the environment",
        lambda secure, mitmproxy: (
            secure,
            {},
            {"HTTPS_PROXY": proxied(mitmproxy.place), "REQUESTS_CA_BUNDLE": mitmproxy.authority},
        ),
    ),
    Row("mitmproxy, http", lambda box, mitmproxy: (box.endpoint, {}, {"HTTP_PROXY": proxied(mitmproxy.place)})),
    Row(
        "mitmproxy, its CA not given",
        lambda secure, mitmproxy: (secure, CA, {"HTTPS_PROXY": proxied(mitmproxy.place)}),
        TlsError,
        ("is not trusted, as nobody known here signs it", "If a company proxy", "ca_cert_file_path= or in REQUESTS_CA"),
    ),
    Row(
        "mitmproxy, no password",
        lambda secure, mitmproxy: (secure, CA, {"HTTPS_PROXY": proxied(mitmproxy.place, "")}),
        EndpointError,
        ("(from HTTPS_PROXY) wants a user and a password",),
    ),
    Row(
        "mitmproxy, nobody there",
        lambda nobody, mitmproxy: (
            f"https://{nobody}",
            {"ca_cert_file_path": mitmproxy.authority},
            {"HTTPS_PROXY": proxied(mitmproxy.place)},
        ),
        ConnectFailedError,
        ("the proxy {mitmproxy.place} (from HTTPS_PROXY) did not open a tunnel", "502"),
    ),
    Row("nginx, prefix, 2 s", lambda nginx: (f"http://{nginx.plain}/flyte", {}, {}), silent=5),
    Row("nginx, as it comes", lambda nginx: (f"http://{nginx.plain}/usual/", {}, {}), silent=1),
    Row("nginx, https", lambda nginx: (f"https://{nginx.secure}", CA, {})),
    Row(
        "nginx, 502", lambda nginx: (f"http://{nginx.plain}/gone", {}, {}), UnavailableError, ("502", "no answer from")
    ),
    Row(
        "nginx, 504", lambda nginx: (f"http://{nginx.plain}/mute", {}, {}), UnavailableError, ("504", "no answer from")
    ),
    Row(
        "nginx, no prefix",
        lambda nginx: (f"http://{nginx.plain}", {}, {}),
        EndpointError,
        ("HTTP 404", "server nginx", "check host, port and path"),
    ),
    Row(
        "nginx, a login page",
        lambda nginx: (f"http://{nginx.plain}/login", {}, {}),
        EndpointError,
        ("it redirects to https://login.example/", "never followed"),
    ),
    Row(
        "nginx, http to https",
        lambda nginx: (f"http://{nginx.secure}", {}, {}),
        EndpointError,
        ("it wants TLS: use https://",),
    ),
]


def main_job(client: Client, silent: float) -> None:
    run = client.run(client.tasks.get("slow.talk", auto_version="latest"), name="Ada", silent=silent)
    assert list(run.get_logs(timeout=MOST_SECONDS)) == ["hello Ada", "goodbye Ada"]
    run.wait(timeout=MOST_SECONDS)
    assert run.outputs()[0] == "it was Ada"


def given(row: Row, request: pytest.FixtureRequest) -> dict[str, Any]:
    code = row.way.__code__
    return {name: request.getfixturevalue(name) for name in code.co_varnames[: code.co_argcount]}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(", ", "-").replace(" ", "-"))
def test_the_main_job(row: Row, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    fixtures = given(row, request)
    endpoint, arguments, environ = row.way(**fixtures)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with Client(endpoint, project="flytesnacks", domain="development", **arguments) as client:
        if row.error is None:
            main_job(client, row.silent)
            return
        for job in (lambda: main_job(client, 0), lambda: client.runs.get("r")):
            with pytest.raises(row.error) as caught:
                job()
            for text in row.text:
                assert text.format(**fixtures) in str(caught.value)
            error: Optional[BaseException] = caught.value
            while error is not None:
                assert PASSWORD not in f"{error!s} {error!r}"
                error = error.__cause__


def test_a_launch_that_is_too_large_for_a_reverse_proxy(nginx: Any) -> None:
    with Client(f"http://{nginx.plain}/flyte", project="flytesnacks", domain="development") as client:
        task = client.tasks.get("slow.talk", auto_version="latest")
        with pytest.raises(EndpointError, match=r"HTTP 413.*takes no requests that large"):
            client.run(task, name=secrets.token_hex(2_000_000))


def test_a_reverse_proxy_that_keeps_the_host_to_itself(nginx: Any) -> None:
    """The server then names itself as its cluster, by a name that only nginx can use."""
    place = {"project": "flytesnacks", "domain": "development"}
    with Client(f"https://{nginx.secure}/usual", ca_cert_file_path=AUTHORITY, **place) as client:
        task = client.tasks.get("slow.talk", auto_version="latest")
        with pytest.raises(TlsError, match=f"https://{nginx.secure} names https://.* pass on the header Host"):
            client.run(task, name="Ada")
