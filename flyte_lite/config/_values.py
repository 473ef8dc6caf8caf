"""One value of a setting, as arguments, variables and files write it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from flyte_lite.errors import ConfigError

_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}

STORES = ("memory", "keyring", "file")
"""Where tokens may be kept, by name."""


def value_of(kind: str, setting: str, given: Any, where: str) -> Any:
    """What was given, as the kind of setting has it; None if it says nothing.

    Args:
        kind: See `Key`; also "secret", "count" and "any", which only arguments have.
        setting: Its name, for the error.
        given: From an argument or a file of any type, from a variable text.
        where: It was read, for the error.

    Raises:
        ConfigError: It is of another kind. Text that may be a secret is not shown.
    """
    # A store that is empty is one all the same.
    if given is None or (isinstance(given, str if kind == "store" else (str, list, tuple, dict)) and not given):
        return None
    return _READERS[kind](setting, given, where)


def expanded(path: Union[str, os.PathLike[str]]) -> Path:
    """The path with `~` as the user's home; as it is where nobody knows that."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _text(setting: str, given: Any, where: str) -> str:
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    if isinstance(given, str):
        return given
    # A number or a date of YAML is no longer what was written: 0123 is 83, and 1e3 is 1000.0.
    hint = "; put it in quotes" if where != "argument" and not isinstance(given, (list, dict)) else ""
    raise ConfigError(f"{setting} is {_kind(given)} (from {where}); write it as text{hint}")


def _flag(setting: str, given: Any, where: str) -> bool:
    # Also of an argument: it may be a variable's text, and "false" must not switch anything on.
    word = given.strip().lower() if isinstance(given, str) else str(bool(given)).lower()
    if isinstance(given, (str, bool, int)):
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    # What is longer than any word for it may be a secret that went astray.
    shown = repr(given) if isinstance(given, str) and len(given) <= 8 else _kind(given)
    raise ConfigError(f"{setting} is {shown} (from {where}); write true or false")


def _words(setting: str, given: Any, where: str) -> Optional[tuple[str, ...]]:
    if isinstance(given, str):
        given = _array(given) or given.replace(",", " ").split()
    return _texts_of(setting, given, where, "a list of texts")


def _command(setting: str, given: Any, where: str) -> Optional[tuple[str, ...]]:
    if isinstance(given, str):
        import shlex

        try:
            given = _array(given) or shlex.split(given)
        except ValueError as error:
            raise ConfigError(f"{setting} is no command line: {error} (from {where})") from None
    return _texts_of(setting, given, where, "a list of words, such as ['gcloud', 'auth', 'print-identity-token']")


def _texts_of(setting: str, given: Any, where: str, wanted: str) -> Optional[tuple[str, ...]]:
    if isinstance(given, (list, tuple)):
        odd = next((part for part in given if not isinstance(part, str)), None)
        if odd is None:
            return tuple(given) or None
        raise ConfigError(f"{setting} has {_kind(odd)} in it (from {where}); write {wanted}, each in quotes")
    raise ConfigError(f"{setting} is {_kind(given)} (from {where}); write {wanted}")


def _array(text: str) -> Any:
    """The parts of a JSON array, as variables may have one; None if it is none."""
    if not text.lstrip().startswith("["):
        return None
    import json

    try:
        return [part if isinstance(part, str) else json.dumps(part) for part in json.loads(text)]
    except (ValueError, RecursionError):
        return None


def _texts(setting: str, given: Any, where: str) -> Any:
    if isinstance(given, str):
        import json

        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
    if isinstance(given, Mapping) and all(isinstance(part, str) for pair in given.items() for part in pair):
        return dict(given) or None
    raise ConfigError(f"{setting} is no table of names and texts (from {where})")


def _kind(given: Any) -> str:
    names = {"str": "text", "list": "a list", "dict": "a table", "int": "a number", "float": "a number"}
    names |= {"bool": "true or false", "NoneType": "nothing"}
    return names.get(type(given).__name__, type(given).__name__)


def _secret(setting: str, given: Any, where: str) -> Any:
    if isinstance(given, str) or callable(given):
        return given
    raise ConfigError(f"{setting} is {_kind(given)} (from {where}); give text, or a function that gives it")


def _count(setting: str, given: Any, where: str) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    shown = repr(given) if isinstance(given, int) else _kind(given)
    raise ConfigError(f"{setting} is {shown} (from {where}); give a number of 0 or more")


def _store(setting: str, given: Any, where: str) -> Any:
    if all(callable(getattr(given, name, None)) for name in ("get", "set", "delete")):
        return given
    if isinstance(given, str) and given in STORES:
        return given
    path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else b""
    if not isinstance(path, str) or (isinstance(given, str) and not _is_path(path)):
        shown = repr(given) if isinstance(given, str) else _kind(given)
        raise ConfigError(
            f"{setting} is {shown} (from {where}); it is {', '.join(map(repr, STORES))}, the path of a folder such as "
            "'~/tokens', or an object with get, set and delete"
        )
    # A program that changes its folder later means the same one.
    return str(Path(os.path.abspath(expanded(path))))  # noqa: PTH100 - links are left as they are


def _is_path(text: str) -> bool:
    # A word alone is more likely a slip of the pen than a folder of that name.
    return "/" in text or os.sep in text or text.startswith(("~", "."))


def _any(setting: str, given: Any, where: str) -> Any:
    return given


_READERS: Mapping[str, Callable[[str, Any, str], Any]] = {
    "text": _text,
    "flag": _flag,
    "words": _words,
    "command": _command,
    "texts": _texts,
    "secret": _secret,
    "count": _count,
    "store": _store,
    "any": _any,
}
