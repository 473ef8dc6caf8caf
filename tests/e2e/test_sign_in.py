"""Each flow against an identity provider on a real socket, plain and with TLS."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import pytest
from caller import GET, WRITE, calling
from issuer import CLIENT_ID, CLIENT_SECRET, DEVICE_GRANT, PUBLIC_ID, Issuer, Request

from flyte_lite import errors
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.passthrough import auth_metadata
from flyte_lite._rpc.method import Method

PROGRAM = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def issuer(request: pytest.FixtureRequest) -> Iterator[Issuer]:
    with Issuer(secure=request.param) as issuer:
        yield issuer


@pytest.fixture
def plain_issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def bearers(issuer: Issuer, header: str = "authorization") -> list[str]:
    return [request.headers.get(header, "") for request in issuer.calls]


@pytest.mark.parametrize("style", ["basic", "post", None])
def test_client_credentials(issuer: Issuer, style: Optional[str]) -> None:
    with calling(issuer, **PROGRAM, client_auth=style) as caller:
        assert [caller.call() for _ in range(3)] == [1, 1, 1]

    assert len(issuer.to("/token")) == 1
    assert set(bearers(issuer)) == {f"Bearer {issuer.issued[0]}"}
    assert issuer.to("/token")[0].form["scope"] == "all offline"


def test_a_token_that_the_server_takes_no_more(issuer: Issuer) -> None:
    with calling(issuer, **PROGRAM) as caller:
        caller.call()
        issuer.revoke()
        assert caller.call() == 2, "once refused, once taken"
        assert caller.call() == 1

    assert len(issuer.to("/token")) == 2


@pytest.mark.parametrize(
    "answer",
    [
        (403, "application/json", b'{"code":"permission_denied","message":"not you"}'),
        (403, "text/html", b"<html>RBAC: access denied"),
        (403, "application/json", b"{}"),
    ],
    ids=["flyte", "a page", "nothing"],
)
@pytest.mark.parametrize("settings", [PROGRAM, {"auth_type": "DeviceFlow"}], ids=["program", "person"])
def test_what_is_forbidden_is_no_matter_of_tokens(settings: dict[str, Any], answer: tuple[int, str, bytes]) -> None:
    with Issuer(secure=True) as issuer:
        issuer.before = lambda request: answer if request.path.endswith("/GetProject") else None
        with calling(issuer, **settings) as caller, pytest.raises(errors.PermissionDeniedError):
            caller.call()

        assert len(issuer.calls) == 1
        assert len(issuer.to("/token")) == 1
        assert len(caller.told) == (1 if "auth_type" in settings else 0)


def test_a_gateway_that_forbids_what_it_does_not_know_asks_for_a_sign_in() -> None:
    """As Istio does, before it has seen a token."""

    def forbid(request: Request) -> Any:
        unknown = request.path.endswith("/GetProject") and "authorization" not in request.headers
        return (403, "text/plain", b"RBAC: access denied") if unknown else None

    with Issuer(secure=True) as issuer:
        issuer.before = forbid
        with calling(issuer, auth_type="DeviceFlow", on_demand=True) as caller:
            assert [caller.call(), caller.call()] == [2, 1]


def test_a_server_that_refuses_all_tokens_is_asked_twice(plain_issuer: Issuer) -> None:
    plain_issuer.life = -1  # over before they are used; that is nobody's length of time, so it is not believed
    with calling(plain_issuer, **PROGRAM) as caller, pytest.raises(errors.UnauthenticatedError, match="who are you"):
        caller.call()

    assert len(plain_issuer.calls) == 2
    assert len(plain_issuer.to("/token")) == 2


def test_a_token_is_renewed_before_its_end(plain_issuer: Issuer) -> None:
    plain_issuer.life = 0.4
    plain_issuer.grace = 5.0  # a slow machine must not make it late
    started = time.monotonic()
    with calling(plain_issuer, **PROGRAM) as caller:
        while len(plain_issuer.to("/token")) < 4:
            assert caller.call() == 1, "never refused"
            assert time.monotonic() - started < 30
            time.sleep(0.01)

    assert time.monotonic() - started > 2 * plain_issuer.life, "three of them served for most of their lives"


def test_the_header_is_the_one_that_the_server_names(issuer: Issuer) -> None:
    issuer.header = "flyte-authorization"
    with calling(issuer, **PROGRAM) as caller:
        assert caller.call() == 1

    assert bearers(issuer) == [""]
    assert bearers(issuer, "flyte-authorization") == [f"Bearer {issuer.issued[0]}"]


def test_a_server_with_the_document_of_rfc_8414(issuer: Issuer) -> None:
    issuer.has_rpc = False
    with calling(issuer, **PROGRAM) as caller:
        assert caller.call() == 1


def test_a_wrong_secret(issuer: Issuer) -> None:
    refused = pytest.raises(errors.UnauthenticatedError, match=r"invalid_client \(app:1 is not known with")
    with calling(issuer, client_id=CLIENT_ID, client_secret="planted") as caller, refused as caught:
        caller.call()

    assert "planted" not in str(caught.value)
    assert not caught.value.sent
    assert issuer.calls == []
    assert len(issuer.to("/token")) == 1, "it does not get better by asking again"


@pytest.mark.parametrize("method", [GET, WRITE], ids=["read", "write"])
def test_a_provider_that_is_down_for_a_moment(plain_issuer: Issuer, method: Method[Any, Any]) -> None:
    down = iter([True])
    plain_issuer.before = lambda request: (
        (503, "text/plain", b"later") if request.path == "/token" and next(down, False) else None
    )
    with calling(plain_issuer, **PROGRAM) as caller:
        assert caller.call(method=method) == 1
    assert len(plain_issuer.to("/token")) == 2


def test_a_provider_that_redirects_is_not_followed(issuer: Issuer) -> None:
    issuer.token_endpoint = f"{issuer.url}/authorize"
    issuer.before = lambda request: (307, "text/html", b"") if request.path == "/authorize" else None
    with calling(issuer, **PROGRAM) as caller, pytest.raises(errors.EndpointError, match="never followed"):
        caller.call()
    assert issuer.calls == []


def test_a_provider_that_does_not_answer_costs_no_more_than_the_call_has(issuer: Issuer) -> None:
    gone = threading.Event()

    def hang(request: Request) -> None:
        if request.path == "/token":
            gone.wait(60)

    issuer.before = hang
    started = time.monotonic()
    with calling(issuer, **PROGRAM) as caller, pytest.raises(errors.CallTimeoutError, match="no token from") as caught:
        caller.call(1.5)
    gone.set()
    assert time.monotonic() - started < 20
    assert not caught.value.sent


def test_many_threads_make_one_token(issuer: Issuer) -> None:
    with calling(issuer, **PROGRAM) as caller:
        caller.call_in_threads(16)
        assert len(issuer.to("/token")) == 1
        issuer.revoke()
        caller.call_in_threads(16)
        assert len(issuer.to("/token")) == 2


@pytest.mark.parametrize("how", ["text", "function", "command"])
def test_a_token_from_elsewhere(issuer: Issuer, how: str) -> None:
    issuer.header = "flyte-authorization"
    token = issuer.new_token()
    print_it = [sys.executable, "-c", "import sys; print(sys.argv[1])", token]
    settings: dict[str, Any] = {"command": print_it} if how == "command" else {}
    if how != "command":
        settings = {"token": token if how == "text" else lambda: token}
    with calling(issuer, **settings) as caller:
        assert caller.call() == 2, "the usual header did not do, and then the server was asked for it"
        assert caller.call() == 1
        issuer.revoke()
        with pytest.raises(errors.UnauthenticatedError, match="who are you"):
            caller.call()

    assert issuer.to("/token") == []
    assert len(issuer.calls) == 4, "the same token is not shown twice"


def test_nothing_is_shown_where_nothing_is_asked_for() -> None:
    with Issuer(secure=True) as issuer:
        issuer.before = lambda request: (200, "application/proto", b"") if "GetProject" in request.path else None
        with calling(issuer) as caller:
            assert caller.call() == 1
        assert len(issuer.requests) == 1


def test_headers_of_the_callers(issuer: Issuer) -> None:
    token = issuer.new_token()
    with calling(issuer, auth_type="Passthrough") as caller:
        with auth_metadata(("Authorization", f"Bearer {token}")):
            assert caller.call() == 1
        with pytest.raises(errors.UnauthenticatedError):
            caller.call()

    assert len(issuer.calls) == 2


def test_a_device_code(issuer: Issuer) -> None:
    issuer.approve = lambda nth: "" if nth > 1 else None
    # The first call ends before it asks: a question under way at its end might get the token, and lose it.
    issuer.interval = 1.6
    with calling(issuer, auth_type="DeviceFlow") as caller:
        with pytest.raises(errors.CallTimeoutError, match="code is still good"):
            caller.call(1.5)
        assert caller.call() == 1
        assert [request.form["grant_type"] for request in issuer.to("/token")] == [DEVICE_GRANT] * 2
        assert len(issuer.to("/device")) == 1
        assert caller.told == [f"To sign in, open {issuer.url}/activate and enter the code WDJB-MJHT"] * 2
        issuer.revoke()
        assert caller.call() == 2, "by the refresh token"

    assert len(issuer.to("/device")) == 1
    assert issuer.to("/token")[-1].form["grant_type"] == "refresh_token"


def test_who_signs_in_slowly_has_the_time_if_nobody_has_set_one(issuer: Issuer) -> None:
    issuer.approve = lambda nth: "" if nth > 1 else None
    issuer.interval = 1.0
    with calling(issuer, auth_type="DeviceFlow") as caller, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(caller.call, 1.5, usual=True) for _ in range(3)]
        assert [call.result(60) for call in calls] == [1, 1, 1]

    assert len(issuer.to("/device")) == 1


def test_a_device_code_that_is_declined(issuer: Issuer) -> None:
    issuer.approve = lambda nth: "access_denied"
    declined = pytest.raises(errors.UnauthenticatedError, match="declined")
    with calling(issuer, auth_type="DeviceFlow") as caller, declined:
        caller.call()


def test_refresh_tokens_that_rotate_are_not_burnt(issuer: Issuer) -> None:
    with calling(issuer, auth_type="DeviceFlow") as caller:
        caller.call()
        for generation in range(1, 4):
            issuer.revoke()
            caller.call_in_threads(12)
            grants = [request.form["grant_type"] for request in issuer.to("/token")]
            assert grants[1:] == ["refresh_token"] * generation
        assert len(caller.told) == 1


def test_a_sign_in_that_was_ended_elsewhere_begins_anew(issuer: Issuer) -> None:
    with calling(issuer, auth_type="DeviceFlow") as caller:
        caller.call()
        issuer.revoke()
        issuer._refresh.clear()
        assert caller.call() == 2

    assert len(caller.told) == 2


@pytest.mark.parametrize("header", ["authorization", "flyte-authorization"])
def test_a_proxy_before_everything(issuer: Issuer, header: str) -> None:
    issuer.proxy_token = "first"
    issuer.header = header
    said = [sys.executable, "-c", "import os; print(os.environ['SAID'])"]
    settings: dict[str, Any] = {"proxy_command": said, "proxy_environ": {"SAID": "first"}}
    with calling(issuer, **PROGRAM, **settings) as caller:
        assert caller.call() == 1

    assert {request.headers.get("proxy-authorization") for request in issuer.requests} == {"Bearer first"}
    paths = {request.path.rpartition("/")[2] for request in issuer.requests}
    assert paths == {"GetPublicClientConfig", "GetOAuth2Metadata", "token", "GetProject"}
    assert bearers(issuer, header) == [f"Bearer {issuer.issued[0]}"]


def test_a_proxy_whose_token_ends(issuer: Issuer, tmp_path: Any) -> None:
    said = tmp_path / "said"
    said.write_text("first")
    issuer.proxy_token = "first"
    command = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", str(said)]
    with calling(issuer, **PROGRAM, proxy_command=command) as caller:
        caller.call()
        said.write_text("second")
        issuer.proxy_token = "second"
        assert caller.call() == 2


def test_a_token_endpoint_that_the_caller_names(issuer: Issuer) -> None:
    issuer.before = lambda request: (404, "text/html", b"") if "AuthMetadata" in request.path else None
    with calling(issuer, **PROGRAM, known=ClientConfig(token_endpoint=issuer.token_endpoint, scopes=("x",))) as caller:
        assert caller.call() == 1
    assert issuer.to("/token")[0].form["scope"] == "x"


def test_nothing_secret_is_written_anywhere(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    written: list[str] = []

    def run(**settings: Any) -> None:
        with calling(issuer, **settings) as caller:
            for spoil in (None, issuer.revoke, issuer._refresh.clear):
                if spoil is not None:
                    spoil()
                try:
                    caller.call()
                except errors.FlyteLiteError as error:
                    written.append("".join(traceback.format_exception(type(error), error, error.__traceback__)))
            written.extend(map(repr, (caller.credentials, vars(caller.credentials), caller.channel, *caller.told)))

    with caplog.at_level(logging.DEBUG):
        run(**PROGRAM)
        run(client_id=CLIENT_ID, client_secret=CLIENT_SECRET + "x")
        run(auth_type="DeviceFlow")
        run(token=issuer.new_token())
        run(command=[sys.executable, "-c", "import sys; print(sys.argv[1])", issuer.new_token()])
        run(command=[sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", issuer.new_token()])
    everything = "\n".join([*written, *(record.getMessage() for record in caplog.records)])

    assert len(caplog.records) > 20
    assert "a new token; it is good for" in everything
    # The last command wrote its token to stderr itself, without giving it out.
    planted = [*issuer.issued[:-1], CLIENT_SECRET]
    assert [secret for secret in planted if secret in everything] == []
    assert PUBLIC_ID not in planted
