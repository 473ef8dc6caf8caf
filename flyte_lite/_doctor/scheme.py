"""Whether http is written for https or the other way round: the port itself is asked, without credentials."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from flyte_lite._doctor.finding import Cause, Finding, Trouble
from flyte_lite._doctor.service import answers
from flyte_lite.errors import FlyteLiteError, TlsError

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline
    from flyte_lite._rpc.channel import Channel


def reconsidered(finding: Finding, channel: Channel, deadline: Deadline) -> Finding:
    """The same, unless the other scheme is seen to be what is spoken there."""
    origin = channel.origin
    step, text = finding.step, finding.text
    # A port that shows a certificate speaks TLS.
    if origin.scheme == "https" and step == "TLS" and "certificate" not in text and _speaks_flyte(channel, deadline):
        remedy = "Write the endpoint with http://, or set admin.insecure (FLYTE_ADMIN_INSECURE=true, insecure=True)."
        return finding._replace(text=f"{text}. Indeed, Flyte answers there by plain http", remedy=remedy)
    # Only where the text itself asks: a port may be silent for as long as it is waited for.
    asks = step == "Connect" and ("TLS" in text or "https://" in text)
    if origin.scheme == "http" and asks and _speaks_tls(channel, deadline):
        remedy = "Write the endpoint with https://, and take insecure (FLYTE_ADMIN_INSECURE, admin.insecure) away."
        text = f"{origin.host}:{origin.port} speaks TLS, and the endpoint says plain http: {text}"
        return finding._replace(text=text, remedy=remedy, cause=Cause.TLS)
    return finding


def _speaks_flyte(channel: Channel, deadline: Deadline) -> bool:
    origin = channel.origin
    try:
        answers(channel.once(None).to("http", origin.host, origin.port, channel.prefix), deadline)
    except (Trouble, FlyteLiteError):
        return False
    return True


def _speaks_tls(channel: Channel, deadline: Deadline) -> bool:
    def unwatched(stage: str, whom: str) -> None: ...

    try:
        channel.transport.connect(channel.origin._replace(scheme="https"), deadline, unwatched)
    except TlsError as error:
        # A certificate was shown, though not one that is trusted.
        return isinstance(error.__cause__, ssl.SSLCertVerificationError)
    except FlyteLiteError:
        return False
    return True
