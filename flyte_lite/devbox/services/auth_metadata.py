"""AuthMetadataService: how to sign in. Nobody has to."""

from __future__ import annotations

from typing import Any

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2


class AuthMetadataService:
    """`flyteidl2.auth.AuthMetadataService`."""

    name = "flyteidl2.auth.AuthMetadataService"

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {"GetPublicClientConfig": self.get_public_client_config, "GetOAuth2Metadata": self.get_oauth2_metadata}

    def get_public_client_config(
        self, _: auth_service_pb2.GetPublicClientConfigRequest, __: Call
    ) -> auth_service_pb2.GetPublicClientConfigResponse:
        """The defaults of the real server."""
        return auth_service_pb2.GetPublicClientConfigResponse(authorization_metadata_key="authorization")

    def get_oauth2_metadata(
        self, _: auth_service_pb2.GetOAuth2MetadataRequest, __: Call
    ) -> auth_service_pb2.GetOAuth2MetadataResponse:
        """Refuse, as the real server does without an identity provider."""
        raise refusal(
            Code.UNIMPLEMENTED, "oauth2 metadata is not configured; set runs.authMetadata.externalAuthServerBaseUrl"
        )
