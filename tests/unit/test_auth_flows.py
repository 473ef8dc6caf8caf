"""Each flow's rules, on a clock that turns when told and a provider that answers by table."""

from __future__ import annotations

import base64
import json
from typing import Any, Optional
from urllib.parse import parse_qsl, urlsplit

import pytest
from fakes import FakeClock, FakeWeb, HttpAnswer, web_answer

from flyte_lite import errors
from flyte_lite._auth.client_credentials import ClientCredentials, ClientProof, Secret
from flyte_lite._auth.device_code import DeviceCode
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._auth.given import GivenToken
from flyte_lite._auth.passthrough import Passthrough, auth_metadata
from flyte_lite._auth.person import Person
from flyte_lite._auth.pkce import Pkce, _pause
from flyte_lite._auth.provider import IdentityProvider
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite.errors import Code

TOKEN = "https://idp.example/token"
DEVICE = "https://idp.example/device"
CONFIG = ClientConfig(
    token_endpoint=TOKEN,
    authorization_endpoint="https://idp.example/authorize",
    device_authorization_endpoint=DEVICE,
    client_id="public",
    redirect_uri="http://127.0.0.1/callback",
    scopes=("all", "offline"),
    audience="flyte",
)
GRANTED = {"access_token": "abc", "token_type": "Bearer", "expires_in": 60, "refresh_token": "r2"}
PENDING = web_answer({"error": "authorization_pending"}, 400)
SLOW_DOWN = web_answer({"error": "slow_down"}, 400)
CODE = {
    "device_code": "dev-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://idp.example/activate",
    "expires_in": 1800,
    "interval": 7,
}


