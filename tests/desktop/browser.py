"""A real browser without a window, told what to do over its DevTools protocol, by two pipes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

_SECONDS = 20.0
_SETTINGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--password-store=basic",
    "--use-mock-keychain",
)
# A browser reads commands from 3 and writes to 4, whatever numbers our ends have.
_START = (
    "import os, sys; r, w = (os.dup2(int(fd), 50 + i) for i, fd in enumerate(sys.argv[1:3])); "
    "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class BrowserFailed(Exception):
    """The browser did not do what it was told, or not in time."""


class Browser:
    """A browser that runs as long as its `with`."""

    def __init__(self, program: Path, folder: Path) -> None:
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Its own sandbox can't be had by root, nor in most containers; it only ever opens pages of this machine.
        settings = [*_SETTINGS, "--no-sandbox", f"--user-data-dir={folder / 'profile'}"]
        kept = {
            name: value for name, value in os.environ.items() if name not in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")
        }
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-IS", "-c", _START, str(commands), str(answers), str(program), *settings],
                pass_fds=(commands, answers),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**kept, "HOME": str(folder)},
                start_new_session=True,
            )
        os.close(commands)
        os.close(answers)
        self._log = folder / "log"
        self._unread = b""
        self._numbers = itertools.count(1)
        self.version: str = self.ask("Browser.getVersion")["product"]

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # the end of its commands is its own
        # It has children, which share its group and nothing else does.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        os.close(self._read)

    @contextlib.contextmanager
    def person(self) -> Iterator[Person]:
        """Somebody with cookies of their own."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        try:
            yield Person(self, context)
        finally:
            self.ask("Target.disposeBrowserContext", browserContextId=context)

    def ask(self, method: str, *, session: Optional[str] = None, **parameters: Any) -> dict[str, Any]:
        """What the browser answers.

        Raises:
            BrowserFailed: It refuses, is silent for 20 s, or is gone.
        """
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        try:
            os.write(self._write, json.dumps(asked).encode() + b"\0")
        except BrokenPipeError:
            raise BrowserFailed(self._ended()) from None
        end = time.monotonic() + _SECONDS
        while True:
            message = self._message(end, method)
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserFailed(f"{method}: {message['error'].get('message')}")
                result: dict[str, Any] = message["result"]
                return result

    def _message(self, end: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._unread:
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise BrowserFailed(f"{method}: no answer within {_SECONDS:g} s")
            piece = os.read(self._read, 1 << 16)
            if not piece:
                raise BrowserFailed(self._ended())
            self._unread += piece
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _ended(self) -> str:
        return f"the browser is gone: {self._log.read_text(errors='replace')[-2000:]}"


class Person:
    """Somebody who uses the browser, and shares no cookie with anybody else."""

    def __init__(self, browser: Browser, context: str) -> None:
        self._browser = browser
        self._context = context

    def open(self, url: str) -> Tab:
        """A page in a tab of its own."""
        target = self._browser.ask("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        session = self._browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        # What signs the certificates of tests is no authority of a browser's.
        self._browser.ask("Security.setIgnoreCertificateErrors", session=session, ignore=True)
        tab = Tab(self._browser, session)
        tab.go(url)
        return tab


class Tab:
    """A page, as somebody sees and uses it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def go(self, url: str) -> None:
        """Open another page in this tab, as by its address line; what can't be had shows a page that says so."""
        self._browser.ask("Page.navigate", session=self._session, url=url)

    @property
    def text(self) -> str:
        """What can be read."""
        return str(self._evaluate("document.body ? document.body.innerText : ''"))

    @property
    def title(self) -> str:
        """The title."""
        return str(self._evaluate("document.title"))

    @property
    def address(self) -> str:
        """What the address line says."""
        return str(self._evaluate("location.href"))

    @property
    def source(self) -> str:
        """The whole page, as it became."""
        return str(self._evaluate("document.documentElement.outerHTML"))

    def shows(self, text: str) -> str:
        """Wait until a text can be read; all that can be."""
        return self._until(lambda: self.text if text in self.text else None, f"{text!r} is shown")

    def inside_frames(self) -> list[str]:
        """What can be read in each frame of the page that is shown."""
        tree = self._browser.ask("Page.getFrameTree", session=self._session)["frameTree"]
        texts = []
        for child in tree.get("childFrames", []):
            world = self._browser.ask("Page.createIsolatedWorld", session=self._session, frameId=child["frame"]["id"])[
                "executionContextId"
            ]
            texts.append(str(self._evaluate("document.body ? document.body.innerText : ''", world)))
        return texts

    def is_called(self, title: str) -> None:
        """Wait until the page has that title."""
        self._until(lambda: self.title == title, f"the title is {title!r}")

    def press(self, label: str) -> None:
        """Click with the mouse on the button, or link, with that text, once it is there."""
        expression = f"""(() => {{
            const found = [...document.querySelectorAll("button, a, input[type=submit]")]
                .find(each => (each.innerText || each.value).trim() === {json.dumps(label)});
            if (!found) return null;
            found.scrollIntoView();
            const place = found.getBoundingClientRect();
            return [place.x + place.width / 2, place.y + place.height / 2];
        }})()"""
        x, y = self._until(lambda: self._evaluate(expression), f"a button {label!r} is there")
        for kind in ("mousePressed", "mouseReleased"):
            self._browser.ask(
                "Input.dispatchMouseEvent", session=self._session, type=kind, x=x, y=y, button="left", clickCount=1
            )

    def write(self, name: str, text: str) -> None:
        """Type into the field of a form, once it is there, instead of what it holds."""
        expression = f"""(() => {{
            const found = document.querySelector({json.dumps(f"input[name={name}]")});
            if (found) {{ found.focus(); found.select(); }}
            return Boolean(found);
        }})()"""
        self._until(lambda: self._evaluate(expression), f"a field {name!r} is there")
        self._browser.ask("Input.insertText", session=self._session, text=text)

    def _evaluate(self, expression: str, world: Optional[int] = None) -> Any:
        where = {} if world is None else {"contextId": world}
        answer = self._browser.ask(
            "Runtime.evaluate", session=self._session, expression=expression, returnByValue=True, **where
        )
        if "exceptionDetails" in answer:
            raise BrowserFailed(f"{expression}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def _until(self, look: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + _SECONDS
        while True:
            # A page that is just going away can't be asked.
            with contextlib.suppress(BrowserFailed):
                found = look()
                if found:
                    return found
            if time.monotonic() > end:
                raise BrowserFailed(f"not within {_SECONDS:g} s: {what}; the page says {self.text[:500]!r}")
            time.sleep(0.05)
