"""What code that protoc generates for gRPC wants of a channel: four ways to make a method of a path. No I/O of its own.

    stub = RunServiceStub(channel)
    stub.GetRunDetails(request, timeout=5, metadata=[("x-team", "a")])

gRPC itself is not needed, and its errors do not come: a failed call raises the `CallError` of any other call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional, Union, cast

from flyte_lite._clock import Deadline, is_length
from flyte_lite._rpc.codec import PROTO
from flyte_lite._rpc.method import Method
from flyte_lite.errors import OptionError

if TYPE_CHECKING:
    from flyte_lite._rpc.call import Kind, Stream
    from flyte_lite._rpc.channel import Channel

DEFAULT_TIMEOUT = 30.0
"""Seconds of a call with one answer if nobody says otherwise; gRPC would wait for ever."""

Pairs = Sequence[tuple[str, Union[str, bytes]]]
_NO_SIDE_EFFECTS = 1  # google.protobuf.MethodOptions.IdempotencyLevel
# What gRPC's calls take besides, and why ours do not.
_REFUSED = {
    "credentials": "who calls is settled where the channel is made",
    "wait_for_ready": "a connection is made by the call itself, and tried again as its deadline allows",
    "compression": "it is settled where the channel is made",
}


class Stubs:
    """The part of a gRPC channel that generated code uses."""

    def unary_unary(
        self,
        method: str,
        request_serializer: Optional[Callable[[Any], bytes]] = None,
        response_deserializer: Optional[Callable[[bytes], Any]] = None,
        **_: Any,
    ) -> StubMethod:
        """One message there, one back.

        Args:
            method: `/package.Service/Method`.
            request_serializer: Message to bytes; None takes bytes.
            response_deserializer: Bytes to message; None gives bytes.
        """
        return StubMethod(self, "unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Optional[Callable[[Any], bytes]] = None,
        response_deserializer: Optional[Callable[[bytes], Any]] = None,
        **_: Any,
    ) -> StubMethod:
        """One message there, any number back; see `unary_unary`."""
        return StubMethod(self, "server_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Optional[Callable[[Any], bytes]] = None,
        response_deserializer: Optional[Callable[[bytes], Any]] = None,
        **_: Any,
    ) -> StubMethod:
        """Any number of messages there, one back; see `unary_unary`."""
        return StubMethod(self, "client_stream", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Optional[Callable[[Any], bytes]] = None,
        response_deserializer: Optional[Callable[[bytes], Any]] = None,
        **_: Any,
    ) -> StubMethod:
        """Any number of messages there, and then any number back; see `unary_unary`."""
        return StubMethod(self, "bidi_stream", method, request_serializer, response_deserializer)


class StubMethod:
    """A method of a stub: call it with a message, or with an iterable of messages where it takes several.

    Raises:
        OptionError: The channel writes messages as JSON, which code generated for gRPC can't.
    """

    def __init__(
        self,
        channel: Any,
        kind: Kind,
        path: str,
        serialize: Optional[Callable[[Any], bytes]],
        deserialize: Optional[Callable[[bytes], Any]],
    ) -> None:
        if channel._protocol.codec is not PROTO:
            raise OptionError(f"a stub of gRPC sends binary messages, and this channel {channel._protocol.codec.name}")
        self._channel: Channel = channel
        self._kind: Kind = kind
        self._method = _PathMethod(path, deserialize or bytes)
        self._serialize = serialize or bytes

    def __repr__(self) -> str:
        return f"StubMethod({self._method}, {self._kind})"

    def __call__(
        self, request: Any, timeout: Any = ..., metadata: Optional[Pairs] = None, **options: Any
    ) -> Union[Any, Stream[Any]]:
        """Make the call.

        Args:
            request: A message, or an iterable of messages.
            timeout: Seconds of the whole call. None, written out, has no end; without a word it is 30 s for one answer
                and no end for a stream, which ends after 60 s of silence.
            metadata: Pairs of a header and its value.

        Returns:
            The answer's message, or a `Stream` of them.

        Raises:
            OptionError: `timeout` is no length of time, or an option of gRPC's has no meaning here.
            ValueError: The metadata can't be sent as they are.
            CallError: It failed.
        """
        for name, value in options.items():
            if value:
                raise OptionError(f"{name} can't be given to a call: {_REFUSED.get(name, 'it is not known')}")
        single = self._kind in ("unary", "client_stream")
        seconds = (DEFAULT_TIMEOUT if single else None) if timeout is ... else timeout
        if seconds is not None and not is_length(seconds):
            raise OptionError(f"timeout is {seconds!r}; give seconds, or None for no end")
        deadline = Deadline(self._channel.clock, seconds, usual=timeout is ...)
        headers: dict[str, list[Union[str, bytes]]] = {}
        for name, value in metadata or ():
            headers.setdefault(name, []).append(value)
        make = getattr(self._channel, self._kind)
        result = make(self._method, self._messages(request), deadline=deadline, headers=headers)
        return result.message.value if single else result.through(_values)

    def _messages(self, request: Any) -> Any:
        if self._kind in ("unary", "server_stream"):
            return _Bytes(self._serialize(request))
        # A list can be sent again, should it not have been sent at all.
        packed = (_Bytes(self._serialize(message)) for message in cast("Iterable[Any]", request))
        return list(packed) if isinstance(request, (list, tuple)) else packed


class _Bytes:
    """A message as far as a channel needs it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def SerializeToString(self, deterministic: bool = False) -> bytes:
        return cast("bytes", self.value)

    def ByteSize(self) -> int:
        return len(self.value)


class _Answer:
    """Where a channel expects the class of an answer."""

    def __init__(self, path: str, deserialize: Callable[[bytes], Any]) -> None:
        self.full_name = f"answer of {path}"
        self._deserialize = deserialize

    @property
    def DESCRIPTOR(self) -> _Answer:
        return self

    def FromString(self, data: bytes) -> _Bytes:
        return _Bytes(self._deserialize(data))


class _PathMethod(Method[Any, Any]):
    """A method that is known by its path."""

    def __init__(self, path: str, deserialize: Callable[[bytes], Any]) -> None:
        self.path = path
        self.response = _Answer(path, deserialize)  # type: ignore[assignment]

    def __str__(self) -> str:
        service, _, name = self.path.lstrip("/").rpartition("/")
        return f"{service.rpartition('.')[2]}/{name}"

    @cached_property
    def has_no_side_effects(self) -> bool:
        """As the descriptor says that was loaded with the stub; False if none was."""
        from google.protobuf import descriptor_pool

        pool: Any = descriptor_pool.Default()
        try:
            found = pool.FindMethodByName(self.path.lstrip("/").replace("/", "."))
        except (KeyError, AttributeError):
            return False
        return bool(found.GetOptions().idempotency_level == _NO_SIDE_EFFECTS)

    @cached_property
    def safe(self) -> bool:
        """True if asking twice is as good as asking once."""
        return self.has_no_side_effects


def _values(stream: Any) -> Any:
    for message in stream:
        yield message.value
