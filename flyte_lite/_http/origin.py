"""Where an exchange goes."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Scheme, host and port; its text is a URL without a path."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"
