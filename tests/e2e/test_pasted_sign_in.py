"""A sign-in by somebody whose browser is on another machine: they paste the address that it ends at."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional
from urllib.parse import parse_qsl, urlsplit

import pytest
from caller import calling
from issuer import Issuer, Request
from stand_in_browser import Browser, callback, sign_in

from flyte_lite import errors
from flyte_lite._auth.terminal import Terminal, terminal_of_ours

termios = pytest.importorskip("termios", reason="there are no such terminals on Windows")


@pytest.fixture
def plain() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


class Pty:
    """A terminal with nobody before it but a test.

    Attributes:
        file: The end that a program has.
    """

    def __init__(self) -> None:
        self.keyboard, self.file = os.openpty()
        self.before = termios.tcgetattr(self.file)

    def type(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self.keyboard, data[:512]) :]

    def shows(self) -> str:
        """What is on its screen, and was not before."""
        shown = b""
        while select.select([self.keyboard], [], [], 0.05)[0]:
            shown += os.read(self.keyboard, 65536)
        return shown.decode()

    @property
    def is_as_before(self) -> bool:
        return bool(termios.tcgetattr(self.file) == self.before)

    def hang_up(self) -> None:
        if self.keyboard >= 0:
            os.close(self.keyboard)
        self.keyboard = -1


@pytest.fixture
def pty() -> Iterator[Pty]:
    pty = Pty()
    yield pty
    pty.hang_up()
    os.close(pty.file)


class Elsewhere(Browser):
    """On another machine: what it ends at comes here by hand."""

    def __init__(self, issuer: Issuer, by_hand: Callable[[str], None]) -> None:
        super().__init__(lambda browser, url: by_hand(self.ends_at(url)))
        self._issuer = issuer

    def ends_at(self, url: str) -> str:
        form = dict(parse_qsl(urlsplit(url).query))
        return self._issuer._authorize(Request("GET", "/authorize", {}, form))

    def __call__(self, url: str) -> bool:
        super().__call__(url)
        return False


def once_quiet(pty: Pty, act: Callable[[str], None]) -> Callable[[str], None]:
    """Do it when the program reads: what is typed before then would be echoed."""

    def then(address: str) -> None:
        ends = time.monotonic() + 20
        while pty.is_as_before and time.monotonic() < ends:
            time.sleep(0.01)
        act(address)

    return then


def without_scheme(address: str) -> str:
    return address.partition("//")[2]


@pytest.mark.parametrize(
    "typed",
    [
        lambda address: f"{address}\n",
        lambda address: f"{address}\r",
        lambda address: f"  {without_scheme(address)}#_=_ \n",
        lambda address: f"\x1b[200~{address}\x1b[201~\r",
        lambda address: f"oops\x15{address}x\x7f\n",
        lambda address: f"\n\n{address}\nrm -rf .\nand more",
        lambda address: f"{address}&session_state={'x' * 20_000}\n",
    ],
    ids=["newline", "return", "as a browser shows it", "marked", "edited", "surrounded", "long"],
)
def test_the_address_is_pasted(plain: Issuer, pty: Pty, typed: Callable[[str], str]) -> None:
    browser = Elsewhere(plain, once_quiet(pty, lambda address: pty.type(typed(address))))
    with calling(plain, auth_type="Pkce", browse=browser, terminal=lambda: Terminal(pty.file)) as caller:
        assert caller.call() == 1
    browser.done()

    assert len(plain.to("/token")) == 1
    (told,) = caller.told
    assert "paste" in told
    assert callback(browser.urls[0]) in told
    assert pty.is_as_before
    assert plain.issued[0] not in pty.shows()
    assert select.select([pty.file], [], [], 0)[0] == [], "nothing is left to a shell"


def test_what_nobody_read_is_left_to_no_shell(pty: Pty) -> None:
    with Terminal(pty.file):
        pty.type("http://localhost/callback?code=c&state=s\n")
        assert select.select([pty.file], [], [], 10)[0] == [pty.file]

    assert pty.is_as_before
    assert select.select([pty.file], [], [], 0.05)[0] == []


def test_what_is_no_such_address_is_said_and_another_is_taken(plain: Issuer, pty: Pty) -> None:
    def paste(address: str) -> None:
        pty.type("what do I do now?\n")
        pty.type(f"{address.partition('?')[0]}?code=stolen&state=guessed\n")
        pty.type(f"{address}&state=twice\n")
        pty.type(f"{address}\n")

    browser = Elsewhere(plain, once_quiet(pty, paste))
    with calling(plain, auth_type="Pkce", browse=browser, terminal=lambda: Terminal(pty.file)) as caller:
        assert caller.call() == 1
    browser.done()

    assert [told.partition(":")[0] for told in caller.told[1:]] == ["That is not where this sign-in ends"] * 3
    assert "stolen" not in plain.to("/token")[0].form.values()
    assert not [told for told in caller.told if plain.issued[0] in told]


def test_an_error_that_is_pasted_ends_it(plain: Issuer, pty: Pty) -> None:
    def paste(address: str) -> None:
        pty.type(address.replace("code=", "error=access_denied&x=") + "\n")

    browser = Elsewhere(plain, once_quiet(pty, paste))
    terminal: dict[str, Any] = {"terminal": lambda: Terminal(pty.file)}
    declined = pytest.raises(errors.UnauthenticatedError, match="access_denied")
    with calling(plain, auth_type="Pkce", browse=browser, **terminal) as caller, declined:
        caller.call()
    browser.done()
    assert pty.is_as_before


def test_a_browser_of_this_machine_may_come_all_the_same(plain: Issuer, pty: Pty) -> None:
    browser = Browser()

    def browse(url: str) -> bool:
        browser(url)
        return False

    with calling(plain, auth_type="Pkce", browse=browse, terminal=lambda: Terminal(pty.file)) as caller:
        assert caller.call() == 1
    browser.done()
    assert pty.is_as_before


def test_a_terminal_that_goes_away_ends_nothing(plain: Issuer, pty: Pty) -> None:
    def hang_up(browser: Browser, url: str) -> None:
        once_quiet(pty, lambda address: pty.hang_up())("")
        sign_in(browser, url)

    browser = Browser(hang_up)

    def browse(url: str) -> bool:
        browser(url)
        return False

    with calling(plain, auth_type="Pkce", browse=browse, terminal=lambda: Terminal(pty.file)) as caller:
        assert caller.call() == 1
    browser.done()


def test_nobody_pastes(plain: Issuer, pty: Pty) -> None:
    terminal: dict[str, Any] = {"terminal": lambda: Terminal(pty.file)}
    with calling(plain, auth_type="Pkce", **terminal) as caller, pytest.raises(errors.CallTimeoutError):
        caller.call(0.5)
    assert pty.is_as_before


def test_who_has_a_browser_is_not_asked_to_paste(plain: Issuer) -> None:
    def terminal() -> Terminal:
        raise AssertionError("it is not for us")

    browser = Browser()
    with calling(plain, auth_type="Pkce", browse=browser, terminal=terminal) as caller:
        assert caller.call() == 1
    browser.done()


@pytest.mark.parametrize("has_device_codes", [True, False])
def test_who_can_not_paste_is_told_what_else_there_is(plain: Issuer, has_device_codes: bool) -> None:
    if not has_device_codes:
        plain.device_endpoint = ""
    with calling(plain, auth_type="Pkce") as caller:
        # Less than a second is enough to come so far, but where everybody is busy.
        for seconds in (0.3, 2.0, 10.0):
            with pytest.raises(errors.CallTimeoutError):
                caller.call(seconds)
            if caller.told:
                break

    (told,) = caller.told
    assert "in a browser of this machine" in told
    assert ("DeviceFlow" in told) is has_device_codes


# Of a process whose terminal it is.

CHILD = """
import os, sys, threading
if sys.argv[1] != "foreign":
    os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first terminal that the leader of a session opens is its own
