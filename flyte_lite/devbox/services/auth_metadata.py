"""AuthMetadataService: how to sign in, where somebody has to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.guard import Guard


class AuthMetadataService:
    """`flyteidl2.auth.AuthMetadataService`.

    Args:
        guard: Who lets callers in; None lets everybody.
    """

    name = "flyteidl2.auth.AuthMetadataService"

    def __init__(self, guard: Optional[Guard] = None) -> None:
        self._guard = guard

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {"GetPublicClientConfig": self.get_public_client_config, "GetOAuth2Metadata": self.get_oauth2_metadata}

    def get_public_client_config(
        self, _: auth_service_pb2.GetPublicClientConfigRequest, call: Call
    ) -> auth_service_pb2.GetPublicClientConfigResponse:
        """What a person's client is called; without a guard, the defaults of the real server."""
        if self._guard is None:
            return auth_service_pb2.GetPublicClientConfigResponse(authorization_metadata_key="authorization")
        config = self._guard.authority.client(call.endpoint)
        config.authorization_metadata_key = self._guard.header
        return config

    def get_oauth2_metadata(
        self, _: auth_service_pb2.GetOAuth2MetadataRequest, call: Call
    ) -> auth_service_pb2.GetOAuth2MetadataResponse:
        """Where tokens come from.

        Raises:
            UnimplementedError: Nobody needs one; the real server refuses so without an identity provider.
        """
        if self._guard is None:
            raise refusal(
                Code.UNIMPLEMENTED, "oauth2 metadata is not configured; set runs.authMetadata.externalAuthServerBaseUrl"
            )
        return self._guard.authority.metadata(call.endpoint)
