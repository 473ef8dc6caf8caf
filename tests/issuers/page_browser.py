"""A person at a browser without JavaScript: follows links and redirects, fills in forms, keeps cookies."""

from __future__ import annotations

import http.cookiejar
import ssl
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import urlencode, urljoin, urlsplit

MOST_PAGES = 12


class Form(NamedTuple):
    """A form of a page, with what stands in its fields, and with the buttons that send it."""

    action: str
    fields: dict[str, str]
    asked: list[str]
    buttons: list[dict[str, str]]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._by_id: dict[str, Form] = {}
        self._inside: Optional[Form] = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(said.get("href", ""))
        if tag == "form":
            self._inside = Form(said.get("action", ""), {}, [], [])
            self.forms.append(self._inside)
            self._by_id[said.get("id", "")] = self._inside
        form = self._by_id.get(said["form"]) if "form" in said else self._inside
        if form is None:
            return
        if tag == "button":
            form.buttons.append({said["name"]: said.get("value", "")} if said.get("name") else {})
        elif tag == "input" and said.get("type") == "hidden":
            form.fields[said["name"]] = said.get("value", "")
        elif tag == "input" and said.get("type") in ("text", "password"):
            form.asked.append(said["name"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = None


class _StayAway(urllib.request.HTTPRedirectHandler):
    """Goes wherever it is sent, but to the machine that it is on itself, where nobody listens."""

    def redirect_request(self, request: Any, file: Any, code: int, message: str, headers: Any, url: str) -> Any:
        if urlsplit(url).hostname == "localhost":
            return None
        return super().redirect_request(request, file, code, message, headers, url)


class PageBrowser:
    """See the module.

    Args:
        authority: PEM file of whom it trusts.
        login: What it types where a name is asked for.
        declines: Whether it says no where it is asked whether a program may have a token.
        elsewhere: Whether it is on another machine than the program, and can't come back to that.

    Attributes:
        urls: What it was sent to.
        pages: Address, status and text of all that it was shown.
    """

    def __init__(self, authority: str, login: str = "ada", *, declines: bool = False, elsewhere: bool = False) -> None:
        self.urls: list[str] = []
        self.pages: list[tuple[str, int, str]] = []
        self._login = login
        self._declines = declines
        self._threads: list[threading.Thread] = []
        self._problems: list[Exception] = []
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority)),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _StayAway() if elsewhere else urllib.request.HTTPRedirectHandler(),
        )

    def __call__(self, url: str, typed: str = "") -> bool:
        """Visit on a thread of its own, as who opened the page waits for what comes of it."""
        self.urls.append(url)
        thread = threading.Thread(target=self._act, args=(url, typed), daemon=True)
        self._threads.append(thread)
        thread.start()
        return True

    def done(self) -> None:
        """Wait for it; what went wrong is raised here."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "the browser is not done"
        for problem in self._problems:
            raise problem

    def _act(self, url: str, typed: str) -> None:
        try:
            self.visit(url, typed)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self._problems.append(error)

    def visit(self, url: str, typed: str = "") -> str:
        """Go on from a page until nothing is asked any more.

        Args:
            typed: What it enters where a code is asked for.

        Returns:
            The text of the last page.
        """
        url, text = self._get(url)
        for _ in range(MOST_PAGES):
            page = _Page(text)
            if not page.forms:
                return text
            form = page.forms[0]
            said = {"login": self._login, "password": "h1dden", "user_code": typed}
            filled = {**form.fields, **{name: said[name] for name in form.asked}}
            decides = form.fields.get("prompt") == "consent" or "confirm" in form.fields
            if self._declines and decides:
                # There is a link for it, or a button.
                links = [urljoin(url, link) for link in page.links if link.endswith("/abort")]
                buttons = [{**form.fields, **button} for button in form.buttons if "abort" in button]
                return self._get(links[0])[1] if links else self._get(urljoin(url, form.action), buttons[0])[1]
            url, text = self._get(urljoin(url, form.action), filled)
        raise AssertionError(f"there is no end to it: {self.pages[-1][0]}")

    def _get(self, url: str, form: Optional[dict[str, str]] = None) -> tuple[str, str]:
        body = None if form is None else urlencode(form).encode()
        try:
            answer = self._opener.open(url, body, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode()
            # Where it could not go stands in its address bar.
            at = answer.headers.get("Location", answer.url) if answer.status in (302, 303) else answer.url
            self.pages.append((at, answer.status, text))
            return at, "" if at != answer.url else text


def enters_code(browser: PageBrowser) -> Callable[[str], None]:
    """What somebody does on another device who reads what is printed."""

    def tell(text: str) -> None:
        page, _, rest = text.partition("To sign in, open ")[2].partition(" and ")
        browser(page, rest.rpartition(" ")[2])

    return tell
