"""Which proxy leads to an origin, if any: what the caller says of it, or else the environment."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple, NoReturn, Optional, Union
from urllib.parse import urlsplit

from flyte_lite._http.origin import Origin
from flyte_lite.errors import Code, ConfigError, EndpointError

_PORTS = {"http": 80, "https": 443}
_KINDS = (*_PORTS, "socks4", "socks4a", "socks5", "socks5h")
_EXAMPLE = "http://host:port or http://user:password@host:port, with special characters as %40 for @"


class Proxy(NamedTuple):
    """A proxy, and who named it.

    Attributes:
        url: With user and password, if it has them.
        source: What it was read from, such as "HTTPS_PROXY" or "proxies".
    """

    url: str
    source: str

    def __repr__(self) -> str:
        # There may be a password in it.
        return f"Proxy({self.place!r}, {self.source!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a proxy, which may have a password, is not pickled")

    def __str__(self) -> str:
        return f"the proxy {self.place} (from {self.source})"

    @property
    def kind(self) -> str:
        """The scheme of its URL, such as "socks5h"."""
        return self.url.partition("://")[0].lower()

    @property
    def place(self) -> str:
        """Its host and port."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(self.kind, 1080)}"

    def check(self) -> Proxy:
        """Itself.

        Raises:
            ConfigError: It is no address; the text has nothing of it, as there may be a password in it.
        """
        problem = f"it is no address such as {_EXAMPLE}"
        with contextlib.suppress(ValueError):
            parts = urlsplit(self.url)
            if self.kind and self.kind not in _KINDS:
                problem = f"its kind is not known; known are {', '.join(f'{kind}://' for kind in _KINDS)}"
            elif parts.hostname and parts.port != 0:
                return self
        raise ConfigError(f"the proxy in {self.source} can't be used: {problem}")

    def refusal(self, said: str) -> EndpointError:
        """The error of a call whose user it does not let through.

        Args:
            said: Its own words for it, such as "HTTP 407".
        """
        if "@" in urlsplit(self.url).netloc:
            basic = "" if self.kind.startswith("socks") else "? Only Basic is spoken here, no NTLM or Kerberos"
            text = (
                f"{self} does not take the user and the password that it is given ({said}): are they right, and are "
                f"special characters written as %40 for @{basic}"
            )
        else:
            text = (
                f"{self} wants a user and a password ({said}): write them into {self.source}, as "
                f"{self.kind}://user:password@host:port, with special characters as %40 for @"
            )
        # Nothing of the request was carried out, and it would not be the next time.
        return EndpointError(text, Code.UNKNOWN, sent=False)


class Proxies(NamedTuple):
    """What the caller says of proxies; then nothing of the environment counts, not even NO_PROXY.

    Attributes:
        by_key: URLs as `requests` takes them: by "https://host", "https", "all://host" or "all"; "" is none.
        source: The setting's name.
        no_proxy: Which origins are reached without, see NO_PROXY.
    """

    by_key: Mapping[str, str]
    source: str
    no_proxy: str = ""

    def __repr__(self) -> str:
        return f"Proxies({', '.join(self.by_key)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("proxies, which may have passwords, are not pickled")

    @classmethod
    def given(cls, source: str, value: Union[str, Mapping[str, Optional[str]]]) -> Proxies:
        """One proxy for everything, or what `requests` takes: a dict of URLs, and of what goes without in `no_proxy`.

        Args:
            source: The setting's name.
            value: "" and {} are no proxy at all, whatever the environment says.

        Raises:
            ConfigError: It is neither, or one of them is no address.
        """
        if isinstance(value, str):
            value = {"all": value}
        if not isinstance(value, Mapping):
            raise ConfigError(f"{source} is {type(value).__name__}; give an address such as {_EXAMPLE}, or a dict")
        by_key = {}
        for key, url in value.items():
            scheme = key.partition("://")[0].lower() if isinstance(key, str) else ""
            if scheme not in (*_PORTS, "all", "no_proxy", "no"):
                raise ConfigError(f"{source} has the key {str(key)[:20]!r}; known are http, https, all and no_proxy")
            if not isinstance(url, (str, type(None))):
                raise ConfigError(f"{source} has {type(url).__name__} for {key!r}; give an address such as {_EXAMPLE}")
            by_key[key.lower()] = (url or "").strip()
        no_proxy = by_key.pop("no_proxy", "") or by_key.pop("no", "")
        for url in by_key.values():
            if url:
                _proxy(url, source).check()
        return cls(by_key, source, no_proxy)

    def proxy_for(self, origin: Origin) -> Optional[Proxy]:
        """The proxy to an origin; None is none."""
        host = origin.host.lower()
        for key in (f"{origin.scheme}://{host}", origin.scheme, f"all://{host}", "all"):
            if key in self.by_key:
                url = self.by_key[key]
                return _proxy(url, self.source) if url and not _bypassed(origin, self.no_proxy) else None
        return None


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> Optional[Proxy]:
    """The proxy to an origin by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case; None is none."""
    for name in (f"{origin.scheme}_proxy", "all_proxy"):
        # In a CGI program HTTP_PROXY may come from a request's `Proxy` header; there the lower-case name counts.
        upper = name if name == "http_proxy" and "REQUEST_METHOD" in environ else name.upper()
        variable = name if name in environ else upper
        url = environ.get(variable, "").strip()
        if url:
            no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
            return None if _bypassed(origin, no_proxy) else _proxy(url, variable)
    return None


def _proxy(url: str, source: str) -> Proxy:
    return Proxy(url if "://" in url else f"http://{url}", source)


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
        if not separator or not port.isdecimal() or (":" in name and "]" not in name):
            name, port = entry, ""
        name = name.strip("[]").lstrip("*").lstrip(".").rstrip(".")
        if port and int(port) != origin.port:
            continue
        if entry == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
