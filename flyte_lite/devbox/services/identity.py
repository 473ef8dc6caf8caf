"""IdentityService, and who a caller is: the claims of a token that was checked, or that a proxy would have checked."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Optional

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import identity_pb2
from flyte_lite.idl.flyteidl2.common import identity_pb2 as common_identity_pb2


class IdentityService:
    """`flyteidl2.auth.IdentityService`."""

    name = "flyteidl2.auth.IdentityService"

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {"UserInfo": self.user_info}

    def user_info(self, _: identity_pb2.UserInfoRequest, call: Call) -> identity_pb2.UserInfoResponse:
        """Who is calling.

        Raises:
            UnauthenticatedError: Nobody that can be told.
        """
        found = claims(call)
        if not found:
            raise refusal(
                Code.UNAUTHENTICATED, "no authenticated identity on request (missing or untrusted identity headers)"
            )
        return identity_pb2.UserInfoResponse(
            subject=found.get("sub", ""),
            name=found.get("name", ""),
            given_name=found.get("given_name", ""),
            family_name=found.get("family_name", ""),
            email=found.get("email", ""),
        )


def claims(call: Call) -> Mapping[str, str]:
    """The caller's claims that are texts; empty if nobody can be told."""
    return _unchecked(call.headers) if call.identity is None else call.identity


def _unchecked(headers: Mapping[str, str]) -> dict[str, str]:
    for token in (headers.get("x-amzn-oidc-data"), _bearer(headers.get("authorization", ""))):
        found = _payload(token) if token else {}
        if found.get("sub"):
            return found
    subject = headers.get("x-amzn-oidc-identity")
    return {"sub": subject} if subject else {}


def caller(call: Call) -> Optional[common_identity_pb2.EnrichedIdentity]:
    """The same as runs record it; None without an identity."""
    found = claims(call)
    if not found:
        return None
    identity = common_identity_pb2.EnrichedIdentity()
    identity.user.id.subject = found.get("sub", "")
    # Present even when it is empty, as on the real server.
    identity.user.spec.SetInParent()
    identity.user.spec.first_name = found.get("given_name", "")
    identity.user.spec.last_name = found.get("family_name", "")
    identity.user.spec.email = found.get("email", "")
    return identity


def _bearer(header: str) -> str:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _payload(token: str) -> dict[str, str]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        parsed = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return {key: value for key, value in parsed.items() if isinstance(value, str)} if isinstance(parsed, dict) else {}
