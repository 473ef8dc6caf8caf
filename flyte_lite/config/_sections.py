"""Settings in the sections and under the names that scripts for the official SDK read and replace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from flyte_lite.config._config import Config
from flyte_lite.config._explanation import check_pickled, shown

if TYPE_CHECKING:
    from typing_extensions import Self

_OTHER_NAMES = {"auth_mode": "auth_type", "builder": "image_builder", "image_refs": "images"}
_OTHER_NAMES |= {"registry": "image_registry"}


class PlatformConfig(NamedTuple):
    """The settings of a server. See `Config` for each; `auth_mode` is its `auth_type`."""

    endpoint: Optional[str] = None
    insecure: bool = False
    insecure_skip_verify: bool = False
    ca_cert_file_path: Optional[str] = None
    console_endpoint: Optional[str] = None
    command: Optional[list[str]] = None
    proxy_command: Optional[list[str]] = None
    client_id: Optional[str] = None
    client_credentials_secret: Any = None
    scopes: list[str] = []  # noqa: RUF012 - never changed in place here
    auth_mode: Optional[str] = None
    audience: Optional[str] = None
    rpc_retries: Optional[int] = None
    http_proxy_url: Optional[str] = None
    disable_keyring: bool = False

    @classmethod
    def of(cls, config: Config) -> Self:
        """Those of `config`."""
        values = {name: getattr(config, _OTHER_NAMES.get(name, name)) for name in cls._fields}
        for name in ("command", "proxy_command"):
            values[name] = None if values[name] is None else list(values[name])
        return cls(**{**values, "scopes": list(config.scopes)})

    @classmethod
    def auto(cls, config_file: Union[str, os.PathLike[str], None] = None) -> Self:
        """See `Config.auto`."""
        return cls.of(Config.auto(config_file))

    @classmethod
    def for_endpoint(cls, endpoint: str, insecure: bool = False) -> Self:
        """Those of a server, and defaults."""
        return cls(endpoint=endpoint, insecure=insecure)

    def replace(self, **kwargs: Any) -> Self:
        """A copy with other values."""
        return self._replace(**kwargs)

    def __repr__(self) -> str:
        config = replaced(Config(), self, None, None)
        said = [
            f"{name}={shown(config, _OTHER_NAMES.get(name, name))}"
            for name, value in zip(self._fields, self)
            if value not in (None, False, [])
        ]
        return f"PlatformConfig({', '.join(said)})"

    def __reduce__(self) -> Any:
        check_pickled(replaced(Config(), self, None, None))
        return PlatformConfig, tuple(self)


class TaskConfig(NamedTuple):
    """What requests are about where the caller does not say."""

    org: Optional[str] = None
    project: Optional[str] = None
    domain: Optional[str] = None

    @classmethod
    def auto(cls, config_file: Union[str, os.PathLike[str], None] = None) -> Self:
        """See `Config.auto`."""
        config = Config.auto(config_file)
        return cls(config.org, config.project, config.domain)


class ImageConfig(NamedTuple):
    """What the builder of images reads; it is not here."""

    builder: Optional[str] = None
    image_refs: dict[str, str] = {}  # noqa: RUF012 - never changed in place here
    registry: Optional[str] = None


class LocalConfig(NamedTuple):
    """What runs on this machine read; they are not here."""

    persistence: bool = False
    tracked: bool = False
    tracked_strict: bool = False


def replaced(
    config: Config, platform: Optional[PlatformConfig], task: Optional[TaskConfig], image: Optional[ImageConfig]
) -> Config:
    """See `Config.with_params`."""
    values: dict[str, Any] = {}
    for section in (platform, task, image):
        for name, value in section._asdict().items() if section is not None else ():
            field = _OTHER_NAMES.get(name, name)
            values[field] = tuple(value) if isinstance(value, list) else value
    changed = {name: "with_params()" for name, value in values.items() if value != getattr(config, name)}
    return config._replace(**values, sources={**config.sources, **changed})
