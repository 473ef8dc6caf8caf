"""A call and what comes of it: what interceptors see and hand on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, Protocol, Union

from flyte_lite._rpc.headers import Headers
from flyte_lite._rpc.method import Method, Res

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline

Kind = Literal["unary", "client_stream", "server_stream", "bidi_stream"]


class Call:
    """One call on its way down the interceptors. They may change its headers, messages and deadline.

    Attributes:
        method: What is called.
        kind: Whether one message goes there and back, or several.
        messages: What is sent: a sequence, or an iterator that can be read but once.
        headers: The metadata that is sent, by lower-case name.
        deadline: The end of everything, and who may end it sooner.
        safe: True if doing it twice is as good as once.
        idle: Seconds without a byte after which a stream ends; None waits as long as the deadline allows.
        resume: What is new in a message of a stream that was opened again, or None if nothing is; None: it is never
            opened again after its first message.
        attempts: How often it was asked so far.
        sent: True once any of them may have reached the server.
        refused: True once its credentials were refused, which is mended but once.
        bytes_sent: Of messages, in all attempts.
        bytes_received: The same of answers.
    """

    __slots__ = (
        "attempts",
        "bytes_received",
        "bytes_sent",
        "deadline",
        "headers",
        "idle",
        "kind",
        "messages",
        "method",
        "refused",
        "resume",
        "safe",
        "sent",
    )

    def __init__(
        self,
        method: Method[Any, Any],
        kind: Kind,
        messages: Iterable[Any],
        headers: Headers,
        deadline: Deadline,
        *,
        safe: bool = False,
        idle: Optional[float] = None,
        resume: Optional[Callable[[Any], Optional[Any]]] = None,
    ) -> None:
        self.method = method
        self.kind: Kind = kind
        self.messages = messages
        self.headers = headers
        self.deadline = deadline
        self.safe = safe
        self.idle = idle
        self.resume = resume
        self.attempts = 0
        self.sent = False
        self.refused = False
        self.bytes_sent = 0
        self.bytes_received = 0

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
    """Where the messages of a stream come from."""

    @property
    def headers(self) -> Headers:
        """Of the answer."""
        ...

    @property
    def trailers(self) -> Headers:
        """Empty until its end."""
        ...

    def close(self) -> None:
        """Give it up; from another thread too, which ends the reading of the first."""
        ...


class Stream(Generic[Res]):
    """The messages of an answer, as they come. Read it to its end, or close it.

        with channel.server_stream(method, request, deadline=deadline) as stream:
            for message in stream:
                ...

    The deadline goes on while they are read, and `next` raises what ends a call: a `CallError`.
    """

    __slots__ = ("_messages", "_source")

    def __init__(self, messages: Iterator[Res], source: Source) -> None:
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
        self._source.close()
        close = getattr(self._messages, "close", None)
        if close is not None:
            with contextlib.suppress(ValueError):  # another thread is in it, and on its way out
                close()

    def through(self, change: Callable[[Iterator[Res]], Iterator[Res]], source: Optional[Source] = None) -> Stream[Res]:
        """The same stream with its messages, errors and end passed through a generator function."""
        return Stream(change(self._messages), source or self._source)


Result = Union[Reply[Any], Stream[Any]]
Proceed = Callable[[Call], Result]
Interceptor = Callable[[Call, Proceed], Result]
"""`def interceptor(call, proceed): return proceed(call)`, with whatever it wants before, after and instead of that.

`proceed` returns when the message of a `Reply` is there or, for a `Stream`, its first message or its end, and raises
what went wrong by then; so retries, credentials and logs need not know which kind of call it is.
"""


def chain(interceptors: Sequence[Interceptor], last: Proceed) -> Proceed:
    """One function of all of them, the first outermost."""
    proceed = last
    for interceptor in reversed(interceptors):
        proceed = _around(interceptor, proceed)
    return proceed


def _around(interceptor: Interceptor, proceed: Proceed) -> Proceed:
    return lambda call: interceptor(call, proceed)
