"""Headers that a caller has for a while, under the name of the official SDK's module."""

from __future__ import annotations

from flyte_lite._auth.passthrough import auth_metadata

__all__ = ["auth_metadata"]
