"""The further keywords of `create_channel`: which there are, and the sign-in that they amount to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Callable, Optional, TypedDict, Union

from flyte_lite._auth.sign_in import SignIn, client_config
from flyte_lite._auth.store import TokenStore
from flyte_lite._auth.tokens import Moment, Token
from flyte_lite._clock import SYSTEM_CLOCK
from flyte_lite._connection import EXPLAINED
from flyte_lite._rpc.call import Interceptor
from flyte_lite.config import Config
from flyte_lite.config._api_key import ApiKey
from flyte_lite.errors import OptionError


class Further(TypedDict, total=False):
    """The keywords of `create_channel` beyond its own; see there."""

    auth_type: Optional[str]
    client_id: Optional[str]
    client_secret: Union[str, Callable[[], str], None]
    client_credentials_secret: Union[str, Callable[[], str], None]
    client_auth: Optional[str]
    command: Optional[Sequence[str]]
    token: Union[str, Callable[[], str], None]
    scopes: Union[str, Sequence[str], None]
    audience: Optional[str]
    header_key: Optional[str]
    default_header_key: Optional[str]
    redirect_uri: Optional[str]
    token_endpoint: Optional[str]
    authorization_endpoint: Optional[str]
    device_authorization_endpoint: Optional[str]
    client_config: Any
    auth_client_config: Any
    request_auth_code_params: Optional[Mapping[str, str]]
    request_access_token_params: Optional[Mapping[str, str]]
    refresh_access_token_params: Optional[Mapping[str, str]]
    add_request_auth_code_params_to_request_access_token_params: bool
    interactive: Optional[bool]
    credentials: Any
    disable_keyring: bool
    token_store: Union[str, os.PathLike[str], TokenStore, None]
    auth_endpoint: Optional[str]
    proxy_env: Optional[Mapping[str, str]]
    proxy_timeout: Optional[float]
    http_proxy_url: Optional[str]
    proxies: Union[str, Mapping[str, Optional[str]], None]
    verify: Union[bool, str, None]
    ca_cert_path: Optional[str]
    root_certificates: Union[str, bytes, None]
    private_key: Union[str, bytes, None]
    certificate_chain: Union[str, bytes, None]
    options: Optional[Sequence[tuple[str, Any]]]
    rpc_retries: Optional[int]
    protocol: str
    get: bool
    interceptors: Sequence[Interceptor]


_KNOWN = sorted(Further.__annotations__)
_OF_HTTPX = ["auth", "params", "headers", "cookies", "cert", "http1", "http2", "proxy", "mounts", "timeout"]
_OF_HTTPX += ["follow_redirects", "limits", "max_redirects", "event_hooks", "base_url", "transport", "app", "trust_env"]
_REFUSED = {
    "cfg_store": "it is asynchronous; give what it would say as auth_client_config=",
    "in_channel": "the server is asked how to sign in over the channel itself",
    **dict.fromkeys(
        _OF_HTTPX, "it is a setting of an httpx client; give a requests.Session that has it as http_session="
    ),
}
# What makes one step of a sign-in belong to another, and to nobody else's.
_OF_AUTHORIZE = ("response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method")
_OF_TOKEN = ("grant_type", "client_id", "redirect_uri", "code", "code_verifier")
_OF_REFRESH = ("grant_type", "client_id", "refresh_token")


def given_keywords(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say something.

    Raises:
        OptionError: One is not known, or has no meaning here; the text says why.
    """
    for name in kwargs:
        if name in _REFUSED:
            raise OptionError(f"{name} can't be given to create_channel: {_REFUSED[name]}")
        if name not in _KNOWN:
            close = get_close_matches(name, _KNOWN, 1)
            hint = f"; do you mean {close[0]}?" if close else f"; known are {', '.join(_KNOWN)}"
            raise OptionError(f"create_channel knows no {name}{hint}")
    return {name: value for name, value in kwargs.items() if value is not None}


