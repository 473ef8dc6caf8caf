"""Whom TLS trusts, and what a refusal says: the cause, and what to do about it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import pytest
from chaos_network import Network, eventually, open_files
from chaos_server import CERTIFICATES, ChaosServer, Peer, server_context

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Answer, Transport
from flyte_lite.errors import Code, ConfigError, EndpointError, TlsError, TransportError

AUTHORITY = str(CERTIFICATES / "authority.pem")


def call(
    origin: Origin,
    ca_file: Optional[str] = None,
    environ: Optional[Mapping[str, str]] = None,
    verify: bool = True,
    seconds: float = 5,
) -> Answer:
    transport = Transport(TlsPolicy(ca_file=ca_file, verify=verify), environ or {})
    with contextlib.closing(transport):
        return transport.exchange("POST", origin, "/x", {}, b"", Deadline(SYSTEM_CLOCK, seconds), 1000)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_given_authority_is_trusted(secure: Network, host: str) -> None:
    assert call(secure.origin._replace(host=host), AUTHORITY).body == b"ok"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_authority_may_come_from_the_environment_that_was_passed(secure: Network, variable: str) -> None:
    assert call(secure.origin, environ={variable: AUTHORITY}).body == b"ok"


def test_the_environment_of_the_process_is_not_looked_at(secure: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", AUTHORITY)

    with pytest.raises(TlsError):
        call(secure.origin)


def test_an_unknown_authority_names_the_setting_that_helps(secure: Network) -> None:
    before = open_files()

    with pytest.raises(TlsError, match=r"not trusted.*ca_cert_file_path= or in REQUESTS_CA_BUNDLE") as caught:
        call(secure.origin)

    assert caught.value.code is Code.UNAVAILABLE
    assert not caught.value.sent
    assert eventually(lambda: open_files() <= before)


def test_a_self_signed_certificate_is_not_trusted() -> None:
    with ChaosServer(tls=server_context("stranger")) as server, pytest.raises(TlsError, match="not trusted"):
        call(Origin("https", "localhost", server.port), AUTHORITY)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_for_another_host_says_so(host: str) -> None:
    with ChaosServer(tls=server_context("elsewhere")) as server:
        before = open_files()
        with pytest.raises(TlsError, match="is for another host") as caught:
            call(Origin("https", host, server.port), AUTHORITY)

        assert host in str(caught.value)
        assert "ca_cert_file_path" not in str(caught.value), "which would not help"
        assert eventually(lambda: open_files() <= before)


def test_an_expired_certificate_says_so() -> None:
    expected = pytest.raises(TlsError, match=r"not valid now.*expired.*clock")
    with ChaosServer(tls=server_context("expired")) as server, expected:
        call(Origin("https", "127.0.0.1", server.port), AUTHORITY)


@pytest.mark.parametrize("certificate", ["server", "stranger", "elsewhere", "expired"])
def test_without_verification_anybody_is_taken_and_nothing_is_said(certificate: str) -> None:
    with ChaosServer(tls=server_context(certificate)) as server, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert call(Origin("https", "127.0.0.1", server.port), verify=False).body == b"ok"

    assert [str(warning.message) for warning in said if "HTTPS request" in str(warning.message)] == []


def test_https_to_a_plain_port_asks_about_plain_http(plain: Network) -> None:
    def refuse(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    plain.server.script = refuse

    with pytest.raises(TlsError, match=r"not TLS.*insecure=True") as caught:
        call(plain.origin._replace(scheme="https"), AUTHORITY)
    assert not caught.value.sent


def test_https_to_a_port_that_hangs_up_asks_about_plain_http(plain: Network) -> None:
    plain.server.script = lambda peer: peer.sock.recv(1000) and None

    with pytest.raises(TransportError, match="TLS") as caught:
        call(plain.origin._replace(scheme="https"), AUTHORITY)
    assert not caught.value.sent


def test_http_to_a_tls_port_asks_about_https(secure: Network) -> None:
    with pytest.raises(TransportError, match="https://"):
        call(secure.origin._replace(scheme="http"))


def test_http_to_a_tls_port_that_answers_in_tls_asks_about_https(plain: Network) -> None:
    def alert(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"\x15\x03\x03\x00\x02\x02\x46")

    plain.server.script = alert

    with pytest.raises(EndpointError, match="https://"):
        call(plain.origin)


@pytest.mark.parametrize("content", [None, "", "no certificate\n"])
def test_an_authority_that_cannot_be_loaded_names_its_setting(tmp_path: Path, content: Optional[str]) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    origin = Origin("https", "127.0.0.1", 9)

    with pytest.raises(ConfigError, match=r"ca\.pem \(from ca_cert_file_path\)"):
        call(origin, str(path))
    with pytest.raises(ConfigError, match=r"ca\.pem \(from the environment variable SSL_CERT_FILE\)"):
        call(origin, environ={"SSL_CERT_FILE": str(path)})


def test_a_folder_of_authorities_is_taken(secure: Network, tmp_path: Path) -> None:
    with pytest.raises(TlsError):  # an empty one trusts nobody
        call(secure.origin, str(tmp_path))
