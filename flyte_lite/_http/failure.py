"""What an exception of the layers below means for whoever made the call."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Any, NoReturn, Union

import urllib3

from flyte_lite import errors
from flyte_lite._http.tls import refusal
from flyte_lite.errors import Code

if TYPE_CHECKING:
    from flyte_lite._http.exchange import Exchange


def explain(error: Exception, exchange: Exchange) -> NoReturn:
    """Raise what `error` means.

    Our own flags come first: after a cancel or a deadline the exception is whatever the closing socket made of it.
    """
    if exchange.aborted or exchange.deadline.canceled:
        raise errors.CanceledError("the call was canceled", Code.CANCELED, sent=exchange.sent) from error
    if exchange.deadline.expired:
        what = "no whole answer" if exchange.sent else "no connection"
        raise errors.CallTimeoutError(
            f"{what} within {exchange.deadline.seconds:g} s; give it more with timeout=",
            Code.DEADLINE_EXCEEDED,
            sent=exchange.sent,
        ) from error
    if isinstance(error, errors.FlyteLiteError):
        raise error
    root = _root(error)
    if isinstance(root, errors.FlyteLiteError):
        raise root
    if exchange.idle is not None and exchange.sent and isinstance(root, socket.timeout):
        raise errors.CallTimeoutError(f"no byte for {exchange.idle:g} s", Code.DEADLINE_EXCEEDED) from error
    if isinstance(root, ssl.SSLCertVerificationError) or type(root).__name__ == "CertificateError":
        raise refusal("the server", root) from error
    if exchange.sent and not exchange.answered:
        if isinstance(root, ssl.SSLError) and "ALERT" in (root.reason or ""):
            # In TLS 1.3 a server looks at our certificate when we already think that all is well.
            raise refusal("the server", root) from error
        if isinstance(root, ConnectionError) and exchange.fresh:
            hint = "one that wants a client certificate" if exchange.secure else "a port that wants TLS (https://)"
            raise errors.ConnectionLostError(
                f"the server hung up without an answer ({root}); {hint} does that too"
            ) from error
    # Not ProxyError by itself: urllib3 1.26 calls every break of a connection so that goes through a proxy.
    if isinstance(error, (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)):
        if not exchange.sent:
            raise errors.ConnectFailedError(f"the connection broke before anything was sent: {root}") from error
        raise errors.ConnectionLostError(f"the connection broke before a whole answer came: {root}") from error
    raise error


def _root(error: BaseException) -> Union[BaseException, Any]:
    """The exception that urllib3 wrapped, which says more than its wrapper."""
    while True:
        inner: Any = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None or isinstance(inner, socket.timeout):
            return error
        error = inner
