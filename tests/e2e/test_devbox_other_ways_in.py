"""A devbox that wants to know who calls, by tokens that come from elsewhere, and by ways round what is not there."""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from caller import Caller, Place
from caller import calling as calling_at

from flyte_lite import errors
from flyte_lite._auth.passthrough import auth_metadata
from flyte_lite._auth.terminal import Terminal
from flyte_lite.devbox import Devbox

GET_TOKEN = """
import json, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(json.load(opener.open(sys.argv[1], sys.argv[2].encode()))["access_token"])
"""


@pytest.fixture
def box() -> Iterator[Devbox]:
    with Devbox(auth=True) as box:
        yield box


@contextlib.contextmanager
def calling(box: Devbox, **settings: Any) -> Iterator[Caller]:
    with calling_at(Place("http", urlsplit(box.endpoint).port or 0), **settings) as made:
        yield made


def program(box: Devbox) -> dict[str, str]:
    return {"client_id": box.issuer.client_id, "client_secret": box.issuer.client_secret}


def test_a_command_that_prints_a_token(box: Devbox) -> None:
    form = urlencode({"grant_type": "client_credentials", **program(box)})
    command = [sys.executable, "-c", GET_TOKEN, f"{box.endpoint}/oauth2/token", form]
    with calling(box, command=command) as caller:
        assert [caller.call(), caller.call()] == [1, 1]
        box.issuer.expire_tokens()
        assert caller.call() == 2, "it is run once more"

    assert box.issuer.issued() == {"client_credentials": 2}


def test_a_function_that_gives_a_token(box: Devbox) -> None:
    with calling(box, token=lambda: box.issuer.token("ada")) as caller:
        assert caller.call() == 1
        box.issuer.expire_tokens()
        assert caller.call() == 2


def test_a_token_that_never_changes(box: Devbox) -> None:
    with calling(box, token=box.issuer.token("ada")) as caller:
        assert caller.call() == 1
        box.issuer.expire_tokens()
        with pytest.raises(errors.UnauthenticatedError, match="it has expired"):
            caller.call()


def test_headers_of_the_callers(box: Devbox) -> None:
    with calling(box, auth_type="Passthrough") as caller:
        with auth_metadata(("Authorization", f"Bearer {box.issuer.token('ada')}")):
            assert caller.call() == 1
        with pytest.raises(errors.UnauthenticatedError, match="no bearer token"):
            caller.call()


def test_a_token_for_a_proxy_goes_along(box: Devbox) -> None:
    command = [sys.executable, "-c", "print('for-the-proxy')"]
    with calling(box, proxy_command=command, **program(box)) as caller:
        assert caller.call() == 1

    assert {call.headers.get("proxy-authorization") for call in box.calls} == {"Bearer for-the-proxy"}
    (read,) = box.calls.of("ProjectService/GetProject")
    assert read.headers["authorization"] != read.headers["proxy-authorization"]


def test_a_server_without_the_rpc_that_tells_how(box: Devbox) -> None:
    box.faults.on("AuthMetadataService/GetOAuth2Metadata").fail("unimplemented")
    with calling(box, **program(box)) as caller:
        assert caller.call() == 1

    assert box.issuer.issued() == {"client_credentials": 1}


def test_a_browser_on_another_machine(box: Devbox) -> None:
    """The person pastes the address that it ends at."""
    pytest.importorskip("termios", reason="there are no such terminals on Windows")
    box.issuer.automatic_user = "ada"
    ours, theirs = os.openpty()

    def paste(text: str) -> None:
        words = text.partition("To sign in, open ")[2].split()
        if words:
            page = urlsplit(words[0])
            with contextlib.closing(http.client.HTTPConnection(page.netloc, timeout=10)) as connection:
                connection.request("GET", f"{page.path}?{page.query}")
                os.write(ours, f"{connection.getresponse().headers['location']}\n".encode())

    try:
        with calling(box, auth_type="Pkce", tell=paste, terminal=lambda: Terminal(theirs)) as caller:
            assert caller.call() == 1
            box.issuer.expire_tokens()
            assert caller.call() == 2
    finally:
        os.close(ours)
        os.close(theirs)
    assert box.issuer.issued() == {"authorization_code": 1, "refresh_token": 1}
