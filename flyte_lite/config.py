"""Settings, and where each came from: argument > environment > default. Nothing else reads the environment for them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional
from urllib.parse import urlsplit

from flyte_lite.errors import ConfigError

__all__ = ["Config", "Endpoint"]

_ENVIRONMENT = {
    "endpoint": "FLYTE_ADMIN_ENDPOINT",
    "insecure": "FLYTE_ADMIN_INSECURE",
    "insecure_skip_verify": "FLYTE_ADMIN_INSECURESKIPVERIFY",
    "ca_cert_file_path": "FLYTE_ADMIN_CACERTFILEPATH",
    "org": "FLYTE_TASK_ORG",
    "project": "FLYTE_TASK_PROJECT",
    "domain": "FLYTE_TASK_DOMAIN",
}
_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}


class Endpoint(NamedTuple):
    """Where a server is.

    Attributes:
        scheme: "http" or "https".
        host: Name or address, without brackets.
        port: 80 and 443 if none was given.
        path: Without a slash at its end; "" for none.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str, *, insecure: bool = False) -> Endpoint:
        """Read `dns:///host`, `http://host:port/path`, `https://...`, `host:port` or `host`.

        An explicit http or https decides about TLS; otherwise `insecure` does.

        Raises:
            ConfigError: It is none of these.
        """
        if not isinstance(text, str):
            raise ConfigError(f"endpoint is {type(text).__name__}; write it as text, such as https://host")
        wanted = f"endpoint {_shown(text)!r} is not an address: write host, host:port, https://host or dns:///host"
        given = text.strip()
        scheme, separator, rest = given.partition("://")
        if not separator:
            scheme, rest = "", given
        elif scheme.lower() == "dns":
            scheme, rest = "", rest.lstrip("/")
        elif scheme.lower() not in ("http", "https"):
            raise ConfigError(f"{wanted}; {scheme}:// is not known")
        try:
            parts = urlsplit(f"//{rest}")
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise ConfigError(f"{wanted} ({error})") from error
        # `http:/host` would read as a host called http.
        if host in ("http", "https", "dns") and parts.port is None and ":" in parts.netloc:
            raise ConfigError(wanted)
        if not host or parts.query or parts.fragment or "@" in parts.netloc or any(c.isspace() for c in rest):
            raise ConfigError(wanted)
        # A port of 0 would pass for none at all; no resolver takes a name with such a label.
        labels = [] if ":" in host else host.rstrip(".").split(".")
        if port == 0 or not all(0 < len(label) < 64 for label in labels):
            raise ConfigError(wanted)
        scheme = scheme.lower() or ("http" if insecure else "https")
        return cls(scheme, host, port or (80 if scheme == "http" else 443), parts.path.rstrip("/"))

    @property
    def organization(self) -> str:
        """The first label of a hosted server's name; "" for an address or a short name, which say nothing of one."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            labels = self.host.split(".")
            return labels[0] if len(labels) > 2 else ""
        return ""


def _shown(text: str) -> str:
    # A key or a password may have been pasted where an address belongs.
    text = text.rpartition("@")[2].partition("?")[0].partition("#")[0]
    return text[:80] if len(text) < 40 or "." in text or "/" in text else f"{text[:4]}..."


class Config(NamedTuple):
    """Everything that decides whom a client talks to.

    Attributes:
        endpoint: The server, see `Endpoint.parse`.
        insecure: True for plain HTTP where the endpoint does not say http or https itself.
        insecure_skip_verify: True takes any certificate.
        ca_cert_file_path: PEM file (or folder) of the only authorities to trust; None takes the usual ones.
        org: Organization, for hosted servers; None takes the first label of the endpoint's name.
        project: Default project.
        domain: Default domain, such as "development".
        sources: Setting to where its value came from.
    """

    endpoint: Optional[str] = None
    insecure: bool = False
    insecure_skip_verify: bool = False
    ca_cert_file_path: Optional[str] = None
    org: Optional[str] = None
    project: Optional[str] = None
    domain: Optional[str] = None
    sources: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def load(cls, arguments: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Config:
        """Settle each setting from the first place that has it; an argument of None says nothing.

        Raises:
            ConfigError: A flag is neither true nor false; the text names it and where it was read.
        """
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for name, variable in _ENVIRONMENT.items():
            given, source = arguments.get(name), "argument"
            if given is None:
                given, source = environ.get(variable) or None, f"environment variable {variable}"
            sources[name] = "default" if given is None else source
            if given is not None:
                values[name] = _flag(name, given, source) if cls._field_defaults[name] is False else given
        return cls(**values, sources=sources)

    def server(self) -> Endpoint:
        """The endpoint, parsed.

        Raises:
            ConfigError: There is none, or it is not an address.
        """
        if self.endpoint is None:
            raise ConfigError(
                "no endpoint is set: give init(endpoint=...) or Client(endpoint=...), or set FLYTE_ADMIN_ENDPOINT"
            )
        try:
            return Endpoint.parse(self.endpoint, insecure=self.insecure)
        except ConfigError as error:
            if self.sources.get("endpoint") in (None, "argument"):
                raise
            raise ConfigError(f"{error.message} (from {self.sources['endpoint']})") from None


def _flag(name: str, given: Any, source: str) -> bool:
    # Also of an argument: it may be a variable's text, and "false" must not switch anything on.
    word = given.strip().lower() if isinstance(given, str) else str(bool(given)).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ConfigError(f"{name} is {given[:20]!r} (from {source}); write true or false")
