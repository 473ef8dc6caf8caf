"""A connection that is made for its own sake: what it comes to, step by step, and where it stopped."""

from __future__ import annotations

import contextlib

import pytest
from chaos_network import Network, eventually, open_files
from chaos_proxy import ChaosProxy
from chaos_server import CERTIFICATES, ChaosServer, server_context

from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Transport
from flyte_lite.errors import ConnectFailedError, TlsError

STEPS = {
    "plain": ["name", "TCP"],
    "tls": ["name", "TCP", "TLS"],
    "proxied plain": ["name", "TCP"],
    "proxied tls": ["name", "TCP", "proxy", "TLS"],
}


def soon() -> Deadline:
    return Deadline(SYSTEM_CLOCK, 10)


def test_each_step_is_told(network: Network) -> None:
    seen: list[str] = []

    secured = network.transport.connect(network.origin, soon(), lambda stage, whom: seen.append(stage))

    assert seen == STEPS[network.way]
    assert (secured is not None) == ("tls" in network.way)
    if secured is not None:
        assert secured.version.startswith("TLSv1.")
        assert ("DNS", "localhost") in secured.certificate["subjectAltName"]


def test_a_tls_proxy_is_a_step_before_its_tunnel() -> None:
    seen: list[tuple[str, str]] = []
    with ChaosServer(tls=server_context()) as server, ChaosProxy(user="a:hidden", tls=server_context()) as proxy:
        environ = {"HTTPS_PROXY": f"https://a:hidden@localhost:{proxy.port}"}
        transport = Transport(TlsPolicy(ca_file=str(CERTIFICATES / "authority.pem")), environ)
        origin = Origin("https", "127.0.0.1", server.port)
        with contextlib.closing(transport):
            transport.connect(origin, soon(), lambda stage, whom: seen.append((stage, whom)))
    assert [stage for stage, _ in seen] == ["name", "TCP", "TLS", "proxy", "TLS"]
    assert seen[0][1] == f"the proxy localhost:{proxy.port} (from HTTPS_PROXY)"
    assert seen[-1] == ("TLS", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "kind", "last"), [("nowhere.invalid", ConnectFailedError, "name"), ("127.0.0.1", TlsError, "TLS")]
)
def test_the_last_step_told_is_the_one_that_failed_and_nothing_is_left_open(
    name: str, kind: type[Exception], last: str
) -> None:
    seen: list[str] = []
    with ChaosServer(tls=server_context()) as server, contextlib.closing(Transport(TlsPolicy(), {})) as transport:
        before = open_files()
        with pytest.raises(kind):
            transport.connect(Origin("https", name, server.port), soon(), lambda stage, whom: seen.append(stage))
        assert eventually(lambda: open_files() <= before)

    assert seen[-1] == last
