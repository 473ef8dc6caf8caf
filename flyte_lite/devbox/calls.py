"""What the devbox was asked and what it answered, for tests that look at it afterwards.

Signatures of addresses are left out: whoever prints a call must not give them away.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite.devbox.faults import name_of
from flyte_lite.devbox.signature import hidden

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from flyte_lite.errors import Code

MOST_CALLS = 10_000
MOST_BYTES = 32 * 1024 * 1024
MOST_RESPONSES = 1_000


class ServedCall:
    """One call as the devbox saw it.

    Attributes:
        rpc: Such as "RunService/CreateRun".
        protocol: "connect", "connect GET", "grpc-web" or "grpc".
        codec: "proto" or "json".
        headers: By lower-case name.
        started: Seconds since 1970.
        finished: The same; None while it goes on.
        code: Of the error that it ended with; None for none.
        error: The text of that error.
        dropped: Whether the connection was closed without an answer, or without the end of one.
    """

    def __init__(self, rpc: str, protocol: str, codec: str, headers: Mapping[str, str]) -> None:
        self.rpc = rpc
        self.protocol = protocol
        self.codec = codec
        self.headers = dict(headers)
        self.started = time.time()
        self.finished: Optional[float] = None
        self.code: Optional[Code] = None
        self.error = ""
        self.dropped = False
        # As bytes: they take less room, their size is known, and nobody changes them.
        self._request: Optional[tuple[type[Message], bytes]] = None
        self._responses: deque[tuple[type[Message], bytes]] = deque()
        self._size = 0
        self._kept = False

    @property
    def request(self) -> Any:
        """The request; None if it could not be read."""
        return None if self._request is None else self._request[0].FromString(self._request[1])

    @property
    def response(self) -> Any:
        """The answer, or a stream's last message so far; None if there is none."""
        return self.responses[-1] if self._responses else None

    @property
    def responses(self) -> list[Any]:
        """Everything that was answered so far: the last thousand messages of a stream, or the one answer."""
        return [kind.FromString(data) for kind, data in self._responses.copy()]

    def __repr__(self) -> str:
        outcome = "dropped" if self.dropped else self.code.value if self.code else "ok" if self.finished else "going on"
        return f"<{self.rpc} by {self.protocol} in {self.codec}: {outcome}>"


class Calls:
    """The calls that a devbox has served, oldest first; those of long ago are forgotten.

        box.calls.of("RunService/CreateRun")[-1].request.run_id.name

    Args:
        known: The names of the RPCs that are served.
        calls: How many are kept at most; the oldest go first.
        size: How many bytes of messages, at most.
        responses: How many messages of one stream.
    """

    def __init__(
        self,
        known: Collection[str],
        calls: int = MOST_CALLS,
        size: int = MOST_BYTES,
        responses: int = MOST_RESPONSES,
    ) -> None:
        self._known = known
        self._most_calls = calls
        self._most_bytes = size
        self._most_responses = responses
        self._lock = threading.Lock()
        self._kept: deque[ServedCall] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[ServedCall]:
        """Those that are kept now."""
        with self._lock:
            return iter(list(self._kept))

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def __getitem__(self, index: int) -> ServedCall:
        """One of them; -1 is the newest."""
        with self._lock:
            return self._kept[index]

    def of(self, rpc: str) -> list[ServedCall]:
        """The calls of one RPC.

        Args:
            rpc: Service and method, such as "RunService/CreateRun".

        Raises:
            ValueError: There is no such RPC here.
        """
        name = name_of(rpc, self._known)
        return [call for call in self if call.rpc == name]

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            for call in self._kept:
                call._kept = False
            self._kept.clear()
            self._bytes = 0

    def begin(self, call: ServedCall) -> None:
        """Keep a call from now on."""
        with self._lock:
            call._kept = True
            self._kept.append(call)
            self._trim()

    def asked(self, call: ServedCall, request: Message) -> None:
        """Keep its request."""
        data = hidden(request.SerializeToString())
        with self._lock:
            call._request = (type(request), data)
            self._grow(call, len(data))

    def answered(self, call: ServedCall, response: Message, encoded: Optional[bytes] = None) -> None:
        """Keep one of its answers.

        Args:
            call: The call.
            response: The answer.
            encoded: Its binary form, if that is known.
        """
        data = hidden(response.SerializeToString() if encoded is None else encoded)
        with self._lock:
            call._responses.append((type(response), data))
            gone = call._responses.popleft()[1] if len(call._responses) > self._most_responses else b""
            self._grow(call, len(data) - len(gone))

    def _grow(self, call: ServedCall, size: int) -> None:
        call._size += size
        # One that is forgotten does not count, however long it goes on.
        if call._kept:
            self._bytes += size
            self._trim()

    def _trim(self) -> None:
        while len(self._kept) > self._most_calls or (self._bytes > self._most_bytes and len(self._kept) > 1):
            gone = self._kept.popleft()
            gone._kept = False
            self._bytes -= gone._size
