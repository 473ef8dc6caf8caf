"""What a person does with a browser in a sign-in, without one."""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.request
from typing import Callable
from urllib.parse import parse_qs, urlsplit

from issuer import CERTIFICATES


class Browser:
    """Does on a thread of its own what a person does with a page.

    Attributes:
        pages: Status and text of what it was shown.
    """

    def __init__(self, *acts: Callable[[Browser, str], None]) -> None:
        self.acts = acts or (sign_in,)
        self.urls: list[str] = []
        self.pages: list[tuple[int, str]] = []
        self.threads: list[threading.Thread] = []
        self.problems: list[Exception] = []

    def __call__(self, url: str) -> bool:
        self.urls.append(url)
        thread = threading.Thread(target=self._act, args=(url,))
        self.threads.append(thread)
        thread.start()
        return True

    def _act(self, url: str) -> None:
        try:
            for act in self.acts:
                act(self, url)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.problems.append(error)

    def done(self) -> None:
        for thread in self.threads:
            thread.join(20)
        assert self.problems == []

    def get(self, url: str, **headers: str) -> None:
        context = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        asked = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.build_opener(*handlers).open(asked, timeout=10) as answer:
                self.pages.append((answer.status, answer.read().decode()))
        except urllib.error.HTTPError as error:
            self.pages.append((error.code, error.read().decode()))


def parameter(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


def callback(url: str) -> str:
    return parameter(url, "redirect_uri")


def sign_in(browser: Browser, url: str) -> None:
    browser.get(url)
