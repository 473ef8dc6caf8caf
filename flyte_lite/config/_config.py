"""Every setting of a client, and where each came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from flyte_lite.config._endpoint import Endpoint
from flyte_lite.config._environment import found, secret_of
from flyte_lite.config._keys import API_KEY_VARIABLE, KEYS, SECRET
from flyte_lite.config._values import value_of
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from flyte_lite.config._explanation import Setting
    from flyte_lite.config._file import ConfigFile
    from flyte_lite.config._sections import ImageConfig, LocalConfig, PlatformConfig, TaskConfig

_DEFAULT, _ARGUMENT = "default", "argument"
# What only arguments say.
_ARGUMENTS = (SECRET, "audience", "rpc_retries", "headless", "auth_client_config")
# An API key is one text, whose endpoint is as plain as its secret.
_CALLERS = (_ARGUMENT, f"{_ARGUMENT} api_key", "with_params()", f"environment variable {API_KEY_VARIABLE}")
# "" of these says that there is none, whatever others say.
_NONE_BY_EMPTY = ("org", "http_proxy_url")
# What a channel that somebody made leaves open.
BESIDE_CHANNEL = ("org", "project", "domain", "console_endpoint")
_WHO_CALLS = ("auth_type", "command", "client_id", SECRET)


class Config(NamedTuple):
    """Everything that decides whom a client talks to, and as whom. Shown and pickled without secrets.

    Attributes:
        endpoint: The server, see `Endpoint.parse`.
        insecure: True for plain HTTP where the endpoint does not say http or https itself.
        insecure_skip_verify: True takes any certificate, unless authorities are named.
        ca_cert_file_path: PEM file (or folder) of the only authorities to trust; None takes the usual ones.
        org: Organization, for hosted servers; None takes the first label of the endpoint's name.
        project: Default project.
        domain: Default domain, such as "development".
        http_proxy_url: Proxy for everything; None takes what the environment names.
        console_endpoint: Address of the web console; None takes the endpoint's.
        auth_type: "Pkce", "ClientSecret", "ExternalCommand", "DeviceFlow" or "Passthrough"; None takes what the rest
            amounts to.
        command: Program and arguments that print a token.
        proxy_command: Program and arguments that print a token for a proxy before the server.
        client_id: Whom a client secret, or a person's sign-in, is for.
        client_credentials_secret: A secret, or a function that gives it.
        scopes: What to ask the identity provider for; () takes what the server says.
        audience: Whom tokens are for; None takes what the server says.
        auth_client_config: What else is known of the identity provider: an object or dict with `token_endpoint`,
            `authorization_endpoint`, `device_authorization_endpoint`, `issuer`, `redirect_uri`, `header_key` and so on.
        headless: True asks nobody to sign in, False asks wherever we are, None where somebody can answer.
        rpc_retries: Most repeats of one call; None is 3.
        disable_keyring: True keeps a person's tokens out of the keyring, unless `token_store` asks for it.
        token_store: Where tokens are kept: "memory" (of this process), "keyring", "file" (below the user's state
            folder), the path of another folder, or an object with the methods of `flyte_lite.TokenStore`. None is the
            keyring for a person's, but in CI, AWS Lambda or with `disable_keyring`, and memory for all others.
        image_builder: No effect: no images are built here.
        images: No effect, as `image_builder`.
        image_registry: No effect, as `image_builder`.
        local_persistence: No effect: no tasks run in this process.
        local_tracked: No effect, as `local_persistence`.
        local_tracked_strict: No effect, as `local_persistence`.
        source: The file that was read; None if none was.
        sources: Setting to where its value came from: "argument", a variable, a line of a file, "default".
        searched: Where a file was looked for; () if none was asked for.
    """

    endpoint: Optional[str] = None
    insecure: bool = False
    insecure_skip_verify: bool = False
    ca_cert_file_path: Optional[str] = None
    org: Optional[str] = None
    project: Optional[str] = None
    domain: Optional[str] = None
    http_proxy_url: Optional[str] = None
    console_endpoint: Optional[str] = None
    auth_type: Optional[str] = None
    command: Optional[tuple[str, ...]] = None
    proxy_command: Optional[tuple[str, ...]] = None
    client_id: Optional[str] = None
    client_credentials_secret: Union[str, Callable[[], str], None] = None
    scopes: tuple[str, ...] = ()
    audience: Optional[str] = None
    auth_client_config: Any = None
    headless: Optional[bool] = None
    rpc_retries: Optional[int] = None
    disable_keyring: bool = False
    token_store: Any = None
    image_builder: Optional[str] = None
    images: Mapping[str, str] = MappingProxyType({})
    image_registry: Optional[str] = None
    local_persistence: bool = False
    local_tracked: bool = False
    local_tracked_strict: bool = False
    source: Optional[Path] = None
    sources: Mapping[str, str] = MappingProxyType({})
    searched: tuple[str, ...] = ()

    @classmethod
    def auto(
        cls,
        config_file: Union[str, os.PathLike[str], None] = None,
        *,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        environ: Mapping[str, str] = os.environ,
    ) -> Config:
        """Read a file and the environment, anew each time; a variable wins over the file.

        Args:
            config_file: None takes the first of `config.yaml`, `.flyte/config.yaml`, that of the git repository's root,
                what UCTL_CONFIG and FLYTECTL_CONFIG name, `~/.union/config.yaml` and `~/.flyte/config.yaml`; if there
                is none, the environment alone counts.
            arguments: What wins over both, see `load`.
            environ: The environment.

        Raises:
            ConfigError: A file or a variable can't be read; the text says which, on which line, and which key.
        """
        from flyte_lite.config._file import read, search

        if config_file is not None:
            if not isinstance(config_file, (str, os.PathLike)):
                raise ConfigError(f"config_file is {type(config_file).__name__}; give a path")
            return cls.load(arguments, environ, read(config_file))
        looked = search(environ)
        file = None if looked.path is None else read(looked.path, source=looked.source, named=bool(looked.source))
        return cls.load(arguments, environ, file)._replace(searched=looked.places)

    @classmethod
    def load(
        cls,
        arguments: Mapping[str, Any],
        environ: Mapping[str, str] = os.environ,
        file: Optional[ConfigFile] = None,
    ) -> Config:
        """Settle each setting from the first place that has it: argument, environment, file, default.

        Args:
            arguments: By setting, and `api_key`; None says nothing.
            environ: The environment. FLYTE_API_KEY counts where neither an argument nor a file names an endpoint, and
                no argument says who calls.
            file: None is none.

        Raises:
            ConfigError: A value is not what it must be; the text names it and where it was read.
        """
        values: dict[str, Any] = {}
        sources = dict.fromkeys((*(key.setting for key in KEYS), *_ARGUMENTS), _DEFAULT)
        for key in KEYS:
            value, source = found(key, environ, file)
            if value is not None:
                values[key.setting], sources[key.setting] = value, source
        secret, source = secret_of(environ, file)
        if source:
            sources[SECRET] = source
        if secret:
            values[SECRET] = secret
            values["auth_type"], sources["auth_type"] = "ClientSecret", source
        config = cls(**values, source=file.path if file else None, sources=sources).given(arguments)
        if environ.get(API_KEY_VARIABLE) and not config._knows_its_server(arguments):
            return config._by_api_key(environ[API_KEY_VARIABLE], f"environment variable {API_KEY_VARIABLE}")
        return config

    def given(self, arguments: Mapping[str, Any], source: str = _ARGUMENT) -> Config:
        """A copy in which these arguments win.

        Args:
            arguments: By setting, and `api_key`; None says nothing.
            source: What to call them in `sources`.

        Raises:
            ConfigError: A value is not what it must be, or an API key contradicts what is beside it.
        """
        values: dict[str, Any] = {}
        for name, given in arguments.items():
            if name != "api_key" and name not in _KINDS:
                from difflib import get_close_matches

                near = get_close_matches(name, _KINDS, 1)
                raise ConfigError(f"there is no setting {name}" + (f"; do you mean {near[0]}?" if near else ""))
            if name == "api_key" or given is None:
                continue
            empty = given == "" and name in _NONE_BY_EMPTY
            value = given if empty else value_of(_KINDS[name], name, given, source)
            if value is not None:
                values[name] = value
        if "auth_type" not in values:
            # What was given last says who calls.
            if SECRET in values:
                values["auth_type"] = "ClientSecret"
            elif "command" in values:
                values["auth_type"] = "ExternalCommand"
        if "endpoint" in values and "api_key" in self.sources.get("endpoint", "").lower():
            # The secret of the key is for its own server only.
            from flyte_lite.config._api_key import check_same_server

            check_same_server(self.endpoint or "", values["endpoint"])
        config = self._replace(**values, sources={**self.sources, **dict.fromkeys(values, source)})
        text = arguments.get("api_key")
        if text is None or text == "":
            return config
        others = [name for name in _WHO_CALLS if name in values and values[name] != "ClientSecret"]
        if others:
            raise ConfigError(f"the API key says who calls, and so does {' and '.join(others)}; give one of them")
        return config._by_api_key(text, f"{source} api_key")

    def _by_api_key(self, text: str, source: str) -> Config:
        from flyte_lite.config._api_key import ApiKey, check_same_server

        key = ApiKey.parse(text)
        if self.sources.get("endpoint", _DEFAULT) == _ARGUMENT:
            check_same_server(key.endpoint, self.endpoint or "")
        values = {"endpoint": key.endpoint, "client_id": key.client_id, SECRET: key.client_secret}
        values["auth_type"] = "ClientSecret"
        if key.org is not None and self.sources.get("org") != _ARGUMENT:
            values["org"] = key.org
        changed: dict[str, Any] = dict(values)
        if self.sources.get("insecure") != _ARGUMENT:
            # A variable or a file must not be enough to send a key's secret in clear.
            changed["insecure"] = False
        return self._replace(**changed, sources={**self.sources, **dict.fromkeys(changed, source)})

    def beside_channel(self, endpoint: str) -> Config:
        """A copy that says what a channel has settled, and what it leaves open."""
        settled = [name for name in self.sources if name not in BESIDE_CHANNEL]
        values = {name: self._field_defaults[name] for name in settled}
        return self._replace(
            **{**values, "endpoint": endpoint}, sources={**self.sources, **dict.fromkeys(settled, "channel")}
        )

    def _knows_its_server(self, arguments: Mapping[str, Any]) -> bool:
        named = self.sources.get("endpoint", _DEFAULT)
        by_variable = named == _DEFAULT or named.startswith("environment variable")
        return bool(arguments.get("api_key")) or not by_variable or any(arguments.get(name) for name in _WHO_CALLS)

    def by_caller(self, name: str) -> bool:
        """Whether the caller gave this setting, and not a file or the environment of the process alone."""
        if getattr(self, name) == self._field_defaults[name]:
            return False
        return self.sources.get(name, _ARGUMENT) in _CALLERS

    def server(self) -> Endpoint:
        """The endpoint, parsed.

        Raises:
            ConfigError: There is none, or it is not an address. The text says what was looked at.
        """
        if self.endpoint is None:
            raise ConfigError(
                "no endpoint is set: give init(endpoint=...) or Client(endpoint=...), or set FLYTE_ADMIN_ENDPOINT; "
                f"looked at: {self._looked_at()}",
                code="MissingEndpointOrApiKeyError",
            )
        return self._parsed("endpoint", self.endpoint)

    def console(self) -> Optional[Endpoint]:
        """Where the web console is, if that is set.

        Raises:
            ConfigError: It is not an address.
        """
        return None if self.console_endpoint is None else self._parsed("console_endpoint", self.console_endpoint)

    def _parsed(self, name: str, text: str) -> Endpoint:
        try:
            return Endpoint.parse(text, insecure=self.insecure)
        except ConfigError as error:
            said = error.message if name == "endpoint" else f"{name}: {error.message}"
            if self.sources.get(name) in (None, _ARGUMENT):
                raise ConfigError(said) from None
            raise ConfigError(f"{said} (from {self.sources[name]})") from None

    def _looked_at(self) -> str:
        looked = "no argument endpoint or api_key, FLYTE_ADMIN_ENDPOINT and FLYTE_API_KEY are not set"
        if self.source is not None:
            return f"{looked}, {self.source} has no admin.endpoint"
        if self.searched:
            return f"{looked}, there is no file at {', '.join(self.searched)}"
        return f"{looked}; no file was asked for, which init_from_config() and Client.from_config() read"

    @property
    def platform(self) -> PlatformConfig:
        """The settings of a server, under the official names."""
        from flyte_lite.config._sections import PlatformConfig

        return PlatformConfig.of(self)

    @property
    def task(self) -> TaskConfig:
        """Organization, project and domain."""
        from flyte_lite.config._sections import TaskConfig

        return TaskConfig(self.org, self.project, self.domain)

    @property
    def image(self) -> ImageConfig:
        """What the builder of images reads, which is not here."""
        from flyte_lite.config._sections import ImageConfig

        return ImageConfig(self.image_builder, dict(self.images), self.image_registry)

    @property
    def local(self) -> LocalConfig:
        """What runs on this machine read, which are not here."""
        from flyte_lite.config._sections import LocalConfig

        return LocalConfig(self.local_persistence, self.local_tracked, self.local_tracked_strict)

    def with_params(
        self,
        platform: Optional[PlatformConfig] = None,
        task: Optional[TaskConfig] = None,
        image: Optional[ImageConfig] = None,
    ) -> Config:
        """A copy with other sections.

        Args:
            platform: Such as `config.platform.replace(endpoint="h")`; None leaves that section.
            task: Such as `TaskConfig(project="p")`; None leaves that section.
            image: Kept, without effect; None leaves that section.
        """
        from flyte_lite.config._sections import replaced

        return replaced(self, platform, task, image)

    def settings(self) -> tuple[Setting, ...]:
        """Each setting with its value and where it came from; secrets are masked."""
        from flyte_lite.config._explanation import settings_of

        return settings_of(self)

    def explain(self, *names: str) -> str:
        """A line for each setting: its value, secrets masked, and where it came from.

        Args:
            *names: Those to show; none shows all.
        """
        from flyte_lite.config._explanation import explanation_of

        return explanation_of(self, names)

    def __repr__(self) -> str:
        from flyte_lite.config._explanation import shown

        # Nothing of where it was read: a repr is for telling values apart.
        said = [
            f"{name}={shown(self, name)}"
            for name, default in self._field_defaults.items()
            if name not in ("source", "sources", "searched") and getattr(self, name) != default
        ]
        return f"Config({', '.join(said)})"

    def __copy__(self) -> Config:
        return self

    def __deepcopy__(self, memo: Any) -> Config:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        from flyte_lite.config._explanation import check_pickled

        check_pickled(self)
        return _unpickled, (dict(self._asdict(), images=dict(self.images), sources=dict(self.sources)),)


def _unpickled(values: Mapping[str, Any]) -> Config:
    return Config(**values)


_KINDS = {
    **{key.setting: key.kind for key in KEYS},
    SECRET: "secret",
    "audience": "text",
    "rpc_retries": "count",
    "headless": "flag",
    "auth_client_config": "any",
}
