"""A wait of hours outlives many tokens, on a clock that turns by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import parse_qsl

import pytest
from fakes import FakeClock, HttpAnswer, web_answer

from flyte_lite._auth.person import Person
from flyte_lite._auth.sign_in import SignIn
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._rpc.channel import Channel
from flyte_lite._session import Scope, Session
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import ActionPhase
from flyte_lite.remote import Run

QUEUED, RUNNING, SUCCEEDED = 1, 4, 5
ORIGIN = Origin("https", "flyte.example", 443)
PROTO = {"content-type": ["application/proto"]}


class Server:
    """A server and its provider, whose tokens end by the clock, and whose refresh tokens are good for once.

    Attributes:
        life: Seconds that a token is good for.
        says: What is said of that; None says nothing.
        took: How often a token was taken, and how often one was refused.
        grants: Of each token that was asked for.
    """

    def __init__(self, clock: FakeClock, hours: float, life: float, says: Optional[float]) -> None:
        self.clock = clock
        self.ends = clock.now + hours * 3600
        self.life = life
        self.says = says
        self.took, self.refused = 0, 0
        self.grants: list[str] = []
        self._token = ("", 0.0)
        self._refresh = ""

    def exchange(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, Any],
        body: Optional[bytes],
        deadline: Deadline,
        limit: int,
    ) -> HttpAnswer:
        name = target.rpartition("/")[2]
        if name in ("token", "device"):
            return self._provider(name, dict(parse_qsl((body or b"").decode())))
        if name == "GetOAuth2Metadata":
            url = "https://flyte.example"
            return self._message(
                auth_service_pb2.GetOAuth2MetadataResponse(
                    token_endpoint=f"{url}/token", device_authorization_endpoint=f"{url}/device"
                )
            )
        if name == "GetPublicClientConfig":
            return self._message(auth_service_pb2.GetPublicClientConfigResponse(client_id="public"))
        shown, until = self._token
        kept = {name.lower(): value for name, value in headers.items()}
        if kept.get("authorization") not in (f"Bearer {shown}", [f"Bearer {shown}"]) or self.clock.now >= until:
            self.refused += 1
            return web_answer({"code": "unauthenticated"}, 401)
        self.took += 1
        phase = SUCCEEDED if self.clock.now >= self.ends else RUNNING
        return self._message(run_service_pb2.ListRunsResponse(runs=[a_run(phase)]))

    def _message(self, message: Any) -> HttpAnswer:
        return HttpAnswer(200, "OK", PROTO, message.SerializeToString())

    def _provider(self, name: str, form: dict[str, str]) -> HttpAnswer:
        if name == "device":
            code = {"device_code": "d", "user_code": "u", "verification_uri": "https://flyte.example/a"}
            return web_answer({**code, "expires_in": 900})
        self.grants.append(form["grant_type"].rpartition(":")[2])
        if form.get("refresh_token", self._refresh) != self._refresh:
            return web_answer({"error": "invalid_grant"}, 400)
        number = len(self.grants)
        self._token, self._refresh = (f"t{number}", self.clock.now + self.life), f"r{number}"
        fields: dict[str, Any] = {"access_token": f"t{number}", "refresh_token": f"r{number}", "expires_in": self.says}
        return HttpAnswer(200, "OK", {"content-type": ["application/json"]}, json.dumps(fields).encode())


def a_run(phase: int) -> run_definition_pb2.Run:
    run = run_definition_pb2.Run()
    run.action.id.name = "a0"
    run.action.id.run.name = "r1"
    run.action.id.run.project = "p"
    run.action.id.run.domain = "d"
    run.action.status.phase = phase
    return run


def waits(server: Server, **settings: Any) -> Run:
    transport: Any = server
    told: list[str] = []
    person = Person(True, {}, tell=told.append, browse=lambda url: False, terminal=lambda: None)
    credentials = SignIn(**settings).credentials(transport, ORIGIN, "", server.clock, person=person)
    channel = Channel(transport, ORIGIN, credentials=credentials, clock=server.clock, draw=lambda: 0.5)
    run = Run(a_run(QUEUED), Session(channel, Scope("", "p", "d"), "http://console"))
    run.wait(quiet=True)
    assert len(told) <= 1, "nobody was asked a second time"
    return run


PROGRAM = {"client_id": "app", "client_secret": "s"}
# A store is shared with others, whose clock is another one.
PERSON = {"auth_type": "DeviceFlow", "token_store": "memory"}


@pytest.mark.parametrize("settings", [PROGRAM, PERSON], ids=["program", "person"])
def test_tokens_that_say_when_they_end_are_renewed_before(settings: dict[str, Any]) -> None:
    server = Server(FakeClock(), hours=24, life=3600, says=3600)

    assert waits(server, **settings).phase is ActionPhase.SUCCEEDED
    assert server.refused == 0
    # Each is given up a minute before its end, and is asked about every ten seconds at the longest.
    assert 24 <= len(server.grants) <= 26
    assert set(server.grants[1:]) <= {"refresh_token", "client_credentials"}


@pytest.mark.parametrize("settings", [PROGRAM, PERSON], ids=["program", "person"])
def test_tokens_that_do_not_say_it_are_renewed_when_they_are_refused(settings: dict[str, Any]) -> None:
    server = Server(FakeClock(), hours=24, life=3600, says=None)

    assert waits(server, **settings).phase is ActionPhase.SUCCEEDED
    assert server.refused == len(server.grants) - 1, "one refusal, one token"
    assert 23 <= len(server.grants) <= 25


def test_a_server_whose_clock_is_fast_refuses_once_a_token() -> None:
    """It takes them for five minutes less than its provider says."""
    server = Server(FakeClock(), hours=24, life=3300, says=3600)

    assert waits(server, **PROGRAM).phase is ActionPhase.SUCCEEDED
    assert server.refused == len(server.grants) - 1


def test_tokens_of_a_minute() -> None:
    server = Server(FakeClock(), hours=3, life=60, says=60)

    assert waits(server, **PERSON).phase is ActionPhase.SUCCEEDED
    assert len(server.grants) > 150
