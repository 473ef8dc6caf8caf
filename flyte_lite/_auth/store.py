"""Where tokens are kept beyond the process, and under which names."""

from __future__ import annotations

from typing import NamedTuple, Optional, Protocol
from urllib.parse import quote

SHARED_NAME = "tokens"
"""Under which the official SDK keeps what a person has, too."""


class TokenStore(Protocol):
    """Keeps tokens for other processes: what `token_store=` takes besides the names of those that are here.

        class Vault:
            def get(self, service, name):
                return vault.read(f"{service}/{name}")
            def set(self, service, name, value):
                vault.write(f"{service}/{name}", value)
            def delete(self, service, name):
                vault.remove(f"{service}/{name}")

        client = Client(endpoint="https://flyte.example.com", token_store=Vault())

    `service` is the server, `name` whose tokens they are, and `value` a text to be given back as it is; it is secret.
    Where several machines use one store, give it a method `lock(service, name, seconds)` too: a context manager that
    one of them at a time gets into, and that raises if that takes longer than `seconds` (None is no limit). Without it
    one machine may use up a refresh token that another one is about to use.
    """

    def get(self, service: str, name: str) -> Optional[str]:
        """What is kept; None if nothing is. What it raises ends the call that needs a token."""
        ...

    def set(self, service: str, name: str, value: str) -> None:
        """Keep it instead of what was kept. What it raises is a warning in the log."""
        ...

    def delete(self, service: str, name: str) -> None:
        """Keep it no longer; nothing happens if it is not there. What it raises is a warning in the log."""
        ...


class Place(NamedTuple):
    """Which entry of a store is meant.

    Attributes:
        service: The server.
        name: Whose tokens.
        pair: Under which names the two tokens may be from before: read if there is nothing else, and removed.
        otherwise: Another name of the server, where it is kept if there is something; "" if it has none.
    """

    service: str
    name: str
    pair: tuple[str, ...] = ()
    otherwise: str = ""


def place_of(
    scheme: str,
    host: str,
    port: int,
    path: str,
    *,
    program: str = "",
    client_id: str = "",
    audience: str = "",
    scopes: tuple[str, ...] = (),
    token_endpoint: str = "",
    issuer: str = "",
) -> Place:
    """The entry of somebody who calls a server. Nobody else's settings lead there.

    A person with nothing set has the one that the official SDK keeps theirs in. All others have names of their own, and
    so has everybody who calls by plain http: what was given out by https must not be shown there.

    Args:
        path: Before the paths of its methods.
        program: The flow, if it is no person's.
        client_id: What is set, and not what the server says; this and what follows says who it is, if it is not "".
        scopes: Of a program.
    """
    bare = f"[{host}]" if ":" in host else host
    usual = (scheme, port) == ("https", 443)
    service = f"{bare}{path}" if usual else f"{bare}:{port}{path}"
    of = {"client_id": client_id, "audience": audience, "token_endpoint": token_endpoint, "issuer": issuer}
    said = {"": program, "by": scheme if scheme != "https" else "", **of, "scope": " ".join(scopes)}
    words = [f"{name}{'=' if name else ''}{quote(value, safe='/:')}" for name, value in said.items() if value]
    if words:
        return Place(service, " ".join((SHARED_NAME, *words)))
    # Before 2.5.10 the official SDK had an entry for each of the two; and it keeps a port that was written out.
    otherwise = f"{bare}:{port}{path}" if usual else ""
    return Place(service, SHARED_NAME, ("access_token", "refresh_token"), otherwise)


def where(store: Optional[TokenStore]) -> str:
    """What a store is called, for people; "" for none, which is the memory of this process."""
    said = getattr(store, "where", None)
    return said if isinstance(said, str) else "" if store is None else f"a {type(store).__name__}"
