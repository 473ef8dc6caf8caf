"""Names of runs: chosen here, so that a CreateRun whose answer is lost can be repeated without making a second run."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

from flyte_lite.idl.flyteidl2.common import identifier_pb2

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST = 30
# The server's own alphabet for names: no vowels, so no words; no 0, 1, 3, so nothing to misread.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def new_name() -> str:
    """A name that nobody has."""
    # From the system's randomness: processes that seed `random` alike must not share names.
    return "r" + "".join(secrets.choice(_LETTERS) for _ in range(19))


def keyed_name(key: str, place: identifier_pb2.ProjectIdentifier, task: str) -> str:
    """The name of all launches with one key, of one task into one project and domain; the same in each release."""
    # Not of the version: a redeploy between two tries must not make a second run.
    parts = (key, place.organization, place.name, place.domain, task)
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()
    return "k" + base64.b32encode(digest).decode().lower()[: LONGEST - 1]
