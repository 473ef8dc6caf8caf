"""The worker's hold on its devbox: messages to it, answers from it, and the end of the worker when it is gone."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Optional

from flyte_lite.devbox.messages import CANCEL, Messages, message, parted, with_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    Take = Callable[[Mapping[str, Any], bytes], None]


class Leash:
    """Both pipes. Any thread may use it.

    Args:
        answers: Where the devbox's answers are read; when it closes, the devbox is gone.
        messages: Where messages are written.
    """

    def __init__(self, answers: int, messages: int) -> None:
        self._answers = answers
        self._messages = messages
        self._process = os.getpid()
        self._writing = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Take] = {}

    @property
    def is_forked(self) -> bool:
        """True in a process that was forked from the one that the devbox started."""
        return os.getpid() != self._process

    def hold(self) -> None:
        """Read answers from now on, in a thread of its own, and kill the whole process group at their end."""
        threading.Thread(target=self._read, name="flyte_lite leash", daemon=True).start()

    def tell(self, kind: bytes, body: bytes = b"") -> None:
        """Send a message."""
        rest = memoryview(message(kind, body))
        with self._writing:
            while rest:
                rest = rest[os.write(self._messages, rest) :]

    def begin(self, kind: bytes, header: Mapping[str, Any], rest: bytes, take: Take) -> int:
        """Ask something; the number of the question.

        Args:
            kind: The letter.
            header: What is asked.
            rest: The bytes that belong to it.
            take: Called with the answer, in the thread that reads answers: it must neither block nor raise.

        Raises:
            RuntimeError: This is another process than the one that the devbox started.
        """
        if self.is_forked:
            raise RuntimeError(
                "only the process that the devbox started can call other tasks, not one that it has forked: call them"
                " there, from threads if several are to run at a time"
            )
        number = next(self._numbers)
        self._waiting[number] = take
        try:
            self.tell(kind, with_header({"number": number, **header}, rest))
        except BaseException:
            self._waiting.pop(number, None)
            raise
        return number

    def ask(self, kind: bytes, header: Mapping[str, Any], rest: bytes) -> tuple[Mapping[str, Any], bytes]:
        """Ask something and wait for the answer; an exception meanwhile, as of a signal, takes the question back."""
        came = threading.Event()
        answer: list[tuple[Mapping[str, Any], bytes]] = []

        def take(told: Mapping[str, Any], body: bytes) -> None:
            answer.append((told, body))
            came.set()

        number = self.begin(kind, header, rest, take)
        try:
            came.wait()
        except BaseException:
            self.cancel(number)
            raise
        return answer[0]

    def cancel(self, number: int) -> None:
        """Take a question back: nobody waits for it any more."""
        if self._waiting.pop(number, None) is not None:
            self.tell(CANCEL, with_header({"number": number}))

    def _read(self) -> None:
        messages = Messages()
        while True:
            data = os.read(self._answers, 1 << 16)
            if not data:
                os.killpg(0, signal.SIGKILL)
            for _, body in messages.of(data):
                header, rest = parted(body)
                take = self._waiting.pop(header["number"], None)
                if take is not None:
                    # An event loop that was closed before its time takes nothing any more.
                    with suppress(RuntimeError):
                        take(header, rest)


_held: Optional[Leash] = None


def hold(leash: Leash) -> None:
    """Make `leash` the one of this process."""
    global _held
    _held = leash
    leash.hold()


def held() -> Optional[Leash]:
    """The leash of this process; None if it is no worker."""
    return _held
