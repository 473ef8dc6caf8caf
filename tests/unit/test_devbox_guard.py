"""Who gets past the guard, what the others are told in each protocol, and who is then known to call."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from devbox_services import Services

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.calls import Calls
from flyte_lite.devbox.guard import Guard, TokenRefused
from flyte_lite.devbox.object_store import ObjectStore
from flyte_lite.devbox.protocols import Answer, Incoming
from flyte_lite.devbox.services import rpcs
from flyte_lite.devbox.wsgi import Application
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2, identity_pb2

READ = "/flyteidl2.project.ProjectService/ListProjects"
WHO = "/flyteidl2.auth.IdentityService/UserInfo"
HOW = "/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata"
AS_WHOM = "/flyteidl2.auth.AuthMetadataService/GetPublicClientConfig"


class Authority:
    """Knows one token."""

    def identity(self, token: str) -> Mapping[str, str]:
        if token == "unknown":
            raise refusal(Code.UNAVAILABLE, "whoever knows it is not there")
        if token != "good":
            raise TokenRefused("nobody knows it")
        return {"sub": "ada", "given_name": "Ada"}

    def metadata(self, endpoint: str) -> auth_service_pb2.GetOAuth2MetadataResponse:
        return auth_service_pb2.GetOAuth2MetadataResponse(token_endpoint=f"{endpoint}/token")

    def client(self, endpoint: str) -> auth_service_pb2.GetPublicClientConfigResponse:
        return auth_service_pb2.GetPublicClientConfigResponse(client_id="c")

    def serves(self, path: str) -> bool:
        return path == "/token"

    def answer(self, incoming: Incoming) -> Answer:
        return Answer(200, [], [b"a token"], 7)


class Server:
    def __init__(self, header: str = "authorization") -> None:
        self.services = Services()
        state = self.services.state
        store = ObjectStore(state)
        guard = Guard(Authority(), header)
        served = rpcs(state, self.services.executor, store, guard)
        self.calls = Calls({rpc.name for rpc in served.values()})
        self.application = Application(served, calls=self.calls, store=store, guard=guard)

    def ask(
        self,
        path: str,
        body: bytes = b"",
        content_type: str = "application/proto",
        method: str = "POST",
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        told: list[Any] = []
        query, path = path.partition("?")[2], path.partition("?")[0]
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "HTTP_HOST": "box:1",
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        answer = b"".join(self.application(environ, lambda status, headers: told.extend([status, headers])))
        return int(told[0].split()[0]), {name.lower(): value for name, value in told[1]}, answer


@pytest.fixture
def server() -> Any:
    made = Server()
    yield made
    made.services.state.close()


def test_whoever_has_a_token_is_let_in_and_known(server: Server) -> None:
    status, _, body = server.ask(WHO, authorization="bearer good", x_amzn_oidc_identity="somebody else")

    assert status == 200
    assert identity_pb2.UserInfoResponse.FromString(body) == identity_pb2.UserInfoResponse(
        subject="ada", given_name="Ada"
    )


@pytest.mark.parametrize("header", ["", "Basic good", "Bearer", "Bearer ", "good"])
def test_without_a_token_nobody_is_let_in(server: Server, header: str) -> None:
    status, headers, body = server.ask(READ, authorization=header)

    assert status == 401
    assert headers["www-authenticate"] == 'Bearer realm="flyte devbox"'
    assert json.loads(body)["code"] == "unauthenticated"
    assert server.calls[-1].code is not None


def test_a_token_that_is_not_good_is_told_why(server: Server) -> None:
    status, headers, body = server.ask(READ, authorization="Bearer bad")

    assert status == 401
    assert headers["www-authenticate"].endswith(', error="invalid_token", error_description="nobody knows it"')
    assert json.loads(body) == {"code": "unauthenticated", "message": "the token is not taken: nobody knows it"}


@pytest.mark.parametrize("content_type", ["application/proto", "application/grpc-web+proto"])
def test_where_nobody_can_say_a_token_is_not_said_to_be_bad(server: Server, content_type: str) -> None:
    status, headers, body = server.ask(READ, b"\0\0\0\0\0", content_type, authorization="Bearer unknown")

    assert status == 503
    assert "www-authenticate" not in headers
    if content_type == "application/proto":
        assert json.loads(body) == {"code": "unavailable", "message": "whoever knows it is not there"}
    else:
        assert headers["grpc-status"] == "14"


@pytest.mark.parametrize(
    ("content_type", "path"),
    [
        ("application/json", READ),
        ("application/connect+proto", "/flyteidl2.workflow.RunService/WatchRuns"),
        ("application/nothing", READ),
    ],
)
def test_connect_is_told_by_the_status_and_as_json(server: Server, content_type: str, path: str) -> None:
    status, headers, body = server.ask(path, b"{}", content_type)

    assert (status, headers["content-type"]) == (401, "application/json")
    assert json.loads(body)["code"] == "unauthenticated"


def test_so_is_connect_by_get(server: Server) -> None:
    path = "/flyteidl2.project.ProjectService/GetProject?connect=v1&encoding=json&message=%7B%7D"

    assert server.ask(path, method="GET", content_type="")[0] == 401


@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/grpc+proto"])
def test_grpc_is_told_by_the_status_and_by_its_own(server: Server, content_type: str) -> None:
    status, headers, body = server.ask(READ, b"\0\0\0\0\0", content_type)

    assert (status, headers["grpc-status"], body) == (401, "16", b"")
    assert headers["content-type"] == content_type


def test_only_the_header_that_it_names_is_looked_at() -> None:
    server = Server("Flyte-Authorization")

    assert server.ask(READ, authorization="Bearer good")[0] == 401
    assert server.ask(READ, flyte_authorization="Bearer good")[0] == 200
    config = auth_service_pb2.GetPublicClientConfigResponse.FromString(server.ask(AS_WHOM)[2])
    assert (config.client_id, config.authorization_metadata_key) == ("c", "flyte-authorization")
    server.services.state.close()


def test_how_to_sign_in_is_told_to_everybody(server: Server) -> None:
    status, _, body = server.ask(HOW, x_forwarded_proto="https")
    _, headers, document = server.ask("/.well-known/oauth-authorization-server", method="GET")

    assert status == 200
    assert auth_service_pb2.GetOAuth2MetadataResponse.FromString(body).token_endpoint == "https://box:1/token"
    assert headers["content-type"] == "application/json"
    assert json.loads(document) == {"tokenEndpoint": "http://box:1/token"}, "names as protobuf has them in JSON"
    assert server.ask("/token")[2] == b"a token"
    assert server.ask("/tokens")[0] == 404
