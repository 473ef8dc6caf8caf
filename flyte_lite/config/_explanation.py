"""What a client was told and by whom, for people to read: without secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from flyte_lite.config._endpoint import shown_address
from flyte_lite.config._keys import KEYS, SECRET
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from flyte_lite.config._config import Config

MASKED = "***"
_FIRST = [key.setting for key in KEYS if not key.setting.startswith(("image", "local"))]
_FIRST.insert(_FIRST.index("client_id") + 1, SECRET)
_ALWAYS = [*_FIRST, "rpc_retries", "headless"]


class Setting(NamedTuple):
    """One setting, as it is explained.

    Attributes:
        name: The argument's name.
        value: Text, a number, True, False, a list, a dict or None; a secret is "***".
        source: "argument", a variable, a file with line and key, "default".
    """

    name: str
    value: Any
    source: str


def settings_of(config: Config) -> tuple[Setting, ...]:
    """See `Config.settings`. What has no effect here is left out, unless somebody set it."""
    rest = [name for name, source in config.sources.items() if name not in _ALWAYS and source != "default"]
    return tuple(_setting(config, name) for name in (*_ALWAYS, *rest))


def _setting(config: Config, name: str) -> Setting:
    value = getattr(config, name)
    source = config.sources.get(name) or ("default" if value == config._field_defaults[name] else "Config(...)")
    if name == "org" and config.org is None and config.endpoint is not None:
        try:
            label = config.server().organization
        except ConfigError:
            label = ""
        if label:
            return Setting(name, label, "the endpoint's name")
    return Setting(name, _masked(name, value), source)


def explanation_of(config: Config, only: Sequence[str] = ()) -> str:
    """See `Config.explain`."""
    rows = [row for row in settings_of(config) if not only or row.name in only]
    names, values = [row.name for row in rows], [_written(row.value) for row in rows]
    wide, wider = max(map(len, names)), min(48, max(map(len, values)))
    lines = [f"{name:{wide}}  {value:{wider}}  {row.source}".rstrip() for name, value, row in zip(names, values, rows)]
    return "\n".join(lines if only else [f"{'file':{wide}}  {_file(config)}", *lines])


def _file(config: Config) -> str:
    if config.source is not None:
        return str(config.source)
    if config.searched:
        return f"none; looked for {', '.join(config.searched)}"
    return "none was asked for"


def shown(config: Config, name: str) -> str:
    """One value as text, masked."""
    return repr(_masked(name, getattr(config, name)))


def check_pickled(config: Config) -> None:
    """Refuse to take a secret along in a pickle.

    Raises:
        TypeError: There is one.
    """
    # A store of the user's may have all of its tokens with it.
    for name in (SECRET, "http_proxy_url", "endpoint", "console_endpoint", "token_store"):
        value = getattr(config, name)
        if value is not None and _masked(name, value) != value:
            raise TypeError(
                f"a Config with a secret in {name} is not pickled; let the other process read its own, or give it "
                f"config._replace({name}=None)"
            )


def _written(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " ".join(value) or "-"
    return str(value)


def _masked(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == SECRET:
        return MASKED
    if name == "auth_client_config":
        return "given"
    if name in ("command", "proxy_command"):
        # People put secrets into arguments.
        return [value[0], *([f"({len(value) - 1} more)"] if len(value) > 1 else [])]
    if name == "http_proxy_url":
        return _without_password(value)
    if name == "token_store":
        return value if isinstance(value, str) else type(value).__name__
    if name in ("endpoint", "console_endpoint"):
        return shown_address(value) if isinstance(value, str) else type(value).__name__
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _without_password(url: str) -> str:
    try:
        place = urlsplit(url if "://" in url else f"//{url}")
        host = place.netloc.rpartition("@")
    except ValueError:
        return MASKED
    if "@" in url and not host[1]:
        # A password with / or # in it, which is not written as %2F or %23, ends the host for a parser.
        return MASKED
    scheme = f"{place.scheme}://" if place.scheme else ""
    return f"{scheme}{f'{MASKED}@' if host[1] else ''}{host[2]}"
