"""What an identity provider says, and what becomes of it: a token, or an error that says why not and no secret."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from collections.abc import Mapping
from typing import Any, Optional

import pytest
from fakes import FakeClock, FakeWeb, HttpAnswer, web_answer

from flyte_lite import errors
from flyte_lite._auth.provider import IdentityProvider, basic, shown, split
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import Deadline
from flyte_lite._http.origin import Origin
from flyte_lite.errors import CallError, Code

URL = "https://idp.example/token"
FLYTE = Origin("https", "flyte.example", 443)
PLANTED = "planted"


def bench(*answers: Any, **options: Any) -> tuple[FakeWeb, IdentityProvider, Deadline]:
    web = FakeWeb().on(URL, *answers)
    return web, IdentityProvider(web, options.pop("origin", FLYTE), **options), Deadline(web.clock, 30.0)  # type: ignore[arg-type]


def token(fields: Any, old: Optional[Token] = None, **answer: Any) -> Token:
    _, provider, deadline = bench(web_answer(fields, **answer))
    return provider.post(URL, {"grant_type": "x"}, deadline).token(old)


def text_of(error: BaseException) -> str:
    whole = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return whole + repr(error) + str(vars(error)) + repr(pickle.dumps(error))


def test_a_token_and_what_is_said_of_it() -> None:
    got = token({"access_token": "abc", "token_type": "bearer", "expires_in": 3600, "refresh_token": "r"})

    assert (got.value, got.refresh, got.left(Moment.now(FakeClock()))) == ("abc", "r", 3600)


@pytest.mark.parametrize("life", [None, "", "soon", 0, -5, float("nan"), float("inf"), 1e300, 10**400, True, [], {}])
def test_a_life_that_is_none_is_not_known(life: Any) -> None:
    left = token({"access_token": "abc", "expires_in": life}).left(Moment.now(FakeClock()))

    assert left is None or left == float(life)


@pytest.mark.parametrize("life", ["3600", 3600.0])
def test_a_life_may_be_written_as_people_write_it(life: Any) -> None:
    assert token({"access_token": "abc", "expires_in": life}).left(Moment.now(FakeClock())) == 3600


def test_the_old_refresh_token_stays_where_no_new_one_comes() -> None:
    old = Token("old", Moment(0, 0), refresh="kept")

    assert token({"access_token": "abc"}, old).refresh == "kept"
    assert token({"access_token": "abc", "refresh_token": "new"}, old).refresh == "new"
    assert token({"access_token": "abc", "refresh_token": None}, old).refresh == "kept"


USELESS: list[tuple[Mapping[str, Any], str]] = [
    ({}, "no access_token"),
    ({"access_token": ""}, "no access_token"),
    ({"access_token": 7}, "no access_token"),
    ({"access_token": "a b"}, "that no header can carry"),
    ({"access_token": "a\r\nx: y"}, "that no header can carry"),
    ({"access_token": "\u00e9"}, "that no header can carry"),
    ({"access_token": "abc", "token_type": "mac"}, "a token of the type mac"),
]


@pytest.mark.parametrize(("fields", "problem"), USELESS, ids=lambda part: part if isinstance(part, str) else "")
def test_an_answer_without_a_token_that_can_be_used(fields: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(errors.EndpointError, match=problem) as caught:
        token(fields)
    assert URL.replace("/token", ":443/token") in str(caught.value)
    assert not caught.value.sent


def page(status: int, body: bytes, kind: str = "text/html; charset=utf-8", **headers: str) -> HttpAnswer:
    return HttpAnswer(status, "Said", {"content-type": [kind], **{k: [v] for k, v in headers.items()}}, body)


REFUSED: list[tuple[HttpAnswer, type[CallError], Code, str]] = [
    (
        web_answer({"error": "invalid_client", "error_description": "no such client"}, 401),
        errors.UnauthenticatedError,
        Code.UNAUTHENTICATED,
        r"answered invalid_client \(no such client\), HTTP 401",
    ),
    (
        web_answer({"error": "invalid_scope"}, 400),
        errors.UnauthenticatedError,
        Code.UNAUTHENTICATED,
        "answered invalid_scope, HTTP 400",
    ),
    (  # GitHub's way
        web_answer({"error": "bad_verification_code"}, 200),
        errors.UnauthenticatedError,
        Code.UNAUTHENTICATED,
        "answered bad_verification_code, HTTP 200",
    ),
    (
        web_answer({"error": "temporarily_unavailable"}, 400),
        errors.UnavailableError,
        Code.UNAVAILABLE,
        "answered temporarily_unavailable",
    ),
    (
        web_answer({"error": "server_error", "error_description": "db"}, 500),
        errors.UnavailableError,
        Code.UNAVAILABLE,
        r"server_error \(db\), HTTP 500",
    ),
    (web_answer({"message": "x"}, 503), errors.UnavailableError, Code.UNAVAILABLE, "no reason given, HTTP 503"),
    (page(502, b"<html>bad gateway"), errors.UnavailableError, Code.UNAVAILABLE, r"now \(HTTP 502 Said, text/html\)"),
    (page(429, b""), errors.UnavailableError, Code.UNAVAILABLE, "HTTP 429"),
    (page(401, b"<html>who are you"), errors.UnauthenticatedError, Code.UNAUTHENTICATED, "without a reason"),
    (page(403, b"{}", "application/json"), errors.UnauthenticatedError, Code.UNAUTHENTICATED, "without a reason"),
    (page(404, b"<html>"), errors.EndpointError, Code.UNKNOWN, r"speaks no OAuth 2.0 \(HTTP 404"),
    (page(200, b"<html>login"), errors.EndpointError, Code.UNKNOWN, "speaks no OAuth 2.0"),
    (page(200, b"access_token=planted", "text/plain"), errors.EndpointError, Code.UNKNOWN, "speaks no OAuth 2.0"),
    (page(200, b"[" * 100_000, "application/json"), errors.EndpointError, Code.UNKNOWN, "speaks no OAuth 2.0"),
    (page(200, b'"planted"', "application/json"), errors.EndpointError, Code.UNKNOWN, "speaks no OAuth 2.0"),
    (page(204, b""), errors.EndpointError, Code.UNKNOWN, "speaks no OAuth 2.0"),
    (
        page(302, b"", location="https://u:planted@evil.example/token?x=planted#planted"),
        errors.EndpointError,
        Code.UNKNOWN,
        r"redirects to https://evil\.example/token .* never followed",
    ),
    (
        web_answer({"access_token": "planted"}, 307, location="https://evil.example/"),
        errors.EndpointError,
        Code.UNKNOWN,
        "never followed",
    ),
]


@pytest.mark.parametrize(
    ("answer", "kind", "code", "said"), REFUSED, ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_refusal_says_what_is_known_and_no_secret(
    answer: HttpAnswer, kind: type[CallError], code: Code, said: str
) -> None:
    web, provider, deadline = bench(answer._replace(headers={**answer.headers, "set-cookie": ["s=planted"]}))

    with pytest.raises(kind, match=said) as caught:
        provider.post(URL, {"grant_type": "x", "password": PLANTED}, deadline).token()

    assert type(caught.value) is kind
    assert caught.value.code is code
    assert not caught.value.sent
    assert PLANTED not in text_of(caught.value)
    assert len(web.asked) == 1, "no redirect is followed"


def test_when_to_come_again_is_kept() -> None:
    _, provider, deadline = bench(page(503, b"", **{"retry-after": "7"}))

    with pytest.raises(errors.UnavailableError) as caught:
        provider.post(URL, {}, deadline)
    assert caught.value.headers == {"retry-after": ["7"]}


def test_a_provider_that_repeats_secrets_is_not_repeated() -> None:
    answer = web_answer(
        {"error": "invalid_client", "error_description": "bad s3cr\u00e9t+/ and s3cr%C3%A9t%2B%2F\x1b[31m!"}, 401
    )
    _, provider, deadline = bench(answer)

    with pytest.raises(errors.UnauthenticatedError) as caught:
        provider.post(URL, {}, deadline, secrets=("s3cr\u00e9t+/",)).token()
    assert r"(bad [secret] and [secret] [31m!)" in str(caught.value)


@pytest.mark.parametrize(
    "failure",
    [
        errors.ConnectFailedError("can't connect"),
        errors.ConnectionLostError("the connection broke"),
        errors.TlsError("not trusted"),
        errors.CallTimeoutError("no whole answer", Code.DEADLINE_EXCEEDED),
        errors.CanceledError("canceled", Code.CANCELED),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_provider_that_can_not_be_reached(failure: CallError) -> None:
    _, provider, deadline = bench(failure)

    with pytest.raises(type(failure), match=r"no token from https://idp\.example:443/token: ") as caught:
        provider.post(URL, {}, deadline)
    assert not caught.value.sent, "the call itself was not"


def test_a_form_has_what_there_is() -> None:
    web, provider, deadline = bench({"access_token": "abc"})

    provider.post(URL, {"grant_type": "g h", "scope": "", "audience": None, "x": "&=\u00e9"}, deadline)

    (asked,) = web.asked
    assert asked.method == "POST"
    assert asked.form == {"grant_type": "g h", "x": "&=\u00e9"}
    assert asked.headers == {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    assert asked.deadline.left() == deadline.left()
    assert asked.deadline.cancel is deadline.cancel


def test_one_answer_does_not_cost_all_of_the_time_that_a_person_has() -> None:
    web, provider, deadline = bench({"access_token": "abc"})

    provider.post(URL, {}, Deadline(deadline.clock, 300))

    assert web.asked[0].deadline.left() == 30


@pytest.mark.parametrize(
    ("client_id", "secret", "pair"),
    [("id", "secret", b"id:secret"), ("a:b", "c d", b"a%3Ab:c+d"), ("\u00e9", "+/=%", b"%C3%A9:%2B%2F%3D%25")],
)
def test_basic_is_encoded_as_rfc_6749_has_it(client_id: str, secret: str, pair: bytes) -> None:
    kind, _, value = basic(client_id, secret).partition(" ")

    assert kind == "Basic"
    assert base64.b64decode(value) == pair


PLACES = [
    ("https://idp.example/token", True, True),
    ("https://idp.example:8443/t?x=1", True, True),
    ("http://idp.example/token", False, False),
    ("http://flyte.example/token", False, True),
    ("http://flyte.example:8080/token", False, True),
    ("http://named.example/token", False, True),
    ("http://169.254.169.254/token", False, False),
    ("http://127.0.0.1:8080/token", True, True),
    ("http://localhost/token", True, True),
    ("http://[::1]/token", True, True),
    ("http://localhost.evil.example/token", False, False),
    ("ftp://idp.example/token", False, False),
    ("idp.example/token", False, False),
    ("https:///token", False, False),
    ("https://user:planted@idp.example/", False, False),
    ("https://idp.example:99999/", False, False),
    ("https://idp.example:0/", False, False),
    ("https://idp.example/a b", False, False),
    ("https://idp.example/\r\nX: y", False, False),
    ("", False, False),
]


@pytest.mark.parametrize(("url", "by_https", "by_http"), PLACES)
def test_secrets_go_by_plain_http_only_where_somebody_asked_for_it_or_to_this_machine(
    url: str, by_https: bool, by_http: bool
) -> None:
    for scheme, good in (("https", by_https), ("http", by_http)):
        web, provider, deadline = bench(origin=FLYTE._replace(scheme=scheme), named=("named.example",))
        if good:
            provider.place(url)
            continue
        with pytest.raises(errors.EndpointError) as caught:
            provider.post(url, {"secret": PLANTED}, deadline)
        assert web.asked == []
        assert PLANTED not in text_of(caught.value)


def test_an_address_is_split() -> None:
    assert split("https://h:1/a/b?c=d#e") == (Origin("https", "h", 1), "/a/b?c=d")
    assert split("http://h") == (Origin("http", "h", 80), "/")


class FakeProxy:
    def __init__(self) -> None:
        self.generation = 1

    def headers(self, deadline: Deadline) -> Mapping[str, str]:
        return {"proxy-authorization": f"Bearer p{self.generation}"}

    def refused(self, sent: Mapping[str, str], deadline: Deadline) -> bool:
        self.generation += 1
        return True


@pytest.mark.parametrize(
    ("url", "named", "seen"),
    [
        ("https://flyte.example/token", (), True),
        ("https://flyte.example:8443/token", (), True),
        (URL, (), False),
        (URL, ("idp.example",), True),
    ],
)
def test_the_proxys_token_goes_to_the_server_and_to_whom_the_caller_names(
    url: str, named: tuple[str, ...], seen: bool
) -> None:
    web, provider, deadline = bench(proxy=FakeProxy(), named=named)
    web.on(url, {"access_token": "abc"})

    provider.post(url, {}, deadline)

    assert web.asked[0].headers.get("proxy-authorization") == ("Bearer p1" if seen else None)


@pytest.mark.parametrize("status", [401, 407])
def test_a_proxy_that_refuses_gets_another_token_once(status: int) -> None:
    refusal = page(status, b"<html>proxy")
    web, provider, deadline = bench(
        refusal, web_answer({"access_token": "abc"}), proxy=FakeProxy(), named=("idp.example",)
    )

    assert provider.post(URL, {}, deadline).token().value == "abc"
    assert [asked.headers["proxy-authorization"] for asked in web.asked] == ["Bearer p1", "Bearer p2"]


def test_a_provider_that_refuses_the_client_is_not_the_proxy() -> None:
    web, provider, deadline = bench(
        web_answer({"error": "invalid_client"}, 401), proxy=FakeProxy(), named=("idp.example",)
    )

    assert provider.post(URL, {}, deadline).error == "invalid_client"
    assert len(web.asked) == 1


def test_what_strangers_say_is_made_fit_for_a_terminal() -> None:
    assert shown("a\x1b[2J\r\nb\u202ec" + "d" * 1000) == "a [2J b c" + "d" * 288 + "..."
    assert json.dumps(shown("")) == '""'
