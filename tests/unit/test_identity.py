"""Who we are to a server, as far as it says, and what is said of the token that proves it."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from fakes import FakeChannel, FakeClock

from flyte_lite import errors
from flyte_lite._auth.person import has_browser
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._cli.whoami import named
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._connection import channel_of
from flyte_lite._doctor.identity import Proof, proof_of, shows, who
from flyte_lite.config import Config
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.auth import identity_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2

ADA = identity_pb2.UserInfoResponse(subject="ada", name="Ada", email="ada@example.com")
PROJECTS = project_service_pb2.ListProjectsResponse()


class Showing:
    """Credentials that are there, or not."""

    def __init__(self, *shown: str) -> None:
        self.shown = dict.fromkeys(shown, "Bearer t")

    def headers(self, deadline: Any) -> dict[str, str]:
        return self.shown

    def refused(self, sent: Any, deadline: Any) -> bool:
        return False


def unauthenticated(sent: bool = True) -> errors.UnauthenticatedError:
    return errors.UnauthenticatedError("who are you?", Code.UNAUTHENTICATED, sent=sent)


def asked(channel: FakeChannel, *shown: str) -> Optional[identity_pb2.UserInfoResponse]:
    session: Any = channel.session()
    session.channel.credentials = Showing(*shown)
    return who(session, session.deadline())


def test_the_server_says_who() -> None:
    channel = FakeChannel().on("IdentityService/UserInfo", ADA)

    assert asked(channel, "authorization") == ADA
    assert channel.asked("ProjectService/ListProjects") == []


UNKNOWN = [
    errors.UnimplementedError("no such thing", Code.UNIMPLEMENTED),
    errors.PermissionDeniedError("not yours", Code.PERMISSION_DENIED),
    unauthenticated(),
]


@pytest.mark.parametrize("answer", UNKNOWN, ids=lambda each: each.code.value)
def test_a_server_that_takes_the_token_need_not_say_whose_it_is(answer: errors.CallError) -> None:
    channel = FakeChannel().on("IdentityService/UserInfo", answer).on("ProjectService/ListProjects", PROJECTS)

    assert asked(channel, "authorization") is None


@pytest.mark.parametrize("answer", UNKNOWN, ids=lambda each: each.code.value)
def test_a_server_that_takes_it_nowhere_says_so(answer: errors.CallError) -> None:
    channel = FakeChannel().on("IdentityService/UserInfo", answer).on("ProjectService/ListProjects", unauthenticated())

    with pytest.raises(errors.UnauthenticatedError):
        asked(channel, "authorization")


@pytest.mark.parametrize(("answer", "shown"), [(unauthenticated(), ()), (unauthenticated(sent=False), ("x",))])
def test_whoever_shows_nothing_is_nobody(answer: errors.CallError, shown: tuple[str, ...]) -> None:
    channel = FakeChannel().on("IdentityService/UserInfo", answer).on("ProjectService/ListProjects", PROJECTS)

    with pytest.raises(errors.UnauthenticatedError):
        asked(channel, *shown)
    assert channel.asked("ProjectService/ListProjects") == []


@pytest.mark.parametrize(
    ("kind", "left", "refresh", "said"),
    [
        (None, 3600.0, "r", "good for 60 min, then renewed without asking"),
        (None, 3600.0, None, "good for 60 min"),
        ("ClientSecret", 90.0, None, "good for 90 s, then renewed without asking"),
        (None, 4 * 86400.0, None, "good for 4 days"),
        (None, 5 * 3600.0, None, "good for 5 h"),
        (None, None, None, "nobody said how long it is good"),
        (None, 0.0, "r", "its time is over, then renewed without asking"),
        (None, -5.0, None, "its time is over"),
    ],
)
def test_how_long_a_token_is_good(kind: Any, left: Optional[float], refresh: Optional[str], said: str) -> None:
    clock = FakeClock()
    token = Token("t", Moment.now(clock), life=left, refresh=refresh)

    assert Proof(kind, "default", "", token).life(clock) == said
    assert Proof(kind, "default", "", None).life(clock) == ""


def test_who_it_is_fits_on_a_line() -> None:
    assert named(ADA) == "Ada <ada@example.com> (subject ada)"
    assert named(identity_pb2.UserInfoResponse(subject="app")) == "(subject app)"
    assert named(identity_pb2.UserInfoResponse(subject="a\x1b[2J\nb")) == "(subject a [2J b)"
    assert "does not say" in named(None)


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
def test_a_browser_is_where_somebody_says_so(name: str) -> None:
    assert has_browser({name: "x", "SSH_CONNECTION": "far"})
    assert not has_browser({"SSH_CONNECTION": "far"})


def test_the_token_of_a_proxy_proves_to_nobody_who_calls() -> None:
    config = Config.load({"endpoint": "http://flyte.example", "proxy_command": ["echo", "proxied"]}, {"CI": "1"})
    config = config.given({"token_store": "memory"})
    channel = channel_of(config, config.server())
    deadline = Deadline(SYSTEM_CLOCK, 60)
    assert shows(channel.credentials, deadline)

    assert proof_of(channel, config, deadline).token is None
