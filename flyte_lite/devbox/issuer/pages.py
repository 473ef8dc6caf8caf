"""The pages that people see: plain HTML that needs no script, loads nothing, and is shown in no frame."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlsplit

from flyte_lite.devbox.issuer.terms import User
from flyte_lite.devbox.protocols import Answer, Headers

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 34em; margin: 4em auto; padding: 0 1em }
label, p { display: block; margin: .5em 0 }
button, input[type=text] { font: inherit; padding: .3em .8em; margin-right: .5em }
code { font-size: 1.3em; letter-spacing: .1em }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{inside}
</body></html>
"""
_CHOICE = """<label><input type="radio" name="user" value="{subject}"{checked}> {name} ({subject})</label>
"""
_CONSENT = """<p>{who} wants to call this devbox for you{what}.</p>
{code}<form method="post" action="{action}">
{hidden}<p>Who are you? Nobody checks it.</p>
{choices}<label>Somebody else: <input type="text" name="other" maxlength="100" autocomplete="off"></label>
<p><button id="allow" name="decision" value="allow">Allow</button>
<button id="deny" name="decision" value="deny">Deny</button></p>
</form>"""
_CODE = """<p>Is this the code that your program shows?</p><p><code id="user-code">{code}</code></p>
"""
_ENTRY = """{problem}<form method="get" action="{action}">
<label>The code that your program shows: <input type="text" name="user_code" autocomplete="off" autofocus></label>
<p><button>Go on</button></p>
</form>"""


def consent(
    action: str,
    client: str,
    scope: str,
    users: Sequence[User],
    hidden: Mapping[str, str],
    *,
    code: str = "",
    redirect_uri: str = "",
    headers: Headers,
) -> Answer:
    """Where a person says who they are, and allows it or not.

    Args:
        action: The path that it is sent to.
        client: Who asks.
        scope: What for.
        users: Who can be picked.
        hidden: What is sent along.
        code: What to compare; "" is nothing.
        redirect_uri: Where the browser goes from there; "" is nowhere.
        headers: Of the answer, further ones.
    """
    choices = "".join(
        _CHOICE.format(
            subject=escape(user.subject), name=escape(user.name or user.subject), checked="" if at else " checked"
        )
        for at, user in enumerate(users)
    )
    inside = _CONSENT.format(
        who=escape(client),
        what=f" ({escape(scope)})",
        code=_CODE.format(code=escape(code)) if code else "",
        action=escape(action),
        hidden="".join(f'<input type="hidden" name="{name}" value="{escape(hidden[name])}">\n' for name in hidden),
        choices=choices,
    )
    return _page(200, "Sign in to the devbox", inside, headers, _source(redirect_uri))


def entry(action: str, problem: str = "", status: int = 200) -> Answer:
    """Where a person types in a device code.

    Args:
        action: The path that it is sent to.
        problem: What was wrong with the last one.
        status: Of HTTP.
    """
    inside = _ENTRY.format(action=escape(action), problem=f"<p>{escape(problem)}</p>\n" if problem else "")
    return _page(status, "Sign in to the devbox", inside)


def told(status: int, title: str, text: str) -> Answer:
    """A page that says something, and no more."""
    return _page(status, title, f"<p>{escape(text)}</p>")


def redirect(url: str) -> Answer:
    """Send the browser elsewhere, by GET whatever it came with."""
    return Answer(303, [("Location", url), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")])


def _source(redirect_uri: str) -> str:
    # Browsers hold a form's answer that leads elsewhere against the same rule as the form. IPv6 can't be written there.
    parts = urlsplit(redirect_uri)
    if not parts.netloc:
        return ""
    return f" {parts.scheme}:" if "[" in parts.netloc else f" {parts.scheme}://{parts.netloc}"


def _page(
    status: int, title: str, inside: str, further: Sequence[tuple[str, str]] = (), form_action: str = ""
) -> Answer:
    body = _PAGE.format(title=escape(title), style=_STYLE, inside=inside).encode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'{form_action}; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        # Not `no-referrer`: browsers would then hide the origin of a form, too.
        ("Referrer-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
    ]
    return Answer(status, [*headers, *further], [body], len(body))
