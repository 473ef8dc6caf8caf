"""What a service may know of a call besides its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Call(NamedTuple):
    """The caller's side of a call.

    Attributes:
        headers: By lower-case name.
    """

    headers: Mapping[str, str]
