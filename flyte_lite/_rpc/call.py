"""A call and what comes of it: what interceptors see and hand on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, Protocol, Union

from flyte_lite._rpc.headers import Headers, Metadata, checked
from flyte_lite._rpc.method import Method, Res

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline

Kind = Literal["unary", "client_stream", "server_stream", "bidi_stream"]


class Call:
    """One call on its way down the interceptors. They may change its headers, messages and deadline.

    Args:
        messages: What is sent: a list or a tuple, or whatever can be gone through but once.
        metadata: Sent along; checked here.

    Attributes:
        method: What is called.
        kind: Whether one message goes there and back, or several.
        headers: The metadata, by lower-case name.
        deadline: The end of everything, and who may end it sooner.
        safe: True if doing it twice is as good as once.
        idle: Seconds without a byte after which a stream ends; None waits as long as the deadline allows.
        resume: See `Channel.server_stream`.
        attempts: How often it was asked so far.
        sent: True once any of them may have reached the server.
        refused: True once its credentials were refused, which is mended but once.
        bytes_sent: Of messages, in all attempts.
        bytes_received: The same of answers.

    Raises:
        ValueError: Something of the metadata can't be sent as it is.
    """

    def __init__(
        self,
        method: Method[Any, Any],
        kind: Kind,
        messages: Iterable[Any],
        deadline: Deadline,
        metadata: Optional[Metadata],
    ) -> None:
        self.method = method
        self.kind: Kind = kind
        self.messages = messages
        self.headers: Headers = checked(metadata) if metadata else {}
        self.deadline = deadline
        self.safe = False
        self.idle: Optional[float] = None
        self.resume: Optional[Callable[[Any], Optional[Any]]] = None
        self.attempts = self.bytes_sent = self.bytes_received = 0
        self.sent = self.refused = False

    @property
    def repeatable(self) -> bool:
        """True if its messages can be sent once more."""
        return isinstance(self.messages, (list, tuple))


class Reply(Generic[Res]):
    """What a call with one answer brought.

    Attributes:
        message: The answer.
        headers: By lower-case name, a list of values each.
        trailers: The same of what came behind the message.
        attempts: How often it was asked; more than 1 means that an earlier request may have taken effect too.
    """

    __slots__ = ("attempts", "headers", "message", "trailers")

    def __init__(self, message: Res, headers: Headers, trailers: Headers, attempts: int = 1) -> None:
        self.message = message
        self.headers = headers
        self.trailers = trailers
        self.attempts = attempts


class Source(Protocol):
    """Where the messages of a stream come from: what a `Stream` has, but for the messages."""

    @property
    def headers(self) -> Headers: ...
    @property
    def trailers(self) -> Headers: ...
    def close(self) -> None: ...


class Stream(Generic[Res]):
    """The messages of an answer, as they come. Read it to its end, or close it.

        with channel.server_stream(method, request, deadline=deadline) as stream:
            for message in stream:
                ...

    The deadline goes on while they are read, and `next` raises what ends a call: a `CallError`.

    Attributes:
        closed: True once `close` was called.
    """

    def __init__(self, messages: Iterator[Res], source: Source) -> None:
        self.closed = False
        self._messages = messages
        self._source = source

    def __iter__(self) -> Iterator[Res]:
        # Not self: a loop then asks the generator itself, which is the half of what a small message costs.
        return self._messages

    def __next__(self) -> Res:
        return next(self._messages)

    def __enter__(self) -> Stream[Res]:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def headers(self) -> Headers:
        """By lower-case name, a list of values each."""
        return self._source.headers

    @property
    def trailers(self) -> Headers:
        """The same of what came behind the last message; empty until then."""
        return self._source.trailers

    def close(self) -> None:
        """Drop the connection, unless all has come; nothing is yielded any more. From another thread it ends `next`."""
        self.closed = True
        self._source.close()
        if isinstance(self._messages, Generator):
            with contextlib.suppress(ValueError):  # another thread is in it, and on its way out
                self._messages.close()

    def through(self, change: Callable[[Stream[Res]], Iterator[Res]]) -> Stream[Res]:
        """The same stream with its messages, errors and end passed through a generator function."""
        return Stream(change(self), self)

    def become(self, other: Result) -> None:
        """Go on with another stream of the same kind, which was opened in place of this one."""
        assert isinstance(other, Stream)
        self._messages, self._source = other._messages, other
        if self.closed:
            other.close()


Result = Union[Reply[Any], Stream[Any]]
Proceed = Callable[[Call], Result]
Interceptor = Callable[[Call, Proceed], Result]
"""`def interceptor(call, proceed): return proceed(call)`, with whatever it wants before, after and instead of that.

`proceed` returns when the message of a `Reply` is there or, for a `Stream`, its first message or its end, and raises
what went wrong by then; so retries, credentials and logs need not know which kind of call it is.
"""


def chain(interceptors: Sequence[Interceptor], last: Proceed) -> Proceed:
    """One function of all of them, the first outermost."""
    for interceptor in reversed(interceptors):
        last = _around(interceptor, last)
    return last


def _around(interceptor: Interceptor, proceed: Proceed) -> Proceed:
    return lambda call: interceptor(call, proceed)