def one_of(given: Mapping[str, Any], *names: str, **others: Any) -> Any:
    """The value of the one that is given of several names for one thing.

    Raises:
        OptionError: Two of them are, and say different things.
    """
    all_of_them = {**{name: given.get(name) for name in names}, **others}
    found = {name: value for name, value in all_of_them.items() if value is not None and value != ""}
    if len(found) > 1 and any(value != next(iter(found.values())) for value in found.values()):
        raise OptionError(f"{' and '.join(found)} are one thing, and say different things")
    return next(iter(found.values()), None)


def sign_in(
    key: Optional[ApiKey], given: Mapping[str, Any], proxy_command: Optional[Sequence[str]], config: Config
) -> SignIn:
    """Who calls.

    Args:
        config: Says where tokens are kept.

    Raises:
        OptionError: Something is none of what it must be.
        ConfigError: See `SignIn`.
    """
    to_authorize = _pairs("request_auth_code_params", given, _OF_AUTHORIZE)
    to_token = _pairs("request_access_token_params", given, _OF_TOKEN)
    if given.get("add_request_auth_code_params_to_request_access_token_params"):
        to_token = {**to_authorize, **to_token}
    seconds = given.get("proxy_timeout", SignIn._field_defaults["proxy_seconds"])
    if not isinstance(seconds, (int, float)) or not seconds > 0:
        raise OptionError(f"proxy_timeout is {seconds!r}; give seconds above 0")
    if proxy_command is None and ("proxy_env" in given or "proxy_timeout" in given):
        raise OptionError("proxy_env and proxy_timeout are for proxy_command, which is not given")
    known = client_config(one_of(given, "auth_client_config", "client_config"), given)
    if "token" in given and (known.scopes or known.audience):
        raise OptionError("scopes and audience are for who asks for a token, and token= is one")
    return SignIn(
        auth_type="ClientSecret" if key else given.get("auth_type"),
        client_id=key.client_id if key else given.get("client_id") or known.client_id or None,
        client_secret=key.client_secret if key else one_of(given, "client_secret", "client_credentials_secret"),
        client_auth=given.get("client_auth"),
        command=given.get("command"),
        token=given.get("token"),
        header_key=one_of(given, "header_key", "default_header_key") or known.header_key or None,
        known=known,
        interactive=given.get("interactive"),
        to_authorize=to_authorize,
        to_token=to_token,
        to_refresh=_pairs("refresh_access_token_params", given, _OF_REFRESH),
        first=_first(given.get("credentials")),
        proxy_command=proxy_command,
        proxy_environ=_pairs("proxy_env", given),
        proxy_seconds=float(seconds),
        token_store=config.token_store,
        disable_keyring=config.disable_keyring,
        settings=lambda: _explained(given, config),
    )


def _explained(given: Mapping[str, Any], config: Config) -> str:
    """What is set of signing in: only keywords say who calls."""
    interactive = given.get("interactive")
    said = {
        "auth_type": given.get("auth_type"),
        "command": given.get("command"),
        "client_id": given.get("client_id"),
        "client_credentials_secret": one_of(given, "client_secret", "client_credentials_secret"),
        "headless": None if interactive is None else not interactive,
    }
    unsaid: dict[str, Any] = {name: config._field_defaults[name] for name in said}
    bare = config._replace(**unsaid, sources={**config.sources, **dict.fromkeys(said, "default")})
    return bare.given(said).explain(*EXPLAINED)


def _first(credentials: Any) -> Optional[Token]:
    """A token as the official `Credentials` has it, in `access_token`, `refresh_token` and `expires_in`."""
    if credentials is None:
        return None
    value = getattr(credentials, "access_token", None)
    if not isinstance(value, str) or not value:
        raise OptionError("credentials has no access_token; give token= for a text, or client_id= and client_secret=")
    life = getattr(credentials, "expires_in", None)
    known = isinstance(life, (int, float)) and life > 0
    refresh = getattr(credentials, "refresh_token", None)
    return Token(value, Moment.now(SYSTEM_CLOCK), life=life if known else None, refresh=refresh or None)


def _pairs(name: str, given: Mapping[str, Any], settled: Sequence[str] = ()) -> Mapping[str, str]:
    value = given.get(name, {})
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise OptionError(f"{name} is a dict of texts")
    for part in settled:
        if part in value:
            raise OptionError(f"{name} has {part}, which the sign-in itself has to say")
    return dict(value)
