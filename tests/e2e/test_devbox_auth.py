"""A devbox that wants to know who calls: each way in with our own client, and each way out."""

from __future__ import annotations

import contextlib
import html
import http.client
import json
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from caller import Caller, Place
from caller import calling as calling_at
from one_refresh import Crowd
from stand_in_browser import Browser

from flyte_lite import Client, errors
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._rpc.method import Method
from flyte_lite.devbox import Devbox, report
from flyte_lite.devbox.issuer.clients import DEVICE
from flyte_lite.idl.flyteidl2.auth import identity_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.remote import create_channel

PROJECT, DOMAIN = "flytesnacks", "development"
WHO: Method[Any, Any] = Method(identity_pb2, "IdentityService", "UserInfo", safe=True)
LINK: Method[Any, Any] = Method(dataproxy_service_pb2, "DataProxyService", "CreateDownloadLink", safe=True)


@pytest.fixture(scope="module")
def shared() -> Iterator[Devbox]:
    with Devbox(auth=True) as box:

        @box.task(name="numbers.next", version="v1")
        def next_one(x: int) -> int:
            return x + 1

        @box.task(name="numbers.after_next", version="v1")
        def after_next(x: int) -> int:
            return next_one(next_one(x))

        @box.task(name="numbers.report", version="v1")
        def describe() -> None:
            report.log("a page for people")

        yield box


@pytest.fixture
def box(shared: Devbox) -> Iterator[Devbox]:
    shared.issuer.redirect_uris = ["http://localhost/callback"]
    shared.issuer.device_interval = 0.05
    yield shared
    shared.reset()


@contextlib.contextmanager
def calling(box: Devbox, **settings: Any) -> Iterator[Caller]:
    with calling_at(Place("http", urlsplit(box.endpoint).port or 0), **settings) as made:
        yield made


