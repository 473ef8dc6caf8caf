"""The RPC protocols over HTTP/1.1, seen from the server: Connect by POST and GET, Connect streams, gRPC-Web, gRPC.

They answer as connect-go does, quirks included. One object of a protocol serves one request: bytes in, messages out,
and back. Who is called with them, and what happens then, is not known here.
"""

from __future__ import annotations

from flyte_lite.devbox.protocols.connect import ConnectGet, ConnectStream, ConnectUnary
from flyte_lite.devbox.protocols.grpc import Grpc, GrpcWeb
from flyte_lite.devbox.protocols.incoming import Incoming
from flyte_lite.devbox.protocols.protocol import Answer, Headers, Protocol, refused

__all__ = ["Answer", "Headers", "Incoming", "Protocol", "accepted", "choose", "refused"]

_STREAMS: tuple[type[Protocol], ...] = (ConnectStream, GrpcWeb, Grpc)
_UNARY: tuple[type[Protocol], ...] = (ConnectUnary, GrpcWeb, Grpc)


def choose(incoming: Incoming, streams: bool) -> Protocol | None:
    """The protocol that a request is made in; None if there is none for its content type."""
    if incoming.method == "GET":
        return ConnectGet.read(incoming)
    for protocol in _STREAMS if streams else _UNARY:
        codec = protocol.types().get(incoming.content_type)
        if codec is not None:
            return protocol(incoming, codec)
    return None


def accepted(streams: bool) -> str:
    """Every content type that a POST may have, as `Accept-Post` lists them."""
    return ", ".join(sorted(type for protocol in (_STREAMS if streams else _UNARY) for type in protocol.types()))
