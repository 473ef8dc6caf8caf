"""Settings as the official SDK's own reader finds them and as ours does, in one process with one environment.

Run as a script: it takes a folder with cases in it (one folder each, with `case.json`), and writes what both found.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

# What both sides call differently: name of ours, section and name of theirs.
NAMES = {
    "endpoint": ("platform", "endpoint"),
    "insecure": ("platform", "insecure"),
    "insecure_skip_verify": ("platform", "insecure_skip_verify"),
    "ca_cert_file_path": ("platform", "ca_cert_file_path"),
    "http_proxy_url": ("platform", "http_proxy_url"),
    "console_endpoint": ("platform", "console_endpoint"),
    "auth_type": ("platform", "auth_mode"),
    "command": ("platform", "command"),
    "proxy_command": ("platform", "proxy_command"),
    "client_id": ("platform", "client_id"),
    "client_credentials_secret": ("platform", "client_credentials_secret"),
    "scopes": ("platform", "scopes"),
    "audience": ("platform", "audience"),
    "disable_keyring": ("platform", "disable_keyring"),
    "org": ("task", "org"),
    "project": ("task", "project"),
    "domain": ("task", "domain"),
    "image_builder": ("image", "builder"),
    "images": ("image", "image_refs"),
    "image_registry": ("image", "registry"),
    "local_persistence": ("local", "persistence"),
    "local_tracked": ("local", "tracked"),
    "local_tracked_strict": ("local", "tracked_strict"),
}


def official(path: Any) -> dict[str, Any]:
    from flyte.config import _reader, auto

    # It would answer from what it read in another folder.
    _reader.get_config_file.cache_clear()
    try:
        found = dataclasses.asdict(auto(path))
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is compared
        return {"error": type(error).__name__}
    source = found["source"]
    return {
        "settings": {name: found[section][theirs] for name, (section, theirs) in NAMES.items()},
        "source": None if source is None else str(Path(source).absolute()),
    }


def official_scope(path: Any, arguments: dict[str, Any]) -> list[Any]:
    """Organization, project and domain after `init_from_config`."""
    import flyte
    from flyte import _initialize

    flyte.init_from_config(path, log_level=50, **arguments)
    made: Any = _initialize._init_config
    return [made.org, made.project, made.domain]


def half_official_scope(path: Any, arguments: dict[str, Any]) -> list[Any]:
    """The same, short of the client, which would read certificates and look for servers."""
    from flyte._utils import org_from_endpoint, sanitize_endpoint
    from flyte.config import auto

    found = auto(path)
    given = [arguments.get(name) or getattr(found.task, name) for name in ("org", "project", "domain")]
    return [given[0] or org_from_endpoint(sanitize_endpoint(found.platform.endpoint)), *given[1:]]


def ours(path: Any) -> dict[str, Any]:
    import flyte_lite
    from flyte_lite.errors import FlyteLiteError

    try:
        found = flyte_lite.config.auto(path)
    except FlyteLiteError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {
        "settings": {name: plain(getattr(found, name)) for name in NAMES},
        "source": None if found.source is None else str(found.source.absolute()),
    }


def scope_of_config(path: Any, arguments: dict[str, Any]) -> list[Any]:
    """What ours would be, though a sign-in may be half told, which the official side does not look at yet."""
    from flyte_lite.config import Config

    config = Config.auto(path).given({name: value or None for name, value in arguments.items()})
    org = config.org if config.org or config.endpoint is None else config.server().organization
    return [org or None, config.project, config.domain]


def ours_scope(path: Any, arguments: dict[str, Any]) -> list[Any]:
    import flyte_lite

    scope = flyte_lite.init_from_config(path, **arguments)._session.scope
    return [part or None for part in scope]


def plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "keys") else value


def both(folder: Path) -> dict[str, Any]:
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    kept = dict(os.environ)
    os.chdir(folder / case["cwd"])
    environ = {**case["environ"], "HOME": str(folder / "home"), "PATH": kept["PATH"]}
    path = None if case["path"] is None else case["path"]
    try:
        os.environ.clear()
        os.environ.update(environ)
        found: dict[str, Any] = {"official": official(path), "ours": ours(path)}
        # What it would find if it did not stop at variables that are empty, and with a file that says nothing.
        for name in [name for name, text in case["environ"].items() if not text]:
            del os.environ[name]
        found["without_empty"] = official(path)
        found["with_empty_file"] = official(folder / "empty.yaml")
        if case["arguments"] is not None:
            readers = (half_official_scope, scope_of_config) if case["half"] else (official_scope, ours_scope)
            found["scopes"] = [reader(path, case["arguments"]) for reader in readers]
    finally:
        os.environ.clear()
        os.environ.update(kept)
    return found


def main(folder: str) -> None:
    warnings.simplefilter("ignore")
    found = {each.name: both(each) for each in sorted(Path(folder).iterdir()) if each.is_dir()}
    Path(folder, "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
