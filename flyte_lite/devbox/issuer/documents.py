"""What the issuer says of itself (RFC 8414)."""

from __future__ import annotations

from typing import Any

from flyte_lite.devbox.issuer.clients import CLIENT, CODE, DEVICE, REFRESH
from flyte_lite.devbox.issuer.terms import SCOPES

# The issuer's name is the endpoint and this, so that its document is not where the server has its own.
ROOT = "/oauth2"
AUTHORIZE = f"{ROOT}/authorize"
TOKEN = f"{ROOT}/token"
DEVICE_CODE = f"{ROOT}/device_authorization"
DEVICE_PAGE = f"{ROOT}/device"
REVOKE = f"{ROOT}/revoke"
INTROSPECT = f"{ROOT}/introspect"
WELL_KNOWN = "/.well-known/oauth-authorization-server"
# Where RFC 8414, 3.1 has it, and where those look who put the one behind the other.
DOCUMENTS = (f"{WELL_KNOWN}{ROOT}", f"{ROOT}{WELL_KNOWN}")
_METHODS = ("client_secret_basic", "client_secret_post")


def issuer(endpoint: str) -> str:
    """What the issuer calls itself to somebody who uses that endpoint."""
    return f"{endpoint}{ROOT}"


def metadata(endpoint: str) -> dict[str, Any]:
    """What the server tells of it, too."""
    return {
        "issuer": issuer(endpoint),
        "authorization_endpoint": f"{endpoint}{AUTHORIZE}",
        "token_endpoint": f"{endpoint}{TOKEN}",
        "device_authorization_endpoint": f"{endpoint}{DEVICE_CODE}",
        "response_types_supported": ["code"],
        "scopes_supported": list(SCOPES),
        "grant_types_supported": [CODE, REFRESH, CLIENT, DEVICE],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*_METHODS, "none"],
    }


def document(endpoint: str) -> dict[str, Any]:
    """The document."""
    return {
        **metadata(endpoint),
        "response_modes_supported": ["query"],
        "authorization_response_iss_parameter_supported": True,
        "revocation_endpoint": f"{endpoint}{REVOKE}",
        "revocation_endpoint_auth_methods_supported": [*_METHODS, "none"],
        "introspection_endpoint": f"{endpoint}{INTROSPECT}",
        "introspection_endpoint_auth_methods_supported": list(_METHODS),
    }
