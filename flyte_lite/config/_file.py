"""The settings' file: where it is looked for, and what it says on which line. The one import of PyYAML."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from flyte_lite.config._keys import FOREIGN_KEYS, FOREIGN_SECTIONS, KEYS, SECRET_KEYS
from flyte_lite.config._values import expanded
from flyte_lite.errors import ConfigError, ConfigWarning

_KNOWN = sorted(key.path for key in (*KEYS, *SECRET_KEYS) if key.path)
_SECTIONS = sorted({path.partition(".")[0] for path in _KNOWN})
_VARIABLES = ("UCTL_CONFIG", "FLYTECTL_CONFIG")


class ConfigFile(NamedTuple):
    """What a file says.

    Attributes:
        path: Where it is.
        values: By section and key, such as "admin.endpoint", with the line it stands on.
    """

    path: Path
    values: Mapping[str, tuple[Any, int]]

    def __repr__(self) -> str:
        # There may be secrets among them.
        return f"ConfigFile({str(self.path)!r})"

    def where(self, key: str) -> str:
        """File, line and key."""
        return f"{self.path}:{self.values[key][1]} ({key})"


class Search(NamedTuple):
    """How a file was looked for.

    Attributes:
        path: The first that there is; None if there is none.
        source: Why it is looked at, "" if because it is there.
        places: Where it was looked for.
    """

    path: Optional[Path]
    source: str
    places: tuple[str, ...]


def search(environ: Mapping[str, str]) -> Search:
    """Look where the official SDK does: here, at the root of the git repository, in two variables, at home.

    No folder that is missing or closed to us fails, nor does a process without a home.
    """
    places = []
    for path in _near():
        places.append(str(path))
        if _exists(path):
            return Search(path, "", tuple(places))
    for variable in _VARIABLES:
        places.append(f"${variable}")
        if environ.get(variable):
            return Search(expanded(environ[variable]), f"environment variable {variable}", tuple(places))
    home = _home(environ)
    for folder in (".union", ".flyte"):
        places.append(f"~/{folder}/config.yaml")
        if home is not None and _exists(home / folder / "config.yaml"):
            return Search(home / folder / "config.yaml", "", tuple(places))
    return Search(None, "", tuple(places))


def _near() -> list[Path]:
    own = [Path("config.yaml"), Path(".flyte", "config.yaml")]
    try:
        here = Path.cwd()
    except OSError:
        # The folder was deleted under us.
        return own
    # A worktree has a file of that name. No git is started for it: it is slow, and not everywhere.
    root = next((folder for folder in (here, *here.parents) if _exists(folder / ".git")), None)
    return own if root is None or root == here else [*own, root / ".flyte" / "config.yaml"]


def _home(environ: Mapping[str, str]) -> Optional[Path]:
    given = environ.get("HOME")
    if given:
        return Path(given)
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):
        return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def read(path: Union[str, os.PathLike[str]], *, source: str = "", named: bool = True) -> ConfigFile:
    """Read one file.

    Args:
        path: `~` is the user's home.
        source: Who names it, for the error.
        named: False if it was merely found, so that it may be another program's.

    Raises:
        ConfigError: It is not there, can't be read, is no YAML, or is none of ours. The text says file and line.
    """
    path = expanded(path)
    beside = f" (from {source})" if source else ""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}{beside}", code="ConfigFileNotFoundError") from None
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "that is no path"
        raise ConfigError(f"the file {path} can't be read: {problem}{beside}") from None
    whole, lines = _parsed(path, data)
    if not isinstance(whole, dict):
        raise ConfigError(f"{path}:1: this is no table of sections such as admin: and task:{beside}")
    if not named and whole and not set(whole) & {*_SECTIONS, *FOREIGN_SECTIONS}:
        _warn(
            f"{path} has none of the sections {', '.join(_SECTIONS)}; if it is another program's, name yours: "
            "init_from_config(path), or UCTL_CONFIG"
        )
        return ConfigFile(path, {})
    values = {}
    for section in _SECTIONS:
        content = whole.get(section)
        if content is None:
            continue
        if not isinstance(content, dict):
            raise ConfigError(f"{path}:{lines[section,]}: {section} is no table; write its keys below it, indented")
        for key, value in content.items():
            values[f"{section}.{key}"] = (value, lines.get((section, key), lines[section,]))
    _warn_of_unknown(path, whole, values, lines)
    return ConfigFile(path, {key: found for key, found in values.items() if key in _KNOWN})


def _parsed(path: Path, data: bytes) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """The content, and on which line each section and each key in one stands."""
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            f"{path} can't be read without PyYAML, which is not installed: pip install PyYAML, or call init() or "
            "Client(), which read variables such as FLYTE_ADMIN_ENDPOINT and no file"
        ) from None
    loader, node, whole = None, None, None
    refusal: Optional[ConfigError] = None
    try:
        loader = yaml.SafeLoader(data)
        node = loader.get_single_node()
        whole = {} if node is None else loader.construct_document(node)
    # PyYAML's own readers of what a tag says, such as `!!int ""`, fail with whatever they stumble over.
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        refusal = _refusal(path, error, data)
    finally:
        if loader is not None:
            loader.dispose()
    if refusal is not None:
        # Not in the handler, whose error would stay with this one: it quotes the line, too.
        raise refusal
    lines: dict[tuple[Any, ...], int] = {}
    # What a section took over from an anchor is among its nodes by now.
    for key, content in node.value if isinstance(node, yaml.MappingNode) else ():
        lines[key.value,] = key.start_mark.line + 1
        for inner, _ in content.value if isinstance(content, yaml.MappingNode) else ():
            lines[key.value, inner.value] = inner.start_mark.line + 1
    return ({} if whole is None else whole), lines


def _refusal(path: Path, error: Exception, data: bytes) -> ConfigError:
    # PyYAML's own text quotes the line, which may have a secret in it.
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{path}:{mark.line + 1}, column {mark.column + 1}" if mark else str(path)
    problem = getattr(error, "problem", None) or ""
    if problem == "but found another document":
        problem = "a second document begins here, and one is read"
    # A character that is named, an anchor or a tag may be a part of it, too.
    problem = problem.partition(", but found")[0].partition("'")[0].partition('"')[0].strip()
    try:
        data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError as wrong:
        place = f"{path}:{data.count(bytes([10]), 0, wrong.start) + 1}"
        problem = "it is not UTF-8; save it so"
    return ConfigError(f"{place}: this is no YAML: {problem or 'there is something in it that it can not have'}")


def _warn_of_unknown(
    path: Path, whole: Mapping[Any, Any], values: Mapping[str, Any], lines: Mapping[tuple[Any, ...], int]
) -> None:
    odd = [
        (lines.get((str(section),), 1), str(section), _SECTIONS)
        for section in whole
        if section not in _SECTIONS and section not in FOREIGN_SECTIONS
    ]
    odd += [(line, key, _KNOWN) for key, (_, line) in values.items() if key not in _KNOWN and key not in FOREIGN_KEYS]
    if odd:
        told = [f"{name} on line {line}{_near_match(name, known)}" for line, name, known in sorted(odd)]
        _warn(f"{path} has what nobody reads here: {'; '.join(told)}")


def _near_match(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    # A key in the wrong case, or in another section, too.
    tails = {known_name.rpartition(".")[2].lower(): known_name for known_name in known}
    folded = {known_name.lower(): known_name for known_name in known}
    near = get_close_matches(name.lower(), folded, 1, 0.75)
    found = folded[near[0]] if near else tails.get(name.rpartition(".")[2].lower().replace("_", "").replace("-", ""))
    return f" (do you mean {found}?)" if found else ""


def warn_of_two(first: str, second: str) -> None:
    """Two variables name one setting, and say different things."""
    _warn(f"{first} and {second} are one setting, and say different things; {first} counts, so unset {second}")


def _warn(text: str) -> None:
    # As the line of whoever called us: so Python says it once for each such line, and filters find it.
    level = 2
    while sys._getframe(level - 1).f_globals.get("__name__", "").partition(".")[0] == "flyte_lite":
        level += 1
    warnings.warn(text, ConfigWarning, stacklevel=level)