class Presser(Browser):
    """Somebody who presses a button of the page that is shown, in a browser with cookies and without scripts.

    Args:
        decision: Which button.
        filled: What else is filled in.
    """

    def __init__(self, decision: str, **filled: str) -> None:
        super().__init__()
        self._filled = {**filled, "decision": decision}
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()]
        self._opener = urllib.request.build_opener(*handlers)

    def _act(self, url: str) -> None:
        try:
            self.press(url)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.problems.append(error)

    def press(self, url: str) -> str:
        """What is shown in the end."""
        page = self._opener.open(url, timeout=10).read().decode()
        (action,) = re.findall(r'<form method="post" action="([^"]+)">', page)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
        form = {**{name: html.unescape(value) for name, value in hidden.items()}, **self._filled}
        asked = urllib.request.Request(urljoin(url, action), urlencode(form).encode())
        # Browsers say it of what is posted, and not of where that leads.
        asked.add_unredirected_header("Origin", urljoin(url, "/")[:-1])
        try:
            with self._opener.open(asked, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()


def who(caller: Caller) -> str:
    """Whom the devbox takes the caller for."""
    deadline = Deadline(SYSTEM_CLOCK, 20.0)
    return str(caller.channel.unary(WHO, identity_pb2.UserInfoRequest(), deadline=deadline).message.subject)


def program(box: Devbox, **further: Any) -> dict[str, Any]:
    return {"client_id": box.issuer.client_id, "client_secret": box.issuer.client_secret, **further}


def test_nobody_is_let_in_without_a_token(box: Devbox) -> None:
    with Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client, pytest.raises(errors.UnauthenticatedError):
        client.runs.get("r1").fetch()


def test_all_calls_need_a_token_but_those_that_tell_how_to_get_one(box: Devbox) -> None:
    port = int(box.endpoint.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    let_in = set()
    with contextlib.closing(connection):
        for path, rpc in box._application._rpcs.items():
            connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 401:
                let_in.add(rpc.name)
            else:
                assert json.loads(said)["code"] == "unauthenticated"
                assert answer.headers["www-authenticate"].startswith("Bearer ")

    assert let_in == {"AuthMetadataService/GetOAuth2Metadata", "AuthMetadataService/GetPublicClientConfig"}


def test_who_finds_no_rpc_reads_how_to_sign_in(box: Devbox) -> None:
    address = urlsplit(box.endpoint).netloc
    documents = {}
    with contextlib.closing(http.client.HTTPConnection(address, timeout=10)) as connection:
        for path in ("/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/oauth2"):
            connection.request("GET", path, headers={"X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
            assert answer.headers["content-type"] == "application/json"
            documents[path] = json.loads(answer.read())
        # What would follow the head of its answer would be taken for the beginning of the next one.
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.read(), int(answer.headers["content-length"]) > 100) == (b"", True)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"OK"

    server, issuer = documents.values()
    assert server["issuer"] == issuer["issuer"] == f"https://{address}/oauth2"
    assert server["tokenEndpoint"] == issuer["token_endpoint"], "the real server's spelling, and RFC 8414's"


def test_a_program_runs_tasks_that_call_tasks(box: Devbox) -> None:
    with Client(api_key=box.issuer.api_key, project=PROJECT, domain=DOMAIN) as client:
        run = client.run(client.tasks.get("numbers.after_next", version="v1").fetch(), x=1)
        run.wait(timeout=60)

        assert run.outputs()[0] == 3
        assert run.details().pb2.action.metadata.executed_by.user.id.subject == box.issuer.client_id

    assert box.issuer.issued() == {"client_credentials": 1}


@pytest.mark.parametrize("style", ["basic", "post", None])
def test_a_program_signs_in(box: Devbox, style: Optional[str]) -> None:
    with calling(box, **program(box, client_auth=style)) as caller:
        assert who(caller) == who(caller) == box.issuer.client_id

    assert box.issuer.issued() == {"client_credentials": 1}


def test_a_wrong_secret(box: Devbox) -> None:
    wrong = {**program(box, client_auth="post"), "client_secret": "planted"}
    refused = pytest.raises(errors.UnauthenticatedError, match="invalid_client")
    with calling(box, **wrong) as caller, refused as caught:
        who(caller)

    assert "planted" not in str(caught.value)


def test_a_person_signs_in_with_a_browser(box: Devbox) -> None:
    box.issuer.automatic_user = "grace"
    browser = Browser()
    with calling(box, auth_type="Pkce", browse=browser) as caller:
        assert who(caller) == "grace"
        box.issuer.expire_tokens()
        assert who(caller) == "grace"

    browser.done()
    assert box.issuer.issued() == {"authorization_code": 1, "refresh_token": 1}


def test_a_person_allows_it_on_the_page(box: Devbox) -> None:
    browser = Presser("allow", user="ada", other="Bob <b>")
    with calling(box, auth_type="Pkce", browse=browser) as caller:
        assert who(caller) == "Bob <b>"
    browser.done()


def test_a_person_declines_on_the_page(box: Devbox) -> None:
    browser = Presser("deny", user="ada")
    declined = pytest.raises(errors.UnauthenticatedError, match="access_denied")
    with calling(box, auth_type="Pkce", browse=browser) as caller, declined:
        who(caller)
    browser.done()
    assert box.issuer.requests == []


def test_a_person_signs_in_with_another_device(box: Devbox) -> None:
    with calling(box, auth_type="DeviceFlow") as caller, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(who, caller)
        while not box.issuer.waiting():
            assert not waiting.done()
        (code,) = box.issuer.waiting()
        box.issuer.allow(code.lower().replace("-", " "), as_user="ada")

        assert waiting.result(20) == "ada"
    assert code in caller.told[0]


@pytest.mark.parametrize(("decision", "shown"), [("allow", "Signed in"), ("deny", "Denied")])
def test_a_person_decides_on_the_page_of_a_device_code(box: Devbox, decision: str, shown: str) -> None:
    with calling(box, auth_type="DeviceFlow") as caller, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(who, caller)
        while not caller.told:
            assert not waiting.done()
        (page,) = re.findall(r"http://\S+", caller.told[0])
        (code,) = box.issuer.waiting()
        url = page if "user_code" in page else f"{page}?user_code={code}"

        assert shown in Presser(decision, user="grace").press(url)

        if decision == "allow":
            assert waiting.result(20) == "grace"
        else:
            with pytest.raises(errors.UnauthenticatedError):
                waiting.result(20)


def test_a_person_declines_on_another_device(box: Devbox) -> None:
    with calling(box, auth_type="DeviceFlow") as caller, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(who, caller)
        while not box.issuer.waiting():
            assert not waiting.done()
        box.issuer.deny(box.issuer.waiting()[0])

        with pytest.raises(errors.UnauthenticatedError, match="declined"):
            waiting.result(20)
    with pytest.raises(ValueError, match="no device code"):
        box.issuer.allow("BCDF-GHJK", as_user="ada")


def test_a_token_made_by_hand(box: Devbox) -> None:
    with calling(box, token=box.issuer.token("ada")) as caller:
        said = caller.channel.unary(WHO, identity_pb2.UserInfoRequest(), deadline=Deadline(SYSTEM_CLOCK, 20.0)).message
    whole = [said.subject, said.name, said.given_name, said.family_name, said.email]
    assert whole == ["ada", "Ada Lovelace", "Ada", "Lovelace", "ada@example.com"]
    for token in (
        box.issuer.token("ada", audience="somebody-else"),
        box.issuer.token("ada", seconds=-1),
        box.issuer.token("ada") + "x",
    ):
        with calling(box, token=token) as caller, pytest.raises(errors.UnauthenticatedError):
            who(caller)


def test_what_is_revoked_is_good_for_nothing(box: Devbox) -> None:
    box.issuer.automatic_user = "ada"
    with calling(box, auth_type="DeviceFlow") as caller:
        who(caller)
        box.issuer.revoke_all()
        who(caller)

    assert [(each.grant_type.rpartition(":")[2], each.error) for each in box.issuer.requests] == [
        ("device_code", ""),
        ("refresh_token", "invalid_grant"),
        ("device_code", ""),
    ]


def test_a_devbox_that_is_made_again_knows_its_tokens(tmp_path: Path) -> None:
    with Devbox(state=tmp_path, auth=True) as box:
        token, secret = box.issuer.token("ada"), box.issuer.client_secret
    with Devbox(state=tmp_path, auth=True) as box:
        assert box.issuer.client_secret == secret
        with calling(box, token=token) as caller:
            assert who(caller) == "ada"
        box.reset()
        assert box.issuer.client_secret == secret
        with calling(box, token=token) as caller, pytest.raises(errors.UnauthenticatedError):
            who(caller)


@pytest.mark.parametrize("how", [{}, {"get": True}, {"protocol": "grpc-web"}], ids=["connect", "get", "grpc-web"])
def test_a_token_that_has_expired_is_replaced_in_any_protocol(box: Devbox, how: dict[str, Any]) -> None:
    with create_channel(box.endpoint, **program(box), **how) as channel:
        client = Client(channel=channel, project=PROJECT, domain=DOMAIN)
        run = client.run(client.tasks.get("numbers.next", version="v1").fetch(), x=1)
        run.wait(timeout=60)
        box.issuer.expire_tokens()
        assert run.outputs()[0] == 2
        box.issuer.expire_tokens()
        assert list(run.get_logs()) == []

    assert box.issuer.issued() == {"client_credentials": 3}
    refused = [call for call in box.calls if call.code is errors.Code.UNAUTHENTICATED]
    assert len(refused) == 2


def test_a_signed_address_needs_no_token(box: Devbox) -> None:
    with create_channel(box.endpoint, **program(box)) as channel:
        client = Client(channel=channel, project=PROJECT, domain=DOMAIN)
        run = client.run(client.tasks.get("numbers.report", version="v1").fetch())
        run.wait(timeout=60)
        request = dataproxy_service_pb2.CreateDownloadLinkRequest()
        request.artifact_type = dataproxy_service_pb2.ARTIFACT_TYPE_REPORT
        request.action_attempt_id.attempt = 1
        action = request.action_attempt_id.action_id
        action.run.project, action.run.domain, action.run.name, action.name = PROJECT, DOMAIN, run.name, "a0"
        (url,) = channel.unary(LINK, request, deadline=Deadline(SYSTEM_CLOCK, 20.0)).message.pre_signed_urls.signed_url
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    with opener.open(url, timeout=10) as answer:
        assert "a page for people" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        opener.open(url.partition("?")[0], timeout=10)


def test_nothing_secret_is_said(box: Devbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    box.issuer.automatic_user = "ada"
    settings = [program(box), {"auth_type": "DeviceFlow"}, {"auth_type": "Pkce", "browse": Browser()}]
    shown: list[str] = []
    for each in settings:
        with calling(box, **each) as caller:
            who(caller)
            shown.append(str(caller.credentials.headers(Deadline(SYSTEM_CLOCK, 5.0))["authorization"]))
            box.issuer.revoke_all()
            who(caller)
    said = "\n".join([caplog.text, repr(box.issuer), repr(list(box.calls)), str(box.issuer.requests)])

    assert "IdentityService/UserInfo" in said
    for header in shown:
        assert header.rpartition(" ")[2] not in said
    for secret in (box.issuer.client_secret, box.issuer.api_key, "eyJ"):
        assert secret not in said, "and nothing else that looks like a JWT"


def test_another_header() -> None:
    with Devbox(auth=True, auth_header="Flyte-Authorization") as box, calling(box, **program(box)) as caller:
        assert who(caller) == box.issuer.client_id
        assert [
            call.headers.get("flyte-authorization", "")[:7] for call in box.calls.of("IdentityService/UserInfo")
        ] == ["Bearer "]


def test_many_processes_of_many_threads_make_one_refresh_a_generation(box: Devbox, tmp_path: Path) -> None:
    """Each refresh token is good for one time, and a second time would sign everybody out."""
    settings: dict[str, Any] = {"auth_type": "DeviceFlow", "token_store": str(tmp_path / "tokens")}
    box.issuer.automatic_user = "ada"
    with calling(box, **settings) as caller:
        assert who(caller) == "ada"
    box.issuer.automatic_user = None
    with Crowd({"endpoint": box.endpoint, **settings, "interactive": False}, processes=8, threads=32) as crowd:
        for generation in (1, 2, 3):
            box.issuer.expire_tokens()

            assert crowd.call() == []
            assert box.issuer.issued() == {DEVICE: 1, "refresh_token": generation}

    assert [request.error for request in box.issuer.requests] == [""] * 4


@pytest.mark.parametrize("name", ["", "two words", "x:", "h\u00e9ader"])
def test_a_header_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="auth_header"):
        Devbox(state=tmp_path, auth=True, auth_header=name)
    Devbox(state=tmp_path).close()


@pytest.mark.parametrize("auth", [None, "https://login.example.com", 1])
def test_what_can_not_say_whose_tokens_are_taken(tmp_path: Path, auth: Any) -> None:
    with pytest.raises(TypeError, match="auth must be True, False or an ExternalIssuer, not"):
        Devbox(state=tmp_path, auth=auth)
    Devbox(state=tmp_path).close()


def test_a_devbox_without_it_has_no_issuer() -> None:
    with Devbox() as box, pytest.raises(RuntimeError, match="auth=True"):
        box.issuer  # noqa: B018 - that is what fails
