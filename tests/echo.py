"""A service that only tests know, its bytes by hand, and a network that answers from a list.

The bytes are written from the specifications and never by our own encoder, so that it can't say what is right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional, Union

from fakes import FakeClock
from google.protobuf import descriptor_pb2, descriptor_pool

from flyte_lite._clock import Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.transport import Answer
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError
from flyte_lite.idl.flyteidl2.common import identifier_pb2

Word = identifier_pb2.RunIdentifier


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="echo.proto", package="test.v1")
    file.message_type.add(name="Word")
    service = file.service.add(name="Echo")
    for name in ("Read", "Write", "Watch", "Tell", "Chat"):
        method = service.method.add(name=name, input_type=".test.v1.Word", output_type=".test.v1.Word")
        method.client_streaming = name in ("Tell", "Chat")
        method.server_streaming = name in ("Watch", "Chat")
        if name == "Read":
            method.options.idempotency_level = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())

    class File:
        DESCRIPTOR = pool.FindFileByName("echo.proto")

    return File


_FILE = _file()


def _method(name: str, safe: Optional[bool] = None) -> Method[Any, Any]:
    return Method(_FILE, "Echo", name, safe=safe, classes=lambda _: Word)


READ = _method("Read")
WRITE = _method("Write")
WATCH = _method("Watch", safe=True)
TELL = _method("Tell")
CHAT = _method("Chat")


def word(text: str) -> Any:
    return Word(name=text)


def word_bytes(text: str) -> bytes:
    """Field 4, length, text; field 4 is `name`."""
    data = text.encode()
    return b"\x22" + bytes([len(data)]) + data if data else b""


def frame(flags: int, data: bytes) -> bytes:
    """One envelope."""
    return bytes([flags]) + len(data).to_bytes(4, "big") + data


def say(*texts: str) -> bytes:
    """Messages in envelopes."""
    return b"".join(frame(0, word_bytes(text)) for text in texts)


END = frame(2, b"{}")
"""The good end of a stream of Connect."""
OK_TRAILERS = frame(0x80, b"grpc-status: 0\r\n")
"""The same of gRPC-Web."""
STREAM = {"content-type": ["application/connect+proto"]}
WEB = {"content-type": ["application/grpc-web+proto"]}

Piece = Union[bytes, Exception, Callable[[], Optional[bytes]]]


class FakeAnswer:
    """What `Transport.open` returns: pieces one after the other, b"" for ever after them.

    Args:
        pieces: Bytes, an exception to raise, or a function that gives bytes; it runs when its turn comes.
        behind: What `finish` still finds.
    """

    def __init__(
        self, *pieces: Piece, status: int = 200, headers: Optional[dict[str, list[str]]] = None, behind: bytes = b""
    ) -> None:
        self.status = status
        self.reason = ""
        self.headers = dict(STREAM if headers is None else headers)
        self.pieces = list(pieces)
        self.behind = behind
        self.closed = False
        self.finished = False

    def read_some(self) -> bytes:
        if self.closed or not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece if isinstance(piece, bytes) else piece() or b""

    def read(self, limit: int) -> bytes:
        return b"".join(iter(self.read_some, b""))

    def finish(self, seconds: float = 0.25) -> bytes:
        self.finished = True
        return self.behind

    def close(self) -> None:
        self.closed = True


Outcome = Union[FakeAnswer, Answer, Exception, Callable[[], Any]]


class Asked:
    """One request as the transport got it."""

    def __init__(
        self, verb: str, target: str, headers: Mapping[str, Any], body: Any, deadline: Deadline, idle: Any
    ) -> None:
        self.verb = verb
        self.target = target
        self.headers = {
            name.lower(): [value] if isinstance(value, str) else list(value) for name, value in headers.items()
        }
        assert len(self.headers) == len(headers), "each name once"
        self.body = body
        self.deadline = deadline
        self.idle = idle


class FakeNetwork:
    """A transport with one outcome after the other. A piece of a request that is no bytes is kept in pieces."""

    def __init__(self, clock: FakeClock, *outcomes: Outcome) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.asked: list[Asked] = []

    def exchange(
        self,
        verb: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, Any],
        body: Any,
        deadline: Deadline,
        limit: int,
    ) -> Any:
        self.asked.append(Asked(verb, target, headers, body, deadline, None))
        return self._outcome()

    def open(
        self,
        verb: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, Any],
        body: Any,
        deadline: Deadline,
        *,
        idle: Optional[float] = None,
    ) -> Any:
        asked = Asked(verb, target, headers, body if isinstance(body, bytes) else [], deadline, idle)
        self.asked.append(asked)
        if isinstance(body, Iterator):
            asked.body.extend(body)
        return self._outcome()

    def _outcome(self) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome() if callable(outcome) else outcome


class Bench:
    """A channel over a fake network; waits are 1, 2, 4 ... seconds of a fake clock."""

    def __init__(self, *outcomes: Outcome, **options: Any) -> None:
        self.clock = FakeClock()
        self.network = FakeNetwork(self.clock, *outcomes)
        self.cancel = Cancel()
        options.setdefault("retry", RetryPolicy(retries=3, base=2.0, cap=100.0))
        options.setdefault("draw", lambda: 0.5)
        self.channel = Channel(
            self.network,  # type: ignore[arg-type]
            Origin("https", "echo.example", 443),
            clock=self.clock,
            **options,
        )

    def deadline(self, seconds: Optional[float] = 100) -> Deadline:
        return Deadline(self.clock, seconds, self.cancel)

    def unary(self, method: Method[Any, Any] = READ, seconds: Optional[float] = 100, **options: Any) -> Any:
        return self.channel.unary(method, word("a"), deadline=self.deadline(seconds), **options)

    def watch(self, method: Method[Any, Any] = WATCH, seconds: Optional[float] = 100, **options: Any) -> Any:
        return self.channel.server_stream(method, word("a"), deadline=self.deadline(seconds), **options)

    def tell(self, words: Iterable[Any], seconds: Optional[float] = 100, **options: Any) -> Any:
        return self.channel.client_stream(TELL, words, deadline=self.deadline(seconds), **options)

    def chat(self, words: Iterable[Any], seconds: Optional[float] = 100, **options: Any) -> Any:
        return self.channel.bidi_stream(CHAT, words, deadline=self.deadline(seconds), **options)


def names(messages: Iterable[Any]) -> list[str]:
    return [message.name for message in messages]


def reading(stream: Any, into: list[Any]) -> threading.Thread:
    """Read a stream on another thread, started; what ends it comes last."""

    def read() -> None:
        try:
            into.extend(message.name for message in stream)
        except CallError as error:
            into.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def values(headers: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return list(headers.get(name, ()))
