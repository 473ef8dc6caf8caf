"""Scripted faults: what a test wants to go wrong, as data.

    box.faults.on("RunService/GetRunDetails").fail("unavailable", times=2)
    box.faults.on("RunService/CreateRun").lose_answer(times=1)

What lies below HTTP is not to be had here: for slow and broken networks put a proxy between.
"""

from __future__ import annotations

import difflib
import itertools
import threading
from collections.abc import Collection, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.errors import CallError, Code

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from flyte_lite.devbox.services import Rpc

_CODES = {code.value: code for code in Code}


class Fault:
    """One thing that goes wrong.

    Attributes:
        rpc: Such as "RunService/GetRunDetails".
        kind: "fail", "delay", "drop", "lose_answer", "end_after" or "skip_messages".
        times: How many calls it is still to meet; None is every one.
        met: How many it has met.
        seconds: Of a delay.
        code: Of a failure; None for an end without one.
        message: Of a failure.
        after: How many messages of a stream go through before it.
        count: How many messages are skipped; None is all that follow.
    """

    def __init__(
        self,
        rpc: str,
        kind: str,
        times: Optional[int],
        *,
        seconds: float = 0.0,
        code: Optional[Code] = None,
        message: str = "",
        after: int = 0,
        count: Optional[int] = None,
    ) -> None:
        if times is not None and times < 1:
            raise ValueError(f"times is 1 or more, or None for every call, not {times}")
        self.rpc = rpc
        self.kind = kind
        self.times = times
        self.met = 0
        self.seconds = seconds
        self.code = code
        self.message = message
        self.after = after
        self.count = count

    def covers(self, number: int) -> bool:
        """Whether it skips that message of a stream, counted from 0."""
        return number >= self.after and (self.count is None or number < self.after + self.count)

    def __repr__(self) -> str:
        left = "every call" if self.times is None else f"{self.times} more"
        what = f" {self.code.value}" if self.code else ""
        return f"<{self.kind}{what} on {self.rpc}: {left}, met {self.met}>"


class Plan(NamedTuple):
    """What one call is to meet.

    Attributes:
        delay: Seconds before anything else.
        ending: The fault that takes the place of the answer, if any: "fail", "drop" or "lose_answer".
        cut: After how many messages a stream ends, and how.
        gap: Which messages of a stream are lost.
    """

    delay: float = 0.0
    ending: Optional[Fault] = None
    cut: Optional[Fault] = None
    gap: Optional[Fault] = None

    def refuse(self) -> None:
        """Keep the call from being carried out, if that is planned.

        Raises:
            CallError: It fails.
            ConnectionDropped: It is dropped.
        """
        if self.ending is not None and self.ending.kind == "drop":
            raise ConnectionDropped("a fault that was asked for")
        if self.ending is not None and self.ending.kind == "fail":
            raise _failure(self.ending)

    def lose(self) -> None:
        """Keep the answer from being sent, if that is planned.

        Raises:
            ConnectionDropped: It is lost.
        """
        if self.ending is not None and self.ending.kind == "lose_answer":
            raise ConnectionDropped("a fault that was asked for")

    def through(self, messages: Iterator[Message]) -> Iterator[Message]:
        """Those messages of a stream that are to get through.

        Raises:
            CallError: The stream ends with an error.
            ConnectionDropped: What it answers is lost.
        """
        try:
            passed = 0
            for number in itertools.count():
                if self.cut is not None and passed == self.cut.after:
                    if self.cut.code is not None:
                        raise _failure(self.cut)
                    return
                message = next(messages, None)
                if message is None:
                    return
                self.lose()
                if self.gap is None or not self.gap.covers(number):
                    yield message
                    passed += 1
        finally:
            # Now, not when the collector comes by: a handler may hold something.
            if isinstance(messages, Generator):
                messages.close()


NOTHING = Plan()
_PLACE = {"delay": "delay", "end_after": "cut", "skip_messages": "gap"}


