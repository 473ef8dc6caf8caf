"""All steps in order, up to the first that fails; what follows it says why it was not tried."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Callable

from flyte_lite._clock import Deadline
from flyte_lite._doctor import service
from flyte_lite._doctor.connection import connection
from flyte_lite._doctor.finding import STEPS, Cause, Finding, Trouble
from flyte_lite._doctor.scheme import reconsidered
from flyte_lite._doctor.upload import uploads
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from flyte_lite._session import Session
    from flyte_lite.config import Config


def examine(configure: Callable[[], tuple[Config, Session]], seconds: float) -> Iterator[Finding]:
    """What each step comes to, as soon as it is known.

    Args:
        configure: Reads the settings and makes a session of them.
        seconds: The most that each step may take. A resolver of names knows no such end.
    """
    failed = ""
    with contextlib.closing(_findings(configure, seconds)) as findings:
        for finding in findings:
            yield finding
            if finding.failed:
                failed = finding.step
                break
    for step in STEPS[STEPS.index(failed) + 1 :] if failed else ():
        yield Finding(step, "skipped", f"not tried, because of the failure above ({failed})")


def _findings(configure: Callable[[], tuple[Config, Session]], seconds: float) -> Generator[Finding, None, None]:
    try:
        config, session = configure()
    except ConfigError as error:
        remedy = "Mend that; `flyte-lite get config` shows every setting that can be read, and where it comes from."
        yield Finding("configuration", "failed", error.message, remedy, cause=Cause.CONFIGURATION)
        return
    try:
        yield _configured(config, session)
        yield from _Examination(config, session, seconds).findings()
    finally:
        session.channel.transport.close()


def _configured(config: Config, session: Session) -> Finding:
    scope = ", ".join(f"{name} {value}" for name, value in session.scope._asdict().items() if value) or "no project"
    channel = session.channel
    source = config.sources.get("endpoint", "default")
    return Finding("configuration", "ok", f"{channel.origin}{channel.prefix} (endpoint from {source}), {scope}")


class _Examination:
    def __init__(self, config: Config, session: Session, seconds: float) -> None:
        self._config = config
        self._session = session
        self._channel = session.channel
        self._seconds = seconds

    def findings(self) -> Iterator[Finding]:
        channel = self._channel
        for finding in connection(channel.transport, channel.origin, self._config, self._deadline()):
            yield self._reconsidered(finding)
        yield self._taken("Connect", lambda deadline: service.answers(channel, deadline))
        yield self._taken("sign-in", lambda deadline: service.signs_in(channel, self._config, deadline))
        yield self._taken("read", lambda deadline: service.reads(self._session, self._config, deadline))
        yield self._taken("upload", lambda deadline: uploads(self._session, deadline))

    def _deadline(self) -> Deadline:
        return Deadline(self._session.clock, self._seconds, self._session.cancel)

    def _taken(self, step: str, take: Callable[[Deadline], Finding]) -> Finding:
        """What a step came to, and how long it took."""
        started = self._session.clock.monotonic()
        try:
            finding = take(self._deadline())
        except Trouble as trouble:
            finding = Finding(step, "failed", trouble.text, trouble.remedy, cause=trouble.cause)
        except ConfigError as error:
            # Of a way that is gone here for the first time, such as a proxy for the object store alone.
            remedy = "Mend that setting, or take it away."
            finding = Finding(step, "failed", error.message, remedy, cause=Cause.CONFIGURATION)
        return self._reconsidered(finding._replace(seconds=self._session.clock.monotonic() - started))

    def _reconsidered(self, finding: Finding) -> Finding:
        return reconsidered(finding, self._channel, self._deadline()) if finding.failed else finding
