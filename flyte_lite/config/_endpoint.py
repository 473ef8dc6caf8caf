"""Where a server is: what people write, taken apart."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple, Optional
from urllib.parse import SplitResult, urlsplit

from flyte_lite.errors import ConfigError


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
        wanted = (
            f"endpoint {shown_address(text)!r} is not an address: write host, host:port, https://host or dns:///host"
        )
        given = text.strip()
        scheme, separator, rest = given.partition("://")
        if not separator:
            scheme, rest = "", given
        elif scheme.lower() == "dns":
            scheme, rest = "", rest.lstrip("/")
        elif scheme.lower() not in ("http", "https"):
            raise ConfigError(f"{wanted}; {scheme}:// is not known")
        taken = _taken_apart(rest)
        if taken is None:
            raise ConfigError(wanted)
        parts, host, port = taken
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


def _taken_apart(rest: str) -> Optional[tuple[SplitResult, Optional[str], Optional[int]]]:
    # The parser's own error is not passed on: it quotes what may be a password, or the rest of an API key.
    try:
        parts = urlsplit(f"//{rest}")
        return parts, parts.hostname, parts.port
    except ValueError:
        return None


def shown_address(text: str) -> str:
    """What of an address may stand in a text: no userinfo, no query, and little of what may be a key."""
    # A key or a password may have been pasted where an address belongs.
    text = text.rpartition("@")[2].partition("?")[0].partition("#")[0]
    scheme, separator, rest = text.rpartition("://")
    bracketed, bracket, after = rest.partition("/")[0].rpartition("]")
    if after.count(":") > 1 and not all(char in "0123456789abcdefABCDEF:." for char in after):
        # Host, client id and secret: what an API key says, unpacked.
        text = f"{scheme}{separator}{bracketed}{bracket}{after.partition(':')[0]}:..."
    return text[:80] if len(text) < 40 or "." in text or "://" in text else f"{text[:4]}..."
