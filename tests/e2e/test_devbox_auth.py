"""A devbox that wants to know who calls: each way in with our own client, and each way out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from caller import Caller
from caller import calling as calling_at
from stand_in_browser import Browser

from flyte_lite import Client, errors
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._rpc.method import Method
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.auth import identity_pb2

PROJECT, DOMAIN = "flytesnacks", "development"
WHO: Method[Any, Any] = Method(identity_pb2, "IdentityService", "UserInfo", safe=True)


@pytest.fixture(scope="module")
def shared() -> Iterator[Devbox]:
    with Devbox(auth=True) as box:

        @box.task(name="numbers.next", version="v1")
        def next_one(x: int) -> int:
            return x + 1

        @box.task(name="numbers.after_next", version="v1")
        def after_next(x: int) -> int:
            return next_one(next_one(x))

        yield box


@pytest.fixture
def box(shared: Devbox) -> Iterator[Devbox]:
    shared.issuer.redirect_uris = ["http://localhost/callback"]
    shared.issuer.device_interval = 0.05
    yield shared
    shared.reset()


class Address(NamedTuple):
    """Where a devbox is, as `caller.Caller` wants to know it."""

    scheme: str
    port: int


@contextlib.contextmanager
def calling(box: Devbox, **settings: Any) -> Iterator[Caller]:
    scheme, _, port = box.endpoint.replace("://", ":").split(":")
    with calling_at(Address(scheme, int(port)), **settings) as made:  # type: ignore[arg-type]
        yield made


def who(caller: Caller) -> str:
    """Whom the devbox takes the caller for."""
    deadline = Deadline(SYSTEM_CLOCK, 20.0)
    return str(caller.channel.unary(WHO, identity_pb2.UserInfoRequest(), deadline=deadline).message.subject)


def program(box: Devbox, **further: Any) -> dict[str, Any]:
    return {"client_id": box.issuer.client_id, "client_secret": box.issuer.client_secret, **further}


def test_nobody_is_let_in_without_a_token(box: Devbox) -> None:
    with Client(box.endpoint, project=PROJECT, domain=DOMAIN) as client, pytest.raises(errors.UnauthenticatedError):
        client.runs.get("r1").fetch()


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


def test_a_person_signs_in_with_another_device(box: Devbox) -> None:
    with calling(box, auth_type="DeviceFlow") as caller, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(who, caller)
        while not box.issuer.waiting():
            assert not waiting.done()
        (code,) = box.issuer.waiting()
        box.issuer.allow(code.lower().replace("-", " "), as_user="ada")

        assert waiting.result(20) == "ada"
    assert code in caller.told[0]


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
        assert who(caller) == "ada"
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


def test_another_header() -> None:
    with Devbox(auth=True, auth_header="Flyte-Authorization") as box, calling(box, **program(box)) as caller:
        assert who(caller) == box.issuer.client_id
        assert [
            call.headers.get("flyte-authorization", "")[:7] for call in box.calls.of("IdentityService/UserInfo")
        ] == ["Bearer "]


def test_a_devbox_without_it_has_no_issuer() -> None:
    with Devbox() as box, pytest.raises(RuntimeError, match="auth=True"):
        box.issuer  # noqa: B018 - that is what fails
