"""gRPC's own options of a channel, in our terms; what has no meaning over HTTP is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn, Optional

from flyte_lite._rpc.call import Call, Interceptor, Proceed, Result
from flyte_lite.errors import Code, OptionError, RpcError

_UNLIMITED = 1 << 40
_NO_SHARING = "connections are pooled by themselves, up to one a thread, and dropped when they were idle for 45 s"
_NO_HTTP2 = "it is about HTTP/2, and this is HTTP/1.1"
_NO_NAMES = "one address is asked, that of the endpoint, and the operating system finds it"
_NO_SERVER = "it is about servers"
# Options of gRPC that can't be had, and why; those that can are in `_READERS`.
_REFUSED = {
    "grpc.service_config": "rpc_retries= says how often a call is repeated; which calls are is settled",
    "grpc.lb_policy_name": _NO_NAMES,
    "grpc.default_authority": "a server is asked by the name in the endpoint, which its certificate must have",
    "grpc.ssl_target_name_override": "a server is asked by the name in the endpoint, which its certificate must have",
    "grpc.max_metadata_size": "100 KB of headers are taken, as by HTTP clients in general",
    "grpc.absolute_max_metadata_size": "100 KB of headers are taken, as by HTTP clients in general",
    "grpc.use_local_subchannel_pool": _NO_SHARING,
    "grpc.channel_pool_domain": _NO_SHARING,
    "grpc.client_idle_timeout_ms": _NO_SHARING,
    "grpc.max_connection_idle_ms": _NO_SERVER,
    "grpc.max_connection_age_ms": _NO_SERVER,
    "grpc.max_connection_age_grace_ms": _NO_SERVER,
    "grpc.max_concurrent_streams": _NO_HTTP2,
    "grpc.initial_reconnect_backoff_ms": "a connection is made when a call needs one; rpc_retries= says how often",
    "grpc.min_reconnect_backoff_ms": "a connection is made when a call needs one; rpc_retries= says how often",
    "grpc.max_reconnect_backoff_ms": "a connection is made when a call needs one; rpc_retries= says how often",
    "grpc.per_rpc_retry_buffer_size": "messages are kept by whoever gives them, and are not copied",
    "grpc.so_reuseport": _NO_SERVER,
}
_REFUSED_FAMILIES = {
    "grpc.http2.": _NO_HTTP2,
    "grpc.dns_": _NO_NAMES,
    "grpc.xds_": _NO_NAMES,
    "grpc.grpclb_": _NO_NAMES,
    "grpc.experimental.": "it is an experiment of gRPC's",
    "grpc.census": "interceptors and the logger flyte_lite tell of calls",
}
_COMPRESSIONS = {0: "identity", 1: "deflate", 2: "gzip"}


class GrpcOptions(NamedTuple):
    """What pairs of gRPC's amount to.

    Attributes:
        limit: Most bytes of a message that is received; None leaves it.
        send_limit: Most bytes of one that is sent; None is no limit.
        agent: What stands before our name in `User-Agent`.
        retries: How often a call is repeated; None leaves it.
        compression: As `create_channel` takes it; None leaves it.
        proxy: URL of an HTTP proxy; "" is none at all, None leaves it to the environment.
        keepalive: Seconds of silence after which the kernel probes a connection; None leaves it to the kernel.
        keepalive_timeout: Seconds after which a connection is given up that does not answer.
    """

    limit: Optional[int] = None
    send_limit: Optional[int] = None
    agent: str = ""
    retries: Optional[int] = None
    compression: Any = None
    proxy: Optional[str] = None
    keepalive: Optional[float] = None
    keepalive_timeout: Optional[float] = None

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, Any]]) -> GrpcOptions:
        """Raises: OptionError: One is not known, has no meaning over HTTP, or has a value that is none."""
        found = cls()
        try:
            listed = [(name, value) for name, value in pairs]
        except (TypeError, ValueError):
            raise OptionError("grpc_options is a list of pairs of a name and a value") from None
        for name, value in listed:
            known = _READERS.get(name)
            if known is None:
                _refuse(name)
            found = known(found, name, value)
        return found


def _refuse(name: str) -> NoReturn:
    reason = _REFUSED.get(name) or next(
        (why for family, why in _REFUSED_FAMILIES.items() if str(name).startswith(family)),
        "it is not known; known are " + ", ".join(sorted(_READERS)),
    )
    raise OptionError(f"the gRPC option {name} can't be had here: {reason}")


def _number(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise OptionError(f"the gRPC option {name} is {value!r}; give a number of {least} or more")
    return int(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or not value.isascii():
        raise OptionError(f"the gRPC option {name} is {value!r}; give text")
    return value


def _bytes(name: str, value: Any) -> int:
    size = _number(name, value, -1)
    return _UNLIMITED if size < 0 else size


def _read_without_calls(found: GrpcOptions, name: str, value: Any) -> GrpcOptions:
    _number(name, value, 0)
    return found  # the kernel probes idle connections as well, which costs a server next to nothing


_READERS: dict[str, Any] = {
    "grpc.max_receive_message_length": lambda o, n, v: o._replace(limit=_bytes(n, v)),
    "grpc.max_send_message_length": lambda o, n, v: o._replace(send_limit=_bytes(n, v)),
    "grpc.max_message_length": lambda o, n, v: o._replace(limit=_bytes(n, v)),
    "grpc.primary_user_agent": lambda o, n, v: o._replace(agent=_text(n, v)),
    "grpc.secondary_user_agent": lambda o, n, v: o._replace(agent=_text(n, v)),
    "grpc.enable_retries": lambda o, n, v: o._replace(retries=None if _number(n, v, 0) else 0),
    "grpc.default_compression_algorithm": lambda o, n, v: o._replace(compression=_number(n, v, 0)),
    "grpc.http_proxy": lambda o, n, v: o._replace(proxy=_text(n, v)),
    "grpc.enable_http_proxy": lambda o, n, v: o if _number(n, v, 0) else o._replace(proxy=""),
    "grpc.keepalive_time_ms": lambda o, n, v: o._replace(keepalive=_number(n, v, 1) / 1000),
    "grpc.keepalive_permit_without_calls": _read_without_calls,
    "grpc.keepalive_timeout_ms": lambda o, n, v: o._replace(keepalive_timeout=_number(n, v, 1) / 1000),
}


def compression_of(value: Any) -> Optional[str]:
    """The name of a compression: a name, one of gRPC's, or None.

    Raises:
        OptionError: It is none, or one that servers do not take. Whether a name is known, the protocol says.
    """
    if value is None or value is False:
        return None
    number = getattr(value, "value", value)
    if isinstance(number, int):
        if number not in _COMPRESSIONS:
            raise OptionError(f"compression is {value!r}; gRPC's are NoCompression (0), Deflate (1) and Gzip (2)")
        value = _COMPRESSIONS[number]
    if not isinstance(value, str):
        raise OptionError(f"compression is {type(value).__name__}; give a name such as 'gzip', or one of gRPC's")
    if value.lower() == "deflate":
        raise OptionError("compression is deflate, which servers that speak Connect do not take; use gzip")
    return None if value.lower() in ("identity", "none") else value.lower()


def limit_sent(most: int) -> Interceptor:
    """Refuse to send a message of more bytes, before anything of it leaves."""

    def check(message: Any, sent: bool) -> Any:
        size = message.ByteSize()
        if size > most:
            raise RpcError(
                f"a message of {size} bytes is over the limit of {most} (grpc.max_send_message_length)",
                Code.RESOURCE_EXHAUSTED,
                sent=sent,
            )
        return message

    def each(messages: Iterable[Any]) -> Iterator[Any]:
        for message in messages:
            yield check(message, sent=True)  # those before it are on their way

    def limit(call: Call, proceed: Proceed) -> Result:
        if call.repeatable:
            for message in call.messages:
                check(message, sent=False)
        else:
            call.messages = each(call.messages)
        return proceed(call)

    return limit