if sys.argv[1] == "background":
    import signal
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
    else:
        os._exit(os.waitpid(child, 0)[1])
from flyte_lite._auth.terminal import terminal_of_ours
found = []
if sys.argv[1] == "thread":
    thread = threading.Thread(target=lambda: found.append(terminal_of_ours()))
    thread.start()
    thread.join()
else:
    found.append(terminal_of_ours())
print("none" if found[0] is None else "ours", flush=True)
if sys.argv[1] == "interrupted":
    with found[0] as terminal:
        print("reads", flush=True)
        terminal.lines()
"""


def child(pty: Pty, how: str) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdin": pty.file, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", CHILD, how], start_new_session=True, **pipes)


@pytest.mark.parametrize(
    ("how", "said"), [("own", "ours"), ("thread", "none"), ("foreign", "none"), ("background", "none")]
)
def test_whose_turn_it_is_to_read_a_terminal(pty: Pty, how: str, said: str) -> None:
    process = child(pty, how)
    assert process.communicate(timeout=30) == (f"{said}\n", "")


def test_ctrl_c_leaves_the_terminal_as_it_was(pty: Pty) -> None:
    process = child(pty, "interrupted")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["ours\n", "reads\n"]
    pty.type("half an addr")
    pty.type("\x03")
    _, said = process.communicate(timeout=30)

    assert "KeyboardInterrupt" in said
    assert pty.is_as_before


@pytest.mark.parametrize("stdin", [None, "closed", "text"])
def test_a_program_without_a_terminal(stdin: Optional[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdin", {"closed": closed, "text": io.StringIO()}.get(stdin or ""))

    assert terminal_of_ours() is None
    assert threading.current_thread() is threading.main_thread()


SIGN_IN = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
from flyte_lite import Client
from flyte_lite._rpc.method import Method
from flyte_lite.idl.flyteidl2.project import project_service_pb2
with Client(sys.argv[1], project="p", domain="d", auth_type="Pkce", token_store="memory", timeout=60.0) as client:
    get = Method(project_service_pb2, "ProjectService", "GetProject", safe=True)
    client._session.call(get, project_service_pb2.GetProjectRequest(id="flytesnacks"))
print("signed in", flush=True)
"""


def test_a_script_on_a_machine_without_a_browser(plain: Issuer, pty: Pty) -> None:
    """With nothing but what `Client` does by itself."""
    without = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "CI", "AWS_LAMBDA_FUNCTION_NAME")
    environ = {name: value for name, value in os.environ.items() if name not in without}
    pipes: dict[str, Any] = {"stdin": pty.file, "stderr": pty.file, "stdout": subprocess.PIPE, "text": True}
    argv = [sys.executable, "-c", SIGN_IN, plain.url]
    if sys.platform == "darwin":
        pytest.skip("there is a browser on each of these")
    process = subprocess.Popen(argv, env=environ, start_new_session=True, **pipes)
    shown, ends = "", time.monotonic() + 30
    while "press Enter" not in shown and process.poll() is None and time.monotonic() < ends:
        shown += pty.shows()
    url = next((word for word in shown.split() if word.startswith(f"{plain.url}/authorize?")), "")
    assert url, shown
    pty.type(plain._authorize(Request("GET", "/authorize", {}, dict(parse_qsl(urlsplit(url).query)))) + "\n")

    assert process.communicate(timeout=30)[0] == "signed in\n", pty.shows()
    assert plain.issued[0] not in pty.shows()
    assert pty.is_as_before
