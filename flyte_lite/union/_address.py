"""What a `uri` names: the address of a page in the web console, of either generation, or a path of names."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from flyte_lite._session import Session

Kind = Literal["run", "task"]

_HEAD = r"(?:/console)?(?:/v2)?(?:/org/(?P<org>[^/]+))?"
_NEW = r"/domain/(?P<domain>[^/]+)/project/(?P<project>[^/]+)"
_PLACE = r"/project/(?P<project>[^/]+)/domain/(?P<domain>[^/]+)"
_OLD = r"/projects/(?P<project>[^/]+)/domains/(?P<domain>[^/]+)"
_NAME = r"/(?P<name>[^/]+)"
_VERSION = r"(?:/versions?/(?P<version>[^/]+))?/?"
_PAGES: dict[Kind, tuple[re.Pattern[str], ...]] = {
    # What follows the name is a part of the run's page.
    "run": (
        re.compile(f"{_HEAD}{_NEW}/runs{_NAME}(?:/.*)?"),
        re.compile(f"{_HEAD}/runs{_PLACE}{_NAME}(?:/.*)?"),
        re.compile(f"{_HEAD}{_OLD}/executions{_NAME}(?:/.*)?"),
    ),
    "task": (
        re.compile(f"{_HEAD}{_NEW}/tasks{_NAME}{_VERSION}"),
        re.compile(f"{_HEAD}/tasks{_PLACE}{_NAME}{_VERSION}"),
        re.compile(f"{_HEAD}{_OLD}/tasks?{_NAME}{_VERSION}"),
    ),
}
_ACCEPTED: dict[Kind, str] = {
    "run": "https://host/v2/domain/D/project/P/runs/R, https://host/v2/runs/project/P/domain/D/R, "
    "https://host/console/projects/P/domains/D/executions/R, org/project/domain/run, project/domain/run or its name",
    "task": "https://host/v2/domain/D/project/P/tasks/T, https://host/console/projects/P/domains/D/task/T/version/V, "
    "org/project/domain/task, project/domain/task or its name",
}
_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Address(NamedTuple):
    """Where a run or a task is, as far as a uri says; None is what it leaves to the session.

    Attributes:
        name: Of the run or the task.
        project: Its project.
        domain: Its domain.
        org: Its organization.
        version: Of a task, if the page is that of one version.
    """

    name: str
    project: Optional[str] = None
    domain: Optional[str] = None
    org: Optional[str] = None
    version: Optional[str] = None


def address_of(kind: Kind, uri: str, session: Session) -> Address:
    """Read a uri.

    Only the host of a URL is compared, not its port: a console may listen beside its API.

    Args:
        kind: What it must name.
        uri: A URL of the console, or `org/project/domain/name`, `project/domain/name` or a name alone.
        session: Whose server it must be about.

    Raises:
        ValueError: It is none of these, or the page of another server.
    """
    if not isinstance(uri, str):
        raise ValueError(f"uri is {type(uri).__name__}; give the text {_ACCEPTED[kind]}")
    text = uri.strip()
    names = text.split("/")
    if "://" not in text and all(names) and len(names) in (1, 3, 4):
        *place, name = names
        org, project, domain = (None,) * (3 - len(place)) + tuple(place)
        return Address(name, project, domain, org)
    return _page(kind, text, session)


def _page(kind: Kind, text: str, session: Session) -> Address:
    wrong = f"uri {_shown(text)!r} is not the address of a {kind}; give one of {_ACCEPTED[kind]}"
    try:
        parts = urlsplit(text if "://" in text or text.startswith("/") else f"//{text}")
        host = parts.hostname
    except ValueError:
        raise ValueError(wrong) from None
    found = next(filter(None, (page.fullmatch(parts.path) for page in _PAGES[kind])), None)
    if found is None or parts.scheme not in ("", "http", "https"):
        raise ValueError(wrong)
    _check_host(kind, text, host, session)
    return Address(**{field: unquote(value) for field, value in found.groupdict().items() if value})


def _check_host(kind: Kind, text: str, host: Optional[str], session: Session) -> None:
    ours = {session.channel.origin.host, urlsplit(session.console).hostname}
    if host is None or host in ours or (host in _LOCAL and ours & _LOCAL):
        return
    raise ValueError(
        f"uri {_shown(text)!r} is a page of {host}, but this session talks to {session.channel.origin}; call "
        f"init() for that server, or give the {kind} by name=, project= and domain="
    )


def _shown(text: str) -> str:
    # What precedes the host or follows the path may be a password or a signature.
    scheme, mark, rest = text.partition("?")[0].partition("#")[0].rpartition("://")
    head, slash, path = rest.partition("/")
    return f"{scheme}{mark}{head.rpartition('@')[2]}{slash}{path}"[:200]
