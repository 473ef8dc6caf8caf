"""What the platform says of itself to the container of a task, as arguments of a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from flyte_lite.config import Config
from flyte_lite.errors import ConfigError

SAID_BY_VARIABLES = ("auth_type", "command", "proxy_command")
"""What a client finds in its environment by itself, where it is not for servers that are spoken to by plain http."""

_USUAL = "host.docker.internal:8090"
# Under these names and in this order the official function gives them back.
_RETURNED = ["endpoint", "insecure", "ca_cert_file_path", "insecure_skip_verify", "client_id"]
_RETURNED += ["client_credentials_secret", "scopes", "auth_type", "command", "proxy_command", "http_proxy_url"]


def arguments_of(
    api_key: Optional[str], endpoint: Optional[str], insecure: bool, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Where no file is named: arguments of `Client`, and `SAID_BY_VARIABLES`.

    Raises:
        ConfigError: A command is wanted and none is there, or a variable can't be read.
    """
    settings = Config.load({}, {name: value for name, value in environ.items() if name != "FLYTE_API_KEY"})
    by_variable = {
        name: list(value) if isinstance(value := getattr(settings, name), tuple) else value
        for name in SAID_BY_VARIABLES
        if settings.sources[name].startswith("environment variable")
    }
    kind = by_variable.get("auth_type")
    if kind == "ExternalCommand" and not by_variable.get("command"):
        raise ConfigError(
            "FLYTE_AUTH_TYPE is ExternalCommand, which needs the command that prints a token: set FLYTE_AUTH_COMMAND "
            "to a command line, or to a JSON array of its words",
            code="MissingExternalCommand",
        )
    key = api_key or (None if kind else environ.get("_UNION_EAGER_API_KEY") or environ.get("EAGER_API_KEY"))
    arguments: dict[str, Any] = {"insecure": insecure}
    if key:
        arguments["api_key"] = key
    else:
        place = endpoint or environ.get("_U_EP_OVERRIDE") or settings.endpoint or _USUAL
        arguments.update(by_variable, endpoint=place)
        near = "localhost" in place or "docker" in place
        arguments["insecure"] = insecure or near or _says_yes(environ, "_U_INSECURE")
    if _says_yes(environ, "_U_INSECURE_SKIP_VERIFY"):
        arguments["insecure_skip_verify"] = True
    return arguments


def returned_of(config: Config, environ: Mapping[str, str]) -> dict[str, Any]:
    """What a client by a file was made with; `_U_EP_OVERRIDE` names whom tasks are to be given to."""
    found = {name: getattr(config, name) for name in _RETURNED}
    if found["ca_cert_file_path"]:
        found["insecure_skip_verify"] = None
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items() if value}
    endpoint = environ.get("_U_EP_OVERRIDE")
    return {**found, "headless": True, **({"endpoint": endpoint} if endpoint else {})}


def _says_yes(environ: Mapping[str, str], name: str) -> bool:
    return bool(Config().given({"insecure": environ.get(name)}, f"environment variable {name}").insecure)
