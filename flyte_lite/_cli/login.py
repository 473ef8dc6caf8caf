"""`flyte-lite login` and `flyte-lite logout`: a person's login to a server, kept and forgotten."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import Any

from flyte_lite import _session, errors
from flyte_lite._auth.person import Person, has_browser, unattended
from flyte_lite._auth.provider import is_loopback
from flyte_lite._auth.sign_in import PERSONS
from flyte_lite._cli.whoami import NOT_SIGNED_IN, named
from flyte_lite._clock import SYSTEM_CLOCK, Deadline
from flyte_lite._connection import login_of, sign_in_of, transport_of
from flyte_lite._console import fail, say
from flyte_lite._doctor.identity import who
from flyte_lite._http.transport import Transport
from flyte_lite.config import Config, Endpoint
from flyte_lite.config._endpoint import shown_address

_FLOWS = {"browser": "Pkce", "device": "DeviceFlow"}
_REVOCATION_SECONDS = 10.0
_INSTEAD = "Give --token-store file, or the path of a folder, and set FLYTE_LITE_TOKEN_STORE to the same for programs"


def run(options: argparse.Namespace) -> int:
    """Carry out `login` or `logout`.

    Returns:
        0 if a login is kept, or none any more; 7 if nobody signed in; 1 if it can't be kept or removed.

    Raises:
        FlyteLiteError: Something else is wrong.
    """
    arguments: dict[str, Any] = {"endpoint": options.endpoint, "token_store": options.token_store}
    if options.command == "login":
        arguments["auth_type"] = _FLOWS.get(options.flow)
    config = Config.auto(options.config, arguments=arguments)
    server = config.server()
    kind = sign_in_of(config).kind()
    if kind not in (None, *PERSONS):
        setting = "auth_type" if config.auth_type is not None else "command"
        raise errors.ConfigError(
            f"{kind} says who calls (from {config.sources.get(setting, 'argument')}): what is configured so signs in by"
            " itself and has no login; `flyte-lite login --flow browser` signs in a person all the same"
        )
    with contextlib.closing(transport_of(config)) as transport:
        command = _login if options.command == "login" else _logout
        return command(config, server, transport, Deadline(SYSTEM_CLOCK, options.timeout))


def _login(config: Config, server: Endpoint, transport: Transport, deadline: Deadline) -> int:
    if server.scheme == "http" and not is_loopback(server.host):
        raise errors.ConfigError(
            f"{server.host} is spoken to by plain http, where a login would be readable on the way: use https (it is"
            " only kept for http to this very machine)"
        )
    where = sign_in_of(config).kept()
    if not where:
        raise errors.ConfigError(f"a login would be forgotten at once: {_why_memory(config)}. {_INSTEAD}")
    login = login_of(config, transport, server, Person(True))
    trouble = login.trouble(deadline)
    if trouble:
        raise errors.ConfigError(f"a login would be forgotten at once: {trouble}. {_INSTEAD}")
    endpoint = shown_address(config.endpoint or "")
    try:
        if config.auth_type is None and not has_browser() and login.gives_codes(deadline):
            login = login_of(config.given({"auth_type": "DeviceFlow"}), transport, server, Person(True))
        kept = login.begin(deadline)
        if not kept:
            fail(f"somebody signed in, and {where} kept nothing of it: {login.trouble(deadline) or 'it forgot'}")
            fail(_INSTEAD)
            return 1
    except errors.CallTimeoutError as error:
        # What helps a program is no option of this command.
        fail(f"nobody is signed in to {endpoint}: {error.message.partition(';')[0]}; give it more with --timeout")
        return NOT_SIGNED_IN
    except errors.UnauthenticatedError as error:
        fail(f"nobody is signed in to {endpoint}: {error.message}")
        return NOT_SIGNED_IN
    try:
        user = _user(config, transport)
    except errors.UnauthenticatedError as error:
        # A login that the server does not take is none.
        login.end(Deadline(SYSTEM_CLOCK, _REVOCATION_SECONDS))
        reason = error.message.partition("\n")[0]
        fail(f"somebody signed in, and {endpoint} does not take that: {reason}")
        return NOT_SIGNED_IN
    say(f"signed in to {endpoint}: {user}")
    say(f"kept in {where}; flyte-lite logout forgets it")
    if config.token_store is not None and config.sources.get("token_store") == "argument":
        say(f"programs find it there with FLYTE_LITE_TOKEN_STORE={config.token_store}")
    return 0


def _user(config: Config, transport: Transport) -> str:
    """Whom the server takes the login for, as a program finds it.

    Raises:
        UnauthenticatedError: It does not take it.
    """
    session = _session.connect(config.given({"headless": True}), transport=transport)
    try:
        return named(who(session, session.deadline()))
    except errors.UnauthenticatedError:
        raise
    except errors.CallError as error:
        return f"the server does not say who ({error.message})"


def _logout(config: Config, server: Endpoint, transport: Transport, deadline: Deadline) -> int:
    where = sign_in_of(config).kept()
    if not where:
        say(f"nothing is kept: {_why_memory(config)}; --token-store says where else to look")
        return 0
    login = login_of(config, transport, server)
    ended = login.end(deadline)
    endpoint = shown_address(config.endpoint or "")
    if not ended.removed:
        trouble = login.trouble(Deadline(SYSTEM_CLOCK, _REVOCATION_SECONDS)) or "it was refused"
        fail(f"the login to {endpoint} could not be removed from {where}: {trouble}")
        return 1
    if not ended.there:
        say(f"nobody is signed in to {endpoint}: there is nothing of it in {where}")
        return 0
    say(f"signed out of {endpoint}: the login is no longer in {where}")
    if ended.unrevoked:
        say(f"it was not revoked, so that a copy of it stays good until it ends: {ended.unrevoked}")
    return 0


def _why_memory(config: Config) -> str:
    """Why tokens are kept in the memory of each process alone."""
    if config.token_store is not None:
        return f"token_store is {config.token_store!r} (from {config.sources.get('token_store', 'argument')})"
    if config.disable_keyring:
        return f"disable_keyring is set (from {config.sources.get('disable_keyring', 'argument')})"
    return f"{unattended(os.environ)}, where no keyring is used"
