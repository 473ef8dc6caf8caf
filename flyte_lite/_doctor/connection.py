"""The steps below Flyte: the host's name, TCP, a proxy, TLS. One connection as calls make it tells all of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from flyte_lite._doctor.finding import Cause, Finding
from flyte_lite.errors import ConfigError, EndpointError, FlyteLiteError, TlsError

if TYPE_CHECKING:
    from flyte_lite._clock import Clock, Deadline
    from flyte_lite._http.origin import Origin
    from flyte_lite._http.proxy import Proxy
    from flyte_lite._http.transport import Secured, Transport
    from flyte_lite.config import Config

_STEPS = ("name resolution", "TCP", "proxy", "TLS")
_SOON_OVER = 14 * 86400.0


class _Moment(NamedTuple):
    step: str
    whom: str
    at: float


class _Trail:
    """How far a connection came, and when."""

    def __init__(self, clock: Clock, proxy: Optional[Proxy]) -> None:
        self._clock = clock
        # A proxy may speak TLS itself, before it is asked for anything.
        self._proxy_tls = proxy is not None and proxy.kind == "https"
        self.moments: list[_Moment] = []

    def __call__(self, stage: str, whom: str) -> None:
        step = {"name": "name resolution"}.get(stage, stage)
        if stage == "TLS" and self._proxy_tls:
            step, self._proxy_tls = "proxy", False
        self.moments.append(_Moment(step, whom, self._clock.monotonic()))

    @property
    def last(self) -> str:
        return self.moments[-1].step if self.moments else ""

    def whom(self, step: str) -> str:
        return next((moment.whom for moment in self.moments if moment.step == step), "")

    def seconds(self, step: str, end: float) -> float:
        ends = [moment.at for moment in self.moments[1:]] + [end]
        return sum(until - moment.at for moment, until in zip(self.moments, ends) if moment.step == step)


def connection(transport: Transport, origin: Origin, config: Config, deadline: Deadline) -> Iterator[Finding]:
    """What each of these steps comes to; one that failed is the last."""
    clock = deadline.clock
    started = clock.monotonic()
    proxy: Optional[Proxy] = None
    secured: Optional[Secured] = None
    problem: Optional[FlyteLiteError] = None
    trail = _Trail(clock, None)
    try:
        proxy = transport.proxy(origin)
        trail = _Trail(clock, proxy)
        secured = transport.connect(origin, deadline, trail)
    except FlyteLiteError as error:
        problem = error
    end = clock.monotonic()
    if problem is not None and not trail.moments:
        yield from _unusable(problem, end - started)
        return
    for step in _STEPS:
        seconds = trail.seconds(step, end)
        if problem is not None and step == trail.last:
            yield _failure(step, problem, trail, proxy, config, seconds)._replace(seconds=seconds)
            return
        yield _success(step, trail, origin, proxy, secured, config, clock.time())._replace(seconds=seconds)


def _unusable(problem: FlyteLiteError, seconds: float) -> Iterator[Finding]:
    """What was set for a proxy or for TLS can't be used, so that not even a name was looked up."""
    text = getattr(problem, "message", str(problem))
    failed = "proxy" if text.startswith("the proxy") else "TLS" if isinstance(problem, ConfigError) else _STEPS[0]
    for step in _STEPS[: _STEPS.index(failed)]:
        yield Finding(step, "skipped", f"not tried: what is set for the step {failed} can't be used")
    cause = Cause.CONFIGURATION if isinstance(problem, ConfigError) else Cause.NETWORK
    yield Finding(failed, "failed", text, "Mend that setting, or take it away.", seconds, cause)


