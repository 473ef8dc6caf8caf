"""TLS on the devbox's port: its certificate, the handshake, and how a connection ends."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

from cheroot.errors import FatalSSLAlert
from cheroot.makefile import MakeFile, StreamReader

_log = logging.getLogger("flyte_lite.devbox")

# Seconds that a client gets for the handshake.
HANDSHAKE = 10.0
# Word for word what Go's server says.
PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


def server_context(
    certificate: Union[str, Path, None], private_key: Union[str, Path, None]
) -> Optional[ssl.SSLContext]:
    """What a server shows its callers; None, for plain http, without a certificate.

    Args:
        certificate: The PEM file of it, with those between it and its root.
        private_key: The PEM file of its key; None if that is in the same file.

    Raises:
        ValueError: They can't be used; the text says why.
    """
    if certificate is None:
        if private_key is not None:
            raise ValueError("a private key needs its certificate: give certificate= too")
        return None
    certificate = _readable("certificate", certificate)
    key = certificate if private_key is None else _readable("private key", private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = Connection
    try:
        context.load_cert_chain(certificate, key, _ask_nobody)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"the private key in {key} belongs to another certificate than {certificate}") from None
        where = certificate if certificate == key else f"{certificate} and {key}"
        said = error.reason or "OpenSSL does not take them"
        hint = "; where is the key? Give private_key= if it is in another file" if private_key is None else ""
        # Without the error itself: who knows what of a key OpenSSL shows one day.
        raise ValueError(f"no certificate and private key in PEM in {where} ({said}){hint}") from None
    return context


def _readable(what: str, file: Union[str, Path]) -> Path:
    path = Path(file).expanduser().absolute()
    try:
        path.read_bytes()
    except OSError as error:
        raise ValueError(f"the {what} {path} can't be read: {error.strerror}") from None
    return path


def _ask_nobody() -> NoReturn:
    # Without this, OpenSSL asks on the terminal and waits.
    raise ValueError("the private key is encrypted: the devbox asks for no password, so give one that is not")


class Connection(ssl.SSLSocket):
    """A connection of the server. One that is of no more use looks as it does without TLS: lost."""

    def recv_into(self, *args: Any) -> int:
        """Read into a buffer.

        Raises:
            ConnectionResetError: What came is no TLS any more, or its end.
            ssl.SSLWantReadError: It would have to wait, and may not.
        """
        with _lost():
            return super().recv_into(*args)

    def send(self, data: Any, flags: int = 0) -> int:
        """Write, and say how many bytes.

        Raises:
            ConnectionResetError: The client has left.
        """
        with _lost():
            return super().send(data, flags)


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        raise
    except ssl.SSLError as error:
        raise ConnectionResetError(errno.ECONNRESET, str(error)) from error


class Reader(StreamReader):
    """What comes in on a connection, decrypted."""

    def __init__(self, connection: ssl.SSLSocket, mode: str, size: int) -> None:
        super().__init__(connection, mode, size)
        self._connection = connection

    def has_data(self) -> bool:
        """Whether something has been received and not read; what OpenSSL holds does not show on the socket."""
        buffered: bool = super().has_data()  # type: ignore[no-untyped-call]
        return buffered or self._connection.pending() > 0


class Tls:
    """What cheroot calls an SSL adapter. Its own shakes hands where it accepts, so one silent client stops them all.

    Args:
        context: Of the server.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def bind(self, listener: socket.socket) -> socket.socket:
        """The socket to listen on: as it is, for what is accepted is wrapped."""
        return listener

    def wrap(self, connection: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """A connection that will speak TLS, and nothing for its WSGI environment. No byte goes either way yet.

        Raises:
            FatalSSLAlert: The client is gone already.
        """
        try:
            wrapped = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except OSError as error:
            raise FatalSSLAlert(*error.args) from error
        return wrapped, {}

    def makefile(self, connection: ssl.SSLSocket, mode: str, size: int) -> Any:
        """The file to read a connection by, or to write it."""
        return Reader(connection, mode, size) if "r" in mode else MakeFile(connection, mode, size)


def handshake(connection: socket.socket, seconds: float = HANDSHAKE) -> bool:
    """Begin TLS on a connection that speaks it; False if that failed, and the connection is of no use.

    Raises:
        OSError: The connection broke.
    """
    if not isinstance(connection, ssl.SSLSocket):
        return True
    before = connection.gettimeout()
    connection.settimeout(seconds)
    try:
        connection.do_handshake()
    except ssl.SSLError as error:
        _log.debug("no TLS with a client: %s", error)
        if error.reason == "HTTP_REQUEST":
            # Not by its own method, which would encrypt.
            socket.socket.sendall(connection, PLAIN_HTTP)
        return False
    connection.settimeout(before)
    return True


def say_goodbye(connection: socket.socket) -> None:
    """Tell the client, if it speaks TLS, that nothing was cut off: no byte follows. Takes no time."""
    if isinstance(connection, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(0)
            # It would also wait for the client's, if it could wait.
            connection.unwrap()
