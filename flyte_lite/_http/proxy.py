"""Which proxy the environment names for an origin, if any."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping

from flyte_lite._http.origin import Origin


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names a proxy for `origin`, and the proxy; two empty texts if there is none."""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    for name in (f"{origin.scheme}_proxy", "all_proxy"):
        # In a CGI program HTTP_PROXY may come from a request's `Proxy` header; there the lower-case name counts.
        upper = "" if name == "http_proxy" and "REQUEST_METHOD" in environ else name.upper()
        for variable in (name, upper):
            proxy = environ.get(variable)
            if proxy:
                if _bypassed(origin, no_proxy):
                    return "", ""
                return variable, proxy if "://" in proxy else f"http://{proxy}"
    return "", ""


def _bypassed(origin: Origin, no_proxy: str) -> bool:
    """Whether NO_PROXY has the origin: by host, domain, address or network (10.0.0.0/8), with or without port, or `*`.

    Not `requests.utils.should_bypass_proxies`: it looks into the real environment and changes it while it does.
    """
    host = origin.host.lower().rstrip(".")
    for entry in no_proxy.lower().replace(",", " ").split():
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False):
                return True
        name, separator, port = entry.rpartition(":")
        if not separator or not port.isdigit() or (":" in name and "]" not in name):
            name, port = entry, ""
        name = name.strip("[]").lstrip("*").lstrip(".").rstrip(".")
        if port and int(port) != origin.port:
            continue
        if entry == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
