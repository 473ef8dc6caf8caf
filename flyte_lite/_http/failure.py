"""What an exception of the layers below means for whoever made the call."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn, Optional

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
        raise out_of_time(exchange) from error
    if isinstance(error, errors.FlyteLiteError):
        raise error
    root = root_of(error)
    if isinstance(root, errors.FlyteLiteError):
        raise root
    if exchange.idle is not None and exchange.sent and isinstance(root, socket.timeout):
        raise no_byte(exchange) from error
    if isinstance(root, ssl.SSLCertVerificationError) or type(root).__name__ == "CertificateError":
        raise refusal(exchange.peer, root) from error
    through = "" if exchange.proxy is None else f", through {exchange.proxy}"
    if exchange.sent and not exchange.answered:
        if isinstance(root, ssl.SSLError) and "ALERT" in (root.reason or ""):
            # In TLS 1.3 a server looks at our certificate when we already think that all is well.
            raise refusal(exchange.peer, root) from error
        if isinstance(root, ConnectionError) and exchange.fresh:
            hint = (
                "one that wants a client certificate (ssl_credentials)"
                if exchange.secure
                else "a port that wants TLS (https://)"
            )
            raise errors.ConnectionLostError(
                f"the server hung up without an answer ({root}){through}; {hint} does that too"
            ) from error
    # Not ProxyError by itself: urllib3 1.26 calls every break of a connection so that goes through a proxy.
    if isinstance(error, (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)):
        if not exchange.sent:
            raise errors.ConnectFailedError(
                f"the connection broke before anything was sent{through}: {root}"
            ) from error
        raise errors.ConnectionLostError(f"the connection broke before a whole answer came{through}: {root}") from error
    raise error


def out_of_time(exchange: Exchange) -> errors.CallTimeoutError:
    """Its deadline passed."""
    what = "no whole answer" if exchange.sent else "no connection"
    return errors.CallTimeoutError(
        f"{what} within {exchange.deadline.seconds:g} s; give it more with timeout=",
        Code.DEADLINE_EXCEEDED,
        sent=exchange.sent,
    )


def no_byte(exchange: Exchange) -> errors.CallTimeoutError:
    """Nothing moved for as long as it may be idle."""
    return errors.CallTimeoutError(f"no byte for {exchange.idle:g} s", Code.DEADLINE_EXCEEDED, sent=exchange.sent)


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """It, and what it wraps: from its cause, or as `urllib3` does, in an attribute or an argument."""
    inner: Optional[BaseException] = error
    while inner is not None:
        yield inner
        wrapped = (inner.__cause__, getattr(inner, "reason", None), *inner.args)
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)


def root_of(error: BaseException) -> BaseException:
    """The innermost exception, which says more than its wrappers; but not the bare one of a timeout."""
    root = error
    for one in causes_of(error):
        if not isinstance(one, socket.timeout) or one is error:
            root = one
    return root
