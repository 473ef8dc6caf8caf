"""A devbox, and real proxies before it."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from programs import needed

from flyte_lite.devbox import Devbox

sys.path.append(str(Path(__file__).parent.parent / "chaos"))

from chaos_proxy import relay
from chaos_server import CERTIFICATES, ChaosServer, Peer, server_context

USER, PASSWORD = "me", "h1dden-word"
AUTHORITY = str(CERTIFICATES / "authority.pem")
HERE = "127.0.0.1"


@contextlib.contextmanager
def running(command: Callable[[int], list[str]]) -> Iterator[int]:
    """The port of a program that listens on the one that `command` was told."""
    for _ in range(5):
        with socket.socket() as free:
            free.bind((HERE, 0))
            port: int = free.getsockname()[1]
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(command(port), stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            try:
                if _listens(process, port):
                    yield port
                    return
            finally:
                process.terminate()
                process.wait(10)
            said.seek(0)
            problem = said.read().decode("utf-8", "replace")
    raise AssertionError(f"{command(port)[0]} does not listen: {problem}")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HERE, port), 1):
            return process.poll() is None
        time.sleep(0.05)
    return False


@pytest.fixture(scope="session")
def box() -> Iterator[Devbox]:
    with Devbox() as box:

        @box.task(name="slow.talk", version="v1")
        def talk(name: str, silent: float = 0.0) -> str:
            print(f"hello {name}", flush=True)
            time.sleep(silent)
            print(f"goodbye {name}", flush=True)
            return f"it was {name}"

        yield box


def port_of(box: Devbox) -> int:
    return int(box.endpoint.rpartition(":")[2])


@pytest.fixture(scope="session")
def secure(box: Devbox) -> Iterator[str]:
    """The devbox by https."""

    def pass_through(peer: Peer) -> None:
        with socket.create_connection((HERE, port_of(box))) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            relay(upstream, peer)

    with ChaosServer(pass_through, tls=server_context()) as server:
        yield f"https://{HERE}:{server.port}"


@pytest.fixture(scope="session")
def nobody() -> Iterator[str]:
    """Where a connection is refused: a port that is held and not listened on."""
    with socket.socket() as held:
        held.bind((HERE, 0))
        yield f"{HERE}:{held.getsockname()[1]}"


@pytest.fixture(scope="session")
def silent() -> Iterator[str]:
    """Where connections are taken, and nothing is ever said."""
    with ChaosServer(Peer.silence) as server:
        yield f"{HERE}:{server.port}"


@pytest.fixture(scope="session")
def tinyproxy(secure: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy with a password, which opens tunnels to the devbox by https and nowhere else."""
    found, folder = needed("tinyproxy"), tmp_path_factory.mktemp("tinyproxy")

    def command(port: int) -> list[str]:
        (folder / "conf").write_text(
            f"Port {port}\nListen {HERE}\nTimeout 60\nMaxClients 50\nBasicAuth {USER} {PASSWORD}\n"
            f'LogFile "{folder / "log"}"\nConnectPort {secure.rpartition(":")[2]}\n'
        )
        return [str(found), "-d", "-c", str(folder / "conf")]

    with running(command) as port:
        yield f"{HERE}:{port}"


class Interceptor(NamedTuple):
    """A proxy that looks into TLS."""

    place: str
    authority: str


@pytest.fixture(scope="session")
def mitmproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    """One that opens TLS, under an authority of its own, and holds answers back until they are whole."""
    found, folder = needed("mitmdump"), tmp_path_factory.mktemp("mitmproxy")
    options = [f"confdir={folder}", f"proxyauth={USER}:{PASSWORD}", f"ssl_verify_upstream_trusted_ca={AUTHORITY}"]

    def command(port: int) -> list[str]:
        settings = [word for option in options for word in ("--set", option)]
        return [str(found), "-q", "--listen-host", HERE, "--listen-port", str(port), *settings]

    with running(command) as port:
        yield Interceptor(f"{HERE}:{port}", str(folder / "mitmproxy-ca-cert.pem"))


_NGINX = """
user {user}; daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 200; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_buffering on;
  server {{
    listen {here}:{port};
    location /flyte/ {{
      proxy_pass http://{box}/; proxy_http_version 1.1; proxy_read_timeout 2s; proxy_set_header Host $http_host;
    }}
    location /usual/ {{ proxy_pass http://{box}/; }}
    location /gone/ {{ proxy_pass http://{nobody}/; }}
    location /mute/ {{ proxy_pass http://{silent}/; proxy_read_timeout 1s; }}
    location / {{ return 404; }}
    location /login/ {{ return 302 https://login.example/?to=$request_uri; }}
  }}
  server {{
    listen {here}:{secure} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    location / {{ proxy_pass http://{box}/; proxy_set_header Host $http_host; }}
    location /usual/ {{ proxy_pass http://{box}/; }}
  }}
}}
"""


class Nginx(NamedTuple):
    """Where it is by http, and by https."""

    plain: str
    secure: str


@pytest.fixture(scope="session")
def nginx(box: Devbox, nobody: str, silent: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A reverse proxy before the devbox, with a path prefix; `usual` is as it comes."""
    found, folder = needed("nginx"), tmp_path_factory.mktemp("nginx")
    with socket.socket() as free:
        free.bind((HERE, 0))
        secure: int = free.getsockname()[1]

    def command(port: int) -> list[str]:
        (folder / "conf").write_text(
            _NGINX.format(
                user=pwd.getpwuid(os.getuid()).pw_name,  # who is root becomes somebody else, and may not look in here
                folder=folder,
                here=HERE,
                port=port,
                secure=secure,
                certificate=CERTIFICATES / "server.pem",
                box=f"{HERE}:{port_of(box)}",
                nobody=nobody,
                silent=silent,
            )
        )
        return [str(found), "-p", str(folder), "-c", str(folder / "conf")]

    with running(command) as port:
        yield Nginx(f"{HERE}:{port}", f"{HERE}:{secure}")
