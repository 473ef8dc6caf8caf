"""Code bundles: the functions behind tasks, pickled.

They are apart from the objects because nothing that comes over the wire may get in here: what is here is unpickled.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database


class Bundle(NamedTuple):
    """A function that workers can run.

    Attributes:
        pickled: Made by `_declare`.
        folder: What to put first in the worker's module path; "" is nothing.
    """

    pickled: bytes
    folder: str


class Bundles:
    """The table of bundles, by the `code_bundle_uri` of task templates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, uri: str, bundle: Bundle) -> None:
        """Store a bundle, over what may have been there."""
        self._database.run("INSERT OR REPLACE INTO bundle VALUES (?, ?, ?)", (uri, *bundle))

    def get(self, uri: str) -> Optional[Bundle]:
        """The bundle of that address, or None."""
        row = self._database.one("SELECT pickled, folder FROM bundle WHERE uri = ?", (uri,))
        return None if row is None else Bundle._make(row)

    def has(self, uri: str) -> bool:
        """True if there is a bundle of that address."""
        return bool(uri) and self._database.one("SELECT 1 FROM bundle WHERE uri = ?", (uri,)) is not None