class Known:
    """Stands where discovery is."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config

    def config(self, deadline: Deadline) -> ClientConfig:
        return self._config


class Bench:
    def __init__(self, *answers: Any, config: ClientConfig = CONFIG, present: bool = True) -> None:
        self.clock = FakeClock()
        self.web = FakeWeb(self.clock).on(TOKEN, *answers).on(DEVICE, CODE)
        self.told: list[str] = []
        self.known: Any = Known(config)
        transport: Any = self.web
        self.provider = IdentityProvider(transport, Origin("https", "flyte.example", 443))
        person: dict[str, Any] = {"browse": lambda url: False, "terminal": lambda: None}
        self.person = Person(present, {}, tell=self.told.append, **person)

    def deadline(self, seconds: Optional[float] = 3600.0, cancel: Optional[Cancel] = None) -> Deadline:
        return Deadline(self.clock, seconds, cancel)

    def credentials(self, secret: Secret = "s", style: Optional[str] = None) -> ClientCredentials:
        return ClientCredentials(self.provider, self.known, ClientProof("me", secret, style))

    def device(self) -> DeviceCode:
        return DeviceCode(self.provider, self.known, ClientProof("", None), self.person)

    def pkce(self) -> Pkce:
        return Pkce(self.provider, self.known, ClientProof("", None), self.person)

    @property
    def forms(self) -> list[dict[str, str]]:
        return [asked.form for asked in self.web.requests(TOKEN)]


def old_token(refresh: Optional[str] = "r1") -> Token:
    return Token("old", Moment(0, 0), refresh=refresh)


def test_client_credentials() -> None:
    bench = Bench(GRANTED)

    token = bench.credentials("p:w").fetch(bench.deadline())

    assert token.value == "abc"
    assert bench.forms == [{"grant_type": "client_credentials", "scope": "all offline", "audience": "flyte"}]
    assert bench.web.asked[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:p%3Aw").decode()


@pytest.mark.parametrize(
    ("style", "methods", "in_form"),
    [
        (None, (), False),
        (None, ("client_secret_basic", "client_secret_post"), False),
        (None, ("client_secret_post",), True),
        (None, ("private_key_jwt",), False),
        ("post", ("client_secret_basic",), True),
        ("basic", ("client_secret_post",), False),
    ],
)
def test_the_secret_goes_where_the_provider_or_the_caller_wants_it(
    style: Optional[str], methods: tuple[str, ...], in_form: bool
) -> None:
    bench = Bench(GRANTED, config=CONFIG._replace(token_methods=methods, scopes=(), audience=""))

    bench.credentials(style=style).fetch(bench.deadline())

    secret = {"client_id": "me", "client_secret": "s"} if in_form else {}
    assert bench.forms == [{"grant_type": "client_credentials", **secret}]
    assert ("authorization" in bench.web.asked[0].headers) is not in_form


def test_a_secret_may_change_between_tokens() -> None:
    bench = Bench(GRANTED)
    secrets = iter(["one", "two"])
    flow = bench.credentials(lambda: next(secrets))
    for _ in range(2):
        flow.fetch(bench.deadline())

    shown = [base64.b64decode(asked.headers["authorization"][6:]) for asked in bench.web.asked]
    assert shown == [b"me:one", b"me:two"]


@pytest.mark.parametrize("secret", ["", lambda: "", lambda: None])
def test_a_secret_that_is_none(secret: Any) -> None:
    bench = Bench(GRANTED)

    with pytest.raises(errors.ConfigError, match="client_secret"):
        bench.credentials(secret).fetch(bench.deadline())


@pytest.mark.parametrize("flow", ["device", "pkce"])
@pytest.mark.parametrize("present", [True, False], ids=["somebody there", "nobody there"])
def test_a_refresh_token_asks_nobody_and_is_kept(flow: str, present: bool) -> None:
    bench = Bench({"access_token": "abc"}, present=present)

    token = getattr(bench, flow)().renew(old_token(), bench.deadline())

    assert (token.value, token.refresh) == ("abc", "r1")
    assert bench.forms == [{"grant_type": "refresh_token", "refresh_token": "r1", "client_id": "public"}]
    assert bench.told == []


@pytest.mark.parametrize("flow", ["device", "pkce"])
def test_a_refresh_token_that_rotates_is_replaced(flow: str) -> None:
    bench = Bench(GRANTED)

    assert getattr(bench, flow)().renew(old_token(), bench.deadline()).refresh == "r2"


@pytest.mark.parametrize("flow", ["device", "pkce"])
@pytest.mark.parametrize("error", ["invalid_grant", "interaction_required", "login_required", "consent_required"])
def test_a_person_who_is_wanted_again_is_asked(flow: str, error: str) -> None:
    bench = Bench(web_answer({"error": error}, 400))
    old = old_token()
    assert getattr(bench, flow)().renew(old, bench.deadline()) is None
    # And the provider is not asked about it again.
    assert getattr(bench, flow)().renew(old, bench.deadline()) is None
    assert len(bench.web.asked) == 1


@pytest.mark.parametrize("flow", ["device", "pkce"])
@pytest.mark.parametrize(
    "error", ["invalid_client", "invalid_request", "unauthorized_client", "unsupported_grant_type"]
)
def test_what_is_wrong_with_the_client_costs_nobody_the_sign_in(flow: str, error: str) -> None:
    bench = Bench(web_answer({"error": error}, 400))
    with pytest.raises(errors.UnauthenticatedError, match=error):
        getattr(bench, flow)().renew(old_token(), bench.deadline())


@pytest.mark.parametrize("flow", ["device", "pkce"])
def test_a_refresh_token_goes_back_to_where_it_came_from_only(flow: str) -> None:
    bench = Bench(GRANTED)
    first = getattr(bench, flow)().renew(old_token(), bench.deadline())
    moved = Bench(GRANTED, config=CONFIG._replace(token_endpoint="https://idp.example/other/token"))

    assert first.issued_by == "https://idp.example:443/token"
    assert getattr(moved, flow)().renew(first, moved.deadline()) is None
    assert moved.web.asked == []
    assert getattr(bench, flow)().renew(first, bench.deadline()).value == "abc"


@pytest.mark.parametrize("flow", ["device", "pkce"])
@pytest.mark.parametrize(
    "failure", [web_answer({"error": "server_error"}, 500), errors.ConnectionLostError("lost")], ids=["500", "lost"]
)
def test_a_provider_that_is_down_costs_nobody_the_sign_in(flow: str, failure: Any) -> None:
    bench = Bench(failure)

    with pytest.raises(errors.CallError) as caught:
        getattr(bench, flow)().renew(old_token(), bench.deadline())
    assert caught.value.code is Code.UNAVAILABLE
    assert len(bench.web.asked) == 1
    assert bench.told == []


@pytest.mark.parametrize("flow", ["device", "pkce"])
@pytest.mark.parametrize("old", [None, old_token(None), old_token()], ids=["first", "no refresh", "refresh refused"])
def test_nobody_to_sign_in_is_said_with_what_helps(flow: str, old: Optional[Token]) -> None:
    bench = Bench(web_answer({"error": "invalid_grant"}, 400), present=False)

    source = getattr(bench, flow)()
    assert source.renew(old, bench.deadline()) is None
    with pytest.raises(
        errors.UnauthenticatedError, match=r"nobody can sign in here .*api_key=.*FLYTE_API_KEY.*command="
    ):
        source.fetch(bench.deadline())
    assert bench.web.requests(DEVICE) == []


def test_a_device_code_is_polled_for_at_its_interval() -> None:
    bench = Bench(PENDING, PENDING, GRANTED)

    token = bench.device().fetch(bench.deadline())

    assert (token.value, token.refresh) == ("abc", "r2")
    assert bench.clock.slept == [7, 7, 7]
    assert bench.web.requests(DEVICE)[0].form == {"client_id": "public", "scope": "all offline", "audience": "flyte"}
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    assert bench.forms == [{"grant_type": grant, "device_code": "dev-code", "client_id": "public"}] * 3
    assert bench.told == ["To sign in, open https://idp.example/activate and enter the code WDJB-MJHT"]


def test_a_device_code_without_an_interval_is_polled_for_every_five_seconds() -> None:
    bench = Bench(PENDING, GRANTED)
    bench.web.on(DEVICE, {name: value for name, value in CODE.items() if name != "interval"})
    bench.device().fetch(bench.deadline())

    assert bench.clock.slept == [5, 5]


@pytest.mark.parametrize(
    ("interval", "answers", "slept"),
    [
        (86400, [], [1800]),
        (7, [HttpAnswer(429, "", {"retry-after": ["86400"]}, b"")], [7, 1793]),
    ],
    ids=["interval", "retry-after"],
)
def test_nobody_waits_for_a_day_for_a_code_of_half_an_hour(interval: int, answers: list[Any], slept: list[int]) -> None:
    bench = Bench(*answers, GRANTED)
    bench.web.on(DEVICE, {**CODE, "interval": interval})

    with pytest.raises(errors.UnauthenticatedError, match="not entered while it was good"):
        bench.device().fetch(bench.deadline(None))
    assert bench.clock.slept == slept
    assert len(bench.forms) == len(answers)


@pytest.mark.parametrize(("asked", "pause"), [("3", 3.0), ("0", 1.0), ("86400", None)])
def test_a_code_of_a_browser_is_shown_again_while_it_may_be_good(asked: str, pause: Optional[float]) -> None:
    error = errors.UnavailableError("busy", Code.UNAVAILABLE, headers={"retry-after": [asked]})

    assert _pause(1, error) == pause


def test_slow_down_makes_it_slower_for_good() -> None:
    bench = Bench(SLOW_DOWN, PENDING, SLOW_DOWN, GRANTED)
    bench.device().fetch(bench.deadline())

    assert bench.clock.slept == [7, 12, 12, 17]


def test_slow_down_holds_for_the_next_call_too() -> None:
    bench = Bench(SLOW_DOWN, PENDING, GRANTED)
    flow = bench.device()
    with pytest.raises(errors.CallTimeoutError):
        flow.fetch(bench.deadline(20.0))
    assert bench.clock.slept == [7, 12, 1]
    assert "dev-code" not in repr(flow._pending)

    flow.fetch(bench.deadline())

    assert bench.clock.slept == [7, 12, 1, 12]


class EarlyClock(FakeClock):
    """Wakes whoever sleeps a little early, as operating systems do."""

    def sleep(self, seconds: float, cancel: Optional[Cancel] = None) -> None:
        super().sleep(seconds * 0.999, cancel)


def test_a_provider_is_not_asked_sooner_though_the_call_ends() -> None:
    bench = Bench(GRANTED)
    bench.clock = EarlyClock()

    with pytest.raises(errors.CallTimeoutError, match="the code is still good"):
        bench.device().fetch(bench.deadline(3.0))
    assert bench.forms == []


@pytest.mark.parametrize(
    ("failure", "then"),
    [
        (web_answer({}, 503), 7),
        (HttpAnswer(429, "", {"retry-after": ["30"]}, b""), 30),
        (HttpAnswer(503, "", {"retry-after": ["3"]}, b""), 7),
        (web_answer({"error": "temporarily_unavailable"}, 503), 7),
        (errors.ConnectionLostError("lost"), 7),
        (errors.ConnectFailedError("down"), 7),
        (errors.CallTimeoutError("silence", Code.DEADLINE_EXCEEDED), 14),
    ],
    ids=["503", "429", "soon", "later", "lost", "down", "silence"],
)
def test_a_provider_that_falters_while_polled(failure: Any, then: float) -> None:
    bench = Bench(PENDING, failure, GRANTED)

    assert bench.device().fetch(bench.deadline()).value == "abc"
    assert bench.clock.slept == [7, 7, then]


def test_an_address_with_the_code_in_it_is_shown_with_the_code() -> None:
    bench = Bench(GRANTED)
    bench.web.on(DEVICE, {**CODE, "verification_uri_complete": "https://idp.example/activate?c=WDJB"})
    bench.device().fetch(bench.deadline())

    assert bench.told == [
        "To sign in, open https://idp.example/activate?c=WDJB and check that it shows the code WDJB-MJHT"
    ]


@pytest.mark.parametrize(
    "complete", ["javascript:alert(1)", "http://idp.example/activate?c=WDJB", "https://x@evil.example/"]
)
def test_what_is_shown_of_a_strangers_words_is_harmless(complete: str) -> None:
    bench = Bench(GRANTED)
    bench.web.on(DEVICE, {**CODE, "user_code": "A\x1b]0;x\x07B\nC", "verification_uri_complete": complete})
    bench.device().fetch(bench.deadline())

    assert bench.told == ["To sign in, open https://idp.example/activate and enter the code A ]0;x B C"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("access_denied", "signing in was declined: .* answered access_denied"),
        ("expired_token", "was not entered while it was good"),
        ("invalid_client", "answered invalid_client"),
    ],
)
def test_the_end_of_a_device_code(error: str, said: str) -> None:
    bench = Bench(PENDING, web_answer({"error": error}, 400))
    flow = bench.device()

    with pytest.raises(errors.UnauthenticatedError, match=said) as caught:
        flow.fetch(bench.deadline())
    assert "dev-code" not in str(caught.value)
    bench.web.on(TOKEN, GRANTED)
    flow.fetch(bench.deadline())
    assert len(bench.web.requests(DEVICE)) == 2, "a code that is over is not used again"


def test_a_device_code_is_not_polled_for_when_its_time_is_over() -> None:
    bench = Bench(PENDING)
    bench.web.on(DEVICE, {**CODE, "expires_in": 20})

    with pytest.raises(errors.UnauthenticatedError, match="while it was good"):
        bench.device().fetch(bench.deadline())
    assert len(bench.forms) == 3


def test_a_call_that_ends_too_soon_leaves_the_code_to_the_next() -> None:
    bench = Bench(PENDING, PENDING, GRANTED)
    flow = bench.device()

    with pytest.raises(errors.CallTimeoutError, match=r"within 16 s.*code is still good") as caught:
        flow.fetch(bench.deadline(16.0))
    assert bench.clock.slept == [7, 7, 2]
    assert not caught.value.sent
    assert flow.fetch(bench.deadline()).value == "abc"
    assert len(bench.web.requests(DEVICE)) == 1
    assert len(set(bench.told)) == 1
    assert len(bench.told) == 2


SILENCE = errors.CallTimeoutError("silence", Code.DEADLINE_EXCEEDED)
USED_UP = web_answer({"error": "invalid_grant"}, 400)


@pytest.mark.parametrize("lost", [SILENCE, errors.ConnectionLostError("lost")], ids=["silence", "lost"])
def test_a_code_that_was_used_up_by_an_answer_that_was_lost_is_followed_by_another(lost: errors.CallError) -> None:
    bench = Bench(PENDING, lost, USED_UP, PENDING, GRANTED)

    assert bench.device().fetch(bench.deadline()).value == "abc"
    assert len(bench.web.requests(DEVICE)) == 2
    assert len(bench.told) == 2


@pytest.mark.parametrize(("answers", "codes"), [((PENDING, USED_UP), 1), ((SILENCE, USED_UP, USED_UP), 2)])
def test_a_code_that_is_refused_though_no_answer_was_lost_is_the_end(answers: tuple[Any, ...], codes: int) -> None:
    bench = Bench(*answers)

    with pytest.raises(errors.UnauthenticatedError, match="answered invalid_grant"):
        bench.device().fetch(bench.deadline())
    assert len(bench.web.requests(DEVICE)) == codes


EXPIRED = web_answer({"error": "expired_token"}, 400)


class JumpingClock(FakeClock):
    """Is set an hour forward, or back, while somebody sleeps."""

    hours = 0.0

    def time(self) -> float:
        return super().time() + 3600 * self.hours * len(self.slept)


@pytest.mark.parametrize("hours", [1.0, -1.0])
def test_a_clock_that_is_set_ends_no_device_code(hours: float) -> None:
    bench = Bench(PENDING, PENDING, GRANTED)
    bench.clock = JumpingClock()
    bench.clock.hours = hours

    assert bench.device().fetch(bench.deadline()).value == "abc"
    assert bench.clock.slept == [7, 7, 7]
    assert len(bench.web.requests(DEVICE)) == 1


def test_a_code_that_was_kept_over_a_sleep_of_the_machine_is_followed_by_another() -> None:
    """Some clocks stand still meanwhile: then only the provider knows that its time is over."""
    bench = Bench(PENDING, EXPIRED, PENDING, GRANTED)
    flow = bench.device()
    with pytest.raises(errors.CallTimeoutError, match="code is still good"):
        flow.fetch(bench.deadline(10.0))

    assert flow.fetch(bench.deadline()).value == "abc"
    assert len(bench.web.requests(DEVICE)) == 2
    assert len(bench.told) == 3


def test_a_code_that_is_not_entered_in_time_is_not_followed_by_another_for_ever() -> None:
    bench = Bench(PENDING, EXPIRED)
    flow = bench.device()
    with pytest.raises(errors.CallTimeoutError):
        flow.fetch(bench.deadline(10.0))

    with pytest.raises(errors.UnauthenticatedError, match="while it was good"):
        flow.fetch(bench.deadline())
    assert len(bench.web.requests(DEVICE)) == 2


def test_a_device_sign_in_can_be_canceled() -> None:
    bench = Bench(PENDING)
    cancel = Cancel()
    cancel.cancel()

    with pytest.raises(errors.CanceledError):
        bench.device().fetch(bench.deadline(None, cancel))
    assert bench.forms == []


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (
            web_answer({"error": "unauthorized_client"}, 400),
            errors.UnauthenticatedError,
            "no device code: .*unauthorized_client",
        ),
        ({**CODE, "device_code": ""}, errors.EndpointError, "lacks a device_code"),
        ({**CODE, "user_code": 7}, errors.EndpointError, "lacks a device_code"),
        ({**CODE, "verification_uri": ""}, errors.EndpointError, "lacks a device_code"),
        ({**CODE, "verification_uri": "javascript:x"}, errors.EndpointError, "is not the address of a web page"),
        ({**CODE, "verification_uri": "http://idp.example/activate"}, errors.EndpointError, "plain http"),
        (web_answer({}, 404), errors.EndpointError, "speaks no OAuth"),
    ],
)
def test_an_answer_that_is_no_device_code(answer: Any, kind: type[errors.CallError], said: str) -> None:
    bench = Bench(GRANTED)
    bench.web.on(DEVICE, answer)

    with pytest.raises(kind, match=said):
        bench.device().fetch(bench.deadline())
    assert bench.told == []


def test_a_provider_without_device_codes() -> None:
    bench = Bench(GRANTED, config=CONFIG._replace(device_authorization_endpoint=""))

    with pytest.raises(errors.UnauthenticatedError, match="gives no device codes"):
        bench.device().fetch(bench.deadline())


@pytest.mark.parametrize(
    ("config", "kind", "said"),
    [
        (
            CONFIG._replace(authorization_endpoint=""),
            errors.UnauthenticatedError,
            "names none; give it with authorization_",
        ),
        (CONFIG._replace(client_id=""), errors.UnauthenticatedError, "needs a client_id"),
        (CONFIG._replace(redirect_uri=""), errors.ConfigError, "redirect_uri of this machine"),
        (
            CONFIG._replace(redirect_uri="http://evil.example:80/callback"),
            errors.ConfigError,
            "redirect_uri of this machine",
        ),
        (
            CONFIG._replace(redirect_uri="https://localhost:1/callback"),
            errors.ConfigError,
            "redirect_uri of this machine",
        ),
        (CONFIG._replace(redirect_uri="http://localhost:x/"), errors.ConfigError, "redirect_uri of this machine"),
        (CONFIG._replace(authorization_endpoint="http://idp.example/"), errors.EndpointError, "plain http"),
    ],
)
def test_a_browser_is_not_sent_where_it_can_not_come_back_from(
    config: ClientConfig, kind: type[Exception], said: str
) -> None:
    bench = Bench(GRANTED, config=config)

    with pytest.raises(kind, match=said):
        bench.pkce().fetch(bench.deadline())
    assert bench.told == []


@pytest.mark.parametrize("flow", ["pkce", "device"])
def test_a_refresh_token_that_a_provider_repeats_is_in_no_error(flow: str) -> None:
    bench = Bench(web_answer({"error": "invalid_request", "error_description": "what is planted/r1?"}, 400))

    with pytest.raises(errors.UnauthenticatedError) as caught:
        getattr(bench, flow)().renew(old_token("planted/r1"), bench.deadline())
    assert "what is [secret]?" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("old", [None, old_token(None)], ids=["first", "no refresh"])
@pytest.mark.parametrize("flow", ["device", "pkce"])
def test_only_a_refresh_token_asks_nobody(flow: str, old: Optional[Token]) -> None:
    bench = Bench(GRANTED)

    assert getattr(bench, flow)().renew(old, bench.deadline()) is None
    assert bench.web.asked == []


@pytest.mark.parametrize("old", [None, old_token()], ids=["first", "next"])
def test_a_program_asks_nobody(old: Optional[Token]) -> None:
    bench = Bench(GRANTED)

    assert bench.credentials().renew(old, bench.deadline()).value == "abc"


def jwt(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    ("text", "life"),
    [
        ("opaque", None),
        (jwt({"exp": 1_700_001_100}), 100.0),
        (jwt({"exp": 1_700_000_000}), None),
        (jwt({"exp": "soon"}), None),
        (jwt({"exp": float("nan")}), None),
        (jwt([]), None),
        (jwt({}), None),
        ("a.!.c", None),
        ("..", None),
    ],
)
def test_a_given_token_lives_as_long_as_it_says(text: str, life: Optional[float]) -> None:
    bench = Bench()
    token = GivenToken(text).fetch(bench.deadline())

    assert token.value == text
    assert token.left(Moment.now(bench.clock)) == life
    assert GivenToken(text).renew(token, bench.deadline()) is None


def test_a_function_is_asked_for_each_token() -> None:
    bench = Bench()
    texts = iter(["one", "two"])
    source = GivenToken(lambda: next(texts))

    assert source.fetch(bench.deadline()).value == "one"
    renewed = source.renew(old_token(), bench.deadline())
    assert renewed is not None
    assert renewed.value == "two"
    with pytest.raises(StopIteration):
        source.fetch(bench.deadline())


@pytest.mark.parametrize("token", ["", "a b", "a\n", "\u00e9", lambda: None, lambda: b"x"])
def test_a_given_token_that_is_none(token: Any) -> None:
    with pytest.raises(errors.ConfigError, match="token is none"):
        GivenToken(token).fetch(Bench().deadline())


def test_passthrough_shows_what_the_block_says_and_has_nothing_else() -> None:
    deadline = Bench().deadline()
    credentials = Passthrough()
    assert credentials.headers(deadline) == {}

    with auth_metadata(("Authorization", "Bearer x"), ("x-team", "a")):
        assert credentials.headers(deadline) == {"authorization": "Bearer x", "x-team": "a"}
        with auth_metadata(("x-team", "b")):
            assert credentials.headers(deadline) == {"x-team": "b"}
        assert credentials.headers(deadline)["x-team"] == "a"
        assert credentials.refused(credentials.headers(deadline), deadline) is False
    assert credentials.headers(deadline) == {}
    with pytest.raises(ValueError, match="at least one pair"), auth_metadata():
        pass


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CONFIG, {"audience": "mine", "scope": "all offline", "prompt": "login"}),
        (CONFIG._replace(audience="", scopes=()), {"audience": "mine", "prompt": "login"}),
    ],
)
def test_what_the_caller_adds_to_a_sign_in_is_not_lost(config: ClientConfig, expected: dict[str, str]) -> None:
    bench = Bench(config=config)
    further = {"audience": "mine", "prompt": "login"}
    flow = Pkce(bench.provider, bench.known, ClientProof("", None), bench.person, to_authorize=further)

    query = dict(parse_qsl(urlsplit(flow._address(config, "http://127.0.0.1:1/", "verifier", "state")).query))

    assert {name: query[name] for name in ("audience", "scope", "prompt") if name in query} == expected
    assert query["state"] == "state"