class FaultsOn:
    """Where the faults of one RPC are made. Each method adds one and gives this back, so they can be chained.

    Of those with times left a call meets the oldest delay, the oldest of what takes the place of its answer, and so on.
    `times` is for how many calls; None is for all.
    """

    def __init__(self, faults: Faults, rpc: str, streams: bool) -> None:
        self._faults = faults
        self._rpc = rpc
        self._streams = streams

    def fail(self, code: Union[Code, str], message: str = "", *, times: Optional[int] = None) -> FaultsOn:
        """Refuse the call, without carrying it out.

        Args:
            code: Such as "unavailable".
            message: The error's text.
            times: For how many calls.

        Raises:
            ValueError: There is no such code.
        """
        return self._add("fail", times, code=_code(code), message=message or "a fault that was asked for")

    def not_found(self, message: str = "", *, times: Optional[int] = None) -> FaultsOn:
        """Say that there is no such thing, as an overloaded server does of things that exist."""
        return self.fail(Code.NOT_FOUND, message, times=times)

    def delay(self, seconds: float, *, times: Optional[int] = None) -> FaultsOn:
        """Wait before the call is carried out; real seconds, whatever the devbox's clock says.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a delay is 0 seconds or more, not {seconds}")
        return self._add("delay", times, seconds=seconds)

    def drop(self, *, times: Optional[int] = None) -> FaultsOn:
        """Close the connection; the call is not carried out."""
        return self._add("drop", times)

    def lose_answer(self, *, times: Optional[int] = None) -> FaultsOn:
        """Carry the call out and close the connection instead of answering."""
        return self._add("lose_answer", times)

    def end_after(
        self,
        messages: int,
        code: Optional[Union[Code, str]] = None,
        message: str = "",
        *,
        times: Optional[int] = None,
    ) -> FaultsOn:
        """End a stream early: cleanly, or with an error.

        Args:
            messages: How many go through first.
            code: Of the error; None is a clean end.
            message: The error's text.
            times: For how many streams.

        Raises:
            ValueError: This RPC does not stream, there is no such code, or `messages` is negative.
        """
        error = None if code is None else _code(code)
        return self._stream("end_after", times, messages, code=error, message=message or "a fault that was asked for")

    def skip_messages(self, count: Optional[int] = 1, *, after: int = 1, times: Optional[int] = None) -> FaultsOn:
        """Lose updates: leave messages of a stream out.

        Args:
            count: How many; None is all that follow, so that the stream falls silent.
            after: How many go through first.
            times: For how many streams.

        Raises:
            ValueError: This RPC does not stream, or a number is negative.
        """
        if count is not None and count < 0:
            raise ValueError(f"count is 0 or more, or None, not {count}")
        return self._stream("skip_messages", times, after, count=count)

    def _stream(self, kind: str, times: Optional[int], after: int, **details: object) -> FaultsOn:
        if not self._streams:
            raise ValueError(f"{self._rpc} does not stream")
        if after < 0:
            raise ValueError(f"a number of messages is 0 or more, not {after}")
        return self._add(kind, times, after=after, **details)

    def _add(self, kind: str, times: Optional[int], **details: object) -> FaultsOn:
        self._faults._add(Fault(self._rpc, kind, times, **details))  # type: ignore[arg-type]
        return self


class Faults:
    """The faults of a devbox, oldest first; those that have met all their calls are gone.

    Args:
        rpcs: What is served, by path.
    """

    def __init__(self, rpcs: Mapping[str, Rpc]) -> None:
        self._streams = {rpc.name: rpc.streams for rpc in rpcs.values()}
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def on(self, rpc: str) -> FaultsOn:
        """Where the faults of one RPC are made.

        Args:
            rpc: Service and method, such as "RunService/GetRunDetails".

        Raises:
            ValueError: There is no such RPC here.
        """
        name = name_of(rpc, self._streams)
        return FaultsOn(self, name, self._streams[name])

    def __iter__(self) -> Iterator[Fault]:
        """Those that are still to be met."""
        with self._lock:
            return iter(list(self._faults))

    def __len__(self) -> int:
        """How many are still to be met."""
        return len(self._faults)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._faults.clear()

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def plan(self, rpc: str) -> Plan:
        """What a call that has just come in is to meet; it counts as having met it."""
        if not self._faults:
            return NOTHING
        chosen: dict[str, Fault] = {}
        with self._lock:
            for fault in self._faults:
                if fault.rpc == rpc:
                    chosen.setdefault(_PLACE.get(fault.kind, "ending"), fault)
            for fault in chosen.values():
                fault.met += 1
                if fault.times is not None:
                    fault.times -= 1
            self._faults = [fault for fault in self._faults if fault.times != 0]
        delay = chosen.get("delay")
        return Plan(delay.seconds if delay else 0.0, chosen.get("ending"), chosen.get("cut"), chosen.get("gap"))


def name_of(rpc: str, known: Collection[str]) -> str:
    """The name by which an RPC is kept, also of one with its package or as a path.

    Raises:
        ValueError: There is no such RPC; the text says which are near.
    """
    service, _, method = rpc.strip("/").rpartition("/")
    name = f"{service.rpartition('.')[2]}/{method}"
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, 3, 0.5) or sorted(each for each in known if each.endswith(name))
    hint = f"; near are {', '.join(near)}" if near else ""
    raise ValueError(f"the devbox serves no {rpc!r}{hint}")


def _failure(fault: Fault) -> CallError:
    return refusal(fault.code or Code.UNKNOWN, fault.message)


def _code(code: Union[Code, str]) -> Code:
    if isinstance(code, Code):
        return code
    if code not in _CODES:
        raise ValueError(f"{code!r} is no code; they are {', '.join(_CODES)}")
    return _CODES[code]
