"""What the environment or else a file says of a setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite.config._keys import SECRET_KEYS, Key
from flyte_lite.config._values import expanded, value_of
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from flyte_lite.config._file import ConfigFile


def found(key: Key, environ: Mapping[str, str], file: Optional[ConfigFile]) -> tuple[Any, str]:
    """The value of a setting in the environment or a file, and where it stands; None if nobody says anything."""
    told = [variable for variable in key.variables if environ.get(variable)]
    if told:
        if len(told) > 1 and environ[told[0]] != environ[told[1]]:
            from flyte_lite.config._file import warn_of_two

            warn_of_two(told[0], told[1])
        where = f"environment variable {told[0]}"
        return value_of(key.kind, key.setting, environ[told[0]], where), where
    if file is None or key.path not in file.values:
        return None, ""
    where = file.where(key.path)
    return value_of(key.kind, key.setting, file.values[key.path][0], where), where


def secret_of(environ: Mapping[str, str], file: Optional[ConfigFile]) -> tuple[Optional[str], str]:
    """The client's secret from where the settings say it is, and that place; "" if they say nothing."""
    by_variable, by_file = SECRET_KEYS
    variable, where = found(by_variable, environ, file)
    if variable and environ.get(variable):
        return environ[variable], f"environment variable {variable}, which {where} names"
    missing = f"not set: the environment variable {variable}, which {where} names" if variable else ""
    path, where = found(by_file, environ, file)
    if not path:
        return None, missing
    place = expanded(path)
    try:
        text = _read(place)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"the client's secret can't be read from {path}: {problem} (from {where})") from None
    if not text.strip():
        return None, f"not set: the file {path}, which {where} names, is empty"
    return FileSecret(text, place), f"file {path}, which {where} names"


class FileSecret(str):
    """A secret that was read from a file, and the function that reads it again: it may have been replaced meanwhile."""

    _place: Path

    def __new__(cls, text: str, place: Path) -> FileSecret:
        """The text that is there now."""
        secret = super().__new__(cls, text)
        secret._place = place.absolute()
        return secret

    def __getnewargs__(self) -> tuple[str, Path]:  # type: ignore[override]
        # For copies.
        return str(self), self._place

    def __call__(self) -> str:
        """What is there now; what was there, if that can't be read."""
        try:
            return _read(self._place) or self
        except (OSError, ValueError):
            return self


def _read(place: Path) -> str:
    text = place.read_text(encoding="utf-8")
    return text.strip() if text.endswith("\n") else text
