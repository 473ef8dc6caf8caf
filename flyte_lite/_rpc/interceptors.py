"""What a channel does around each attempt and each call: credentials, retries, request ids, one line of log."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional, Protocol

from flyte_lite._clock import Deadline
from flyte_lite._repeat import repeat
from flyte_lite._rpc.call import Call, Interceptor, Proceed, Result, Stream
from flyte_lite._rpc.headers import Metadata, checked
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError, Code

_log = logging.getLogger("flyte_lite")
_REQUEST_ID = "x-request-id"


def identify(call: Call, proceed: Proceed) -> Result:
    """Give the call a request id, the same in all its attempts, unless the caller has one."""
    if _REQUEST_ID not in call.headers:
        call.headers[_REQUEST_ID] = [secrets.token_hex(16)]
    return proceed(call)


def add_metadata(metadata: Metadata) -> Interceptor:
    """Send these headers with each call, unless the call has its own of that name.

    Raises:
        ValueError: One can't be sent as it is.
    """
    fixed = checked(metadata)

    def add(call: Call, proceed: Proceed) -> Result:
        call.headers = {**fixed, **call.headers}
        return proceed(call)

    return add


def observe(endpoint: str) -> Interceptor:
    """Tell in each error how the call went, and write a line for each call at DEBUG."""

    def watch(call: Call, proceed: Proceed) -> Result:
        started = call.deadline.clock.monotonic()
        try:
            result = proceed(call)
        except CallError as error:
            explain(error, call, started)
            raise
        if isinstance(result, Stream):
            return result.through(lambda stream: to_end(stream, call, started))
        _note(call, "ok", started)
        return result

    def explain(error: CallError, call: Call, started: float) -> None:
        error.sent = error.sent or call.sent
        error.method = str(call.method)
        error.endpoint = endpoint
        error.attempts = max(call.attempts, 1)
        error.elapsed = call.deadline.clock.monotonic() - started
        error.request_id = call.headers.get(_REQUEST_ID, [""])[0]
        _note(call, error.code.value, started)

    def to_end(stream: Stream[Any], call: Call, started: float) -> Iterator[Any]:
        try:
            yield from stream
        except CallError as error:
            explain(error, call, started)
            raise
        except GeneratorExit:
            _note(call, "closed", started)
            raise
        _note(call, "ok", started)

    return watch


def _note(call: Call, code: str, started: float) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        text = "%s %s attempts=%d ms=%.1f sent=%d received=%d request_id=%s"
        took = (call.deadline.clock.monotonic() - started) * 1000
        request_id = call.headers.get(_REQUEST_ID, [""])[0]
        _log.debug(text, call.method, code, call.attempts, took, call.bytes_sent, call.bytes_received, request_id)


def retry(policy: RetryPolicy, draw: Callable[[], float]) -> Interceptor:
    """Ask again, by a policy, what failed before its first message; and further on, if the caller can resume.

    Args:
        draw: Numbers from 0 to 1 for the jitter.
    """

    def delay(call: Call, failures: int, error: CallError) -> Optional[float]:
        return policy.delay(error, failures, call.safe, call.deadline.left(), draw())

    def begin(call: Call, proceed: Proceed) -> Result:
        if not call.repeatable:
            return proceed(call)
        return repeat(
            lambda _: proceed(call),
            lambda number, _, error: delay(call, number, error) if isinstance(error, CallError) else None,
            call.deadline,
        )

    def again(call: Call, proceed: Proceed) -> Result:
        result = begin(call, proceed)
        if call.resume is None or not isinstance(result, Stream):
            return result
        return result.through(lambda stream: resumed(stream, call, proceed))

    def resumed(stream: Stream[Any], call: Call, proceed: Proceed) -> Iterator[Any]:
        assert call.resume is not None
        failures = 0
        while True:
            try:
                for message in stream:
                    fresh = call.resume(message)
                    if fresh is not None:
                        failures = 0
                        yield fresh
                return
            except CallError as error:
                call.sent = True  # whatever becomes of the next request
                failures += 1
                # It did begin: a quiet stream that is cut off now and then is asked for again, but ever more seldom.
                seconds = delay(call, min(failures, policy.retries or 1), error)
                if seconds is not None and not stream.closed:
                    call.deadline.sleep(seconds)
                if seconds is None or stream.closed:
                    raise
            stream.become(begin(call, proceed))

    return again


class Credentials(Protocol):
    """Who calls, as `_auth` knows it."""

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        """What proves who calls, for one attempt; may fetch a token."""

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        """`sent` was refused as unauthenticated; True if another try has something else to show."""


def authenticate(credentials: Credentials) -> Interceptor:
    """Show credentials with each attempt; once a call, if they are refused, others if there are any.

    An attempt that showed none of a kind does not count: what is shown first may have been kept for long, and be over.
    "Permission denied" is no matter of credentials, but to who has shown none: some gateways say it to all unknown.
    """

    def show(call: Call, proceed: Proceed) -> Result:
        own = call.headers
        shown: set[str] = set()
        refused = False
        while True:
            sent = credentials.headers(call.deadline)
            call.refused = call.refused or (refused and shown.issuperset(sent))
            shown.update(sent)
            # What the caller says of itself wins; and nothing of this attempt is left for the next.
            call.headers = {**checked(sent), **own}
            try:
                return proceed(call)
            except CallError as error:
                forbidden = error.code is Code.PERMISSION_DENIED and not sent and "authorization" not in own
                if call.refused or not call.repeatable or not (forbidden or error.code is Code.UNAUTHENTICATED):
                    raise
                refused = True
                try:
                    mended = credentials.refused(sent, call.deadline)
                except CallError as trouble:
                    if not forbidden or call.deadline.over:
                        raise
                    # It may mean just what it says.
                    raise error from trouble
                if not mended:
                    raise
            finally:
                call.headers = own

    return show