def _success(
    step: str,
    trail: _Trail,
    origin: Origin,
    proxy: Optional[Proxy],
    secured: Optional[Secured],
    config: Config,
    now: float,
) -> Finding:
    if step == "name resolution":
        return Finding(step, "ok", trail.whom("TCP"))
    if step == "TCP":
        return Finding(step, "ok", f"connected to {'the proxy' if proxy else 'it'}")
    if step == "proxy":
        if proxy is None:
            return Finding(step, "skipped", f"none leads to {origin}; HTTPS_PROXY and http_proxy_url may name one")
        tunnel = "opened a tunnel" if origin.scheme == "https" else "passes plain http on"
        return Finding(step, "ok", f"{proxy} {'leads there' if proxy.kind.startswith('socks') else tunnel}")
    if secured is None:
        return Finding(step, "skipped", "plain http is spoken; whoever is on the way can read along")
    return _tls(secured, config, now)


def _tls(secured: Secured, config: Config, now: float) -> Finding:
    if not secured.certificate:
        return Finding(
            "TLS",
            "warning",
            f"{secured.version}, with a certificate that nobody verified",
            f"insecure_skip_verify is on (from {config.sources.get('insecure_skip_verify', 'default')}): whoever is on "
            "the way can pass for the server. Give its authority as ca_cert_file_path instead.",
        )
    owner, issuer = _name(secured.certificate, "subject"), _name(secured.certificate, "issuer")
    until = secured.certificate.get("notAfter", "")
    text = f"{secured.version}, certificate of {owner} by {issuer}, until {until}"
    if until and ssl.cert_time_to_seconds(until) - now < _SOON_OVER:
        return Finding("TLS", "warning", text, "It ends within two weeks: who runs the server must renew it.")
    return Finding("TLS", "ok", text)


def _name(certificate: Mapping[str, Any], field: str) -> str:
    parts = {key: value for part in certificate.get(field, ()) for key, value in part}
    return str(parts.get("commonName") or parts.get("organizationName") or "somebody without a name")


def _failure(
    step: str, problem: FlyteLiteError, trail: _Trail, proxy: Optional[Proxy], config: Config, seconds: float
) -> Finding:
    text = getattr(problem, "message", str(problem))
    whom = trail.whom(step)
    if not isinstance(problem, TlsError) and whom.partition(" (")[0] not in text:
        text = f"{whom}: {text}"
    remedy = (_remedy_for_proxy if proxy is not None and step != "TLS" else _remedy)(step, problem, proxy, config)
    cause = {"proxy": Cause.PROXY, "TLS": Cause.TLS}.get(step, Cause.NETWORK if proxy is None else Cause.PROXY)
    return Finding(step, "failed", text, remedy, seconds, cause)


def _remedy_for_proxy(step: str, problem: FlyteLiteError, proxy: Optional[Proxy], config: Config) -> str:
    if isinstance(problem, EndpointError):
        return "Ask who runs it for a user and a password; for a server that is reached without it, set NO_PROXY."
    if step == "proxy":
        return (
            f"Ask who runs {proxy} to let you through to this server; or, if it is reached without a proxy, set "
            "NO_PROXY to its host."
        )
    return f"Is {proxy} right, and up? For a server that is reached without a proxy, set NO_PROXY to its host."


def _remedy(step: str, problem: FlyteLiteError, proxy: Optional[Proxy], config: Config) -> str:
    endpoint = f"The endpoint is from: {config.sources.get('endpoint', 'default')}."
    if step == "name resolution":
        return f"Is a VPN needed, or a proxy that knows the name (HTTPS_PROXY)? {endpoint}"
    if step == "TCP":
        if "refused" in problem.args[0]:
            return f"Nobody listens at that port of that host. {endpoint}"
        return f"A firewall that drops packets looks like this: is a VPN needed, or a proxy (HTTPS_PROXY)? {endpoint}"
    if isinstance(problem, TlsError):
        trust = config.sources.get("ca_cert_file_path", "default")
        trusted = "not set" if trust == "default" else f"from: {trust}"
        return f"{endpoint} ca_cert_file_path, which says whom to trust, is {trusted}."
    return f"Something there takes connections and speaks no TLS: a firewall, or another kind of server. {endpoint}"
