"""Somebody who can be asked to sign in, or the reason why there is nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Optional

from flyte_lite import _console
from flyte_lite._auth.terminal import Terminal, terminal_of_ours
from flyte_lite.errors import Code, UnauthenticatedError

_HELP = (
    "Give init(), Client() or create_channel() what needs nobody: api_key= (or set FLYTE_API_KEY), client_id= and "
    "client_credentials_secret= (FLYTE_ADMIN_CLIENTID and FLYTE_ADMIN_CLIENTSECRETENVVAR), or command= "
    "(FLYTE_AUTH_COMMAND); create_channel() takes token=, too. Or sign in before, with `flyte-lite login`"
)
BY_PLAIN_HTTP = "the server is spoken to by plain http, and nobody asked for that with auth_type="


def _on_terminal() -> bool:
    return _in_notebook() or _console.is_terminal(sys.stderr)


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this, which has no terminal, and somebody who reads what it prints."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel = getattr(shell, "kernel", None)
    # What runs a notebook by itself, such as papermill, lets it ask for no input.
    return kernel is not None and getattr(kernel, "_allow_stdin", True) is not False


def has_browser(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a page can be shown to who sits here: not where they are on another machine, or have no screen."""
    if any(map(environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return True
    return not sys.platform.startswith("linux") and not any(map(environ.get, ("SSH_CONNECTION", "SSH_TTY")))


def _browse(url: str) -> bool:
    """Show a page in a browser that has a window; one that takes the terminal would keep us from listening."""
    if not has_browser():
        return False
    import webbrowser

    try:
        return webbrowser.open_new_tab(url)
    except (webbrowser.Error, OSError):
        return False


def _tell(text: str) -> None:
    # stderr, so that it never mixes with a script's own output.
    _console.say(text, to=sys.stderr)


def unattended(environ: Mapping[str, str]) -> str:
    """Why nobody sits where these variables are set; "" if somebody may."""
    if environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        return "this is AWS Lambda"
    return "the environment variable CI is set" if environ.get("CI", "").lower() not in ("", "0", "false", "no") else ""


class Person:
    """See the module.

    Args:
        asked: True starts a sign-in wherever we are, False nowhere, None where somebody can answer.
        environ: Where CI and AWS Lambda are told.
        unasked: Why nobody is asked, whoever may be here; "" if there is no such reason.
        settings: What is set of signing in, and where, for the error; None says nothing.
        on_terminal: Whether somebody reads what we print.
        tell: Prints a line for them.
        browse: Shows them a page; False if there is no browser.
        terminal: Where they may paste something; None if they can't.
    """

    def __init__(
        self,
        asked: Optional[bool] = None,
        environ: Mapping[str, str] = os.environ,
        *,
        unasked: str = "",
        settings: Optional[Callable[[], str]] = None,
        on_terminal: Callable[[], bool] = _on_terminal,
        tell: Callable[[str], None] = _tell,
        browse: Callable[[str], bool] = _browse,
        terminal: Callable[[], Optional[Terminal]] = terminal_of_ours,
    ) -> None:
        self._asked = asked
        self._environ = environ
        self._unasked = unasked
        self._settings = settings
        self._on_terminal = on_terminal
        self.tell = tell
        self.browse = browse
        self.terminal = terminal

    def __repr__(self) -> str:
        return f"Person({self.absence() or 'present'})"

    def absence(self) -> str:
        """Why nobody can answer; "" if somebody can."""
        if self._unasked:
            return self._unasked
        if self._asked is not None:
            return "" if self._asked else "headless=True, or interactive=False"
        return unattended(self._environ) or ("" if self._on_terminal() else "stderr is no terminal")

    def need(self, why: str) -> None:
        """Go on only if somebody can answer.

        Args:
            why: What they are needed for.

        Raises:
            UnauthenticatedError: Nobody can.
        """
        absence = self.absence()
        if absence:
            asked = "; headless=False of init() and interactive=True of create_channel() ask all the same"
            told = _HELP if self._unasked or self._asked is False else _HELP + asked
            # A table, whose last line is a line of its own; the first line says it all.
            table = "" if self._settings is None else f".\nWhat is set:\n{self._settings()}\n"
            raise UnauthenticatedError(
                f"{why}, and nobody can sign in here ({absence}). {told}{table}", Code.UNAUTHENTICATED, sent=False
            )
