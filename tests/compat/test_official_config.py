"""Files, variables and arguments give the settings that the official SDK's own reader gives, but for its defects."""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml

from flyte_lite.config._keys import KEYS, SECRET_KEYS

CASES = int(os.environ.get("COMPAT_CONFIG_CASES", "600"))
# But for what a file that both read can't say.
OFFICIAL = [key for key in KEYS if key.path]
SCRIPT = Path(__file__).with_name("compare_settings.py")

MENDED = {
    "variables count without a file": "the official reader gives defaults and looks at no variable if there is no "
    "file; a Lambda function or a container has nothing but variables",
    "an empty variable says nothing": "to the official reader it hides what the file says, and sets nothing itself",
    "flags of variables are read": 'the official reader keeps the text, so that FLYTE_ADMIN_INSECURE="false" is true, '
    "and turns off TLS and signing in",
}
"""What is done better in the generated cases, and why. What is wrong in a file has tests of its own below."""

ENDPOINTS = ["acme.hosted.example.com", "dns:///flyte.example.com", "http://localhost:8090", "h:1", "https://h/base"]
TEXTS: dict[str, list[Any]] = {
    "endpoint": ENDPOINTS,
    "console_endpoint": ["https://console.example.com", "console:8080"],
    "ca_cert_file_path": ["/etc/ca.pem", "ca files/ca.pem"],
    "http_proxy_url": ["http://proxy:3128", "http://me:pass@proxy:3128"],
    "auth_type": ["Pkce", "ClientSecret", "ExternalCommand", "DeviceFlow", "Passthrough"],
    "client_id": ["flytectl", "0oa b", "id:with:colons"],
    "org": ["acme", "o"],
    "project": ["flytesnacks", "p 1"],
    "domain": ["development", "production"],
    "image_builder": ["local", "remote"],
    "image_registry": ["ghcr.io/acme"],
}
WORDS_IN_FILES = [["openid", "all"], ["one"], [], "openid all", "a,b, c", '["x", "y z"]']
WORDS_IN_VARIABLES = ["openid,all", "a b\tc", '["x", "y z"]', "one", "[broken", "[1, 2]"]
COMMANDS_IN_FILES = [
    ["uctl", "get-token"],
    ["mint", "--for", "the flyte"],
    [],
    "mint --for 'the flyte'",
    '["a", "b c"]',
]
COMMANDS_IN_VARIABLES = ["uctl get-token", "mint --for 'the flyte'", '["a", "b c"]', "a\\ b", "[broken", "[1, 2]"]
FLAGS_IN_VARIABLES = ["true", "false", "1", "0", "True", "no"]


def in_file(draw: random.Random, kind: str, setting: str) -> Any:
    if kind == "flag":
        return draw.choice([True, False])
    if kind == "texts":
        return draw.choice([{"base": "ghcr.io/acme/base:1"}, {}])
    if kind == "text":
        return draw.choice([*TEXTS[setting], "", None])
    return draw.choice(WORDS_IN_FILES if kind == "words" else COMMANDS_IN_FILES)


def in_variable(draw: random.Random, kind: str, setting: str) -> str:
    if kind == "flag":
        return draw.choice(FLAGS_IN_VARIABLES)
    if kind == "text":
        return str(draw.choice(TEXTS[setting]))
    return draw.choice(WORDS_IN_VARIABLES if kind == "words" else COMMANDS_IN_VARIABLES)


def a_file(draw: random.Random, folder: Path) -> str:
    content: dict[str, Any] = {}
    often = draw.choice([0.1, 0.4, 0.9])
    for key in OFFICIAL:
        if draw.random() < often:
            section, _, name = key.path.partition(".")
            content.setdefault(section, {})[name] = in_file(draw, key.kind, key.setting)
    admin = content.setdefault("admin", {})
    if draw.random() < 0.3:
        secret = folder / f"secret{draw.randrange(3)}"
        secret.write_text(draw.choice(["s3cret", "s3cret\n", " s3cret \n", "s3cret ", ""]), encoding="utf-8")
        admin["clientSecretLocation"] = str(secret)
    if draw.random() < 0.2:
        admin["clientSecretEnvVar"] = draw.choice(["MY_SECRET", "NO_SECRET"])
    # What flytectl keeps in the same file, sections that say nothing, and a file that does.
    if draw.random() < 0.3:
        content["logger"] = {"show-source": True, "level": 0}
        admin["maxRetries"] = 3
    if draw.random() < 0.1:
        content["task"] = None
    if not admin:
        del content["admin"]
    return "" if draw.random() < 0.03 else yaml.safe_dump(content, default_flow_style=draw.choice([None, False, True]))


def an_environment(draw: random.Random, folder: Path) -> dict[str, str]:
    environ: dict[str, str] = {}
    often = draw.choice([0, 0.1, 0.5])
    for key in (*OFFICIAL, *SECRET_KEYS):
        for variable in key.variables:
            if draw.random() >= often or key.kind == "texts":
                continue
            if key in SECRET_KEYS:
                (folder / "by variable").write_text("from a variable\n", encoding="utf-8")
                text = str(folder / "by variable") if key.setting == "client_secret_location" else "MY_SECRET"
            else:
                text = in_variable(draw, key.kind, key.setting)
            environ[variable] = "" if draw.random() < 0.05 else text
    if draw.random() < 0.5:
        environ["MY_SECRET"] = draw.choice(["of a variable", "with\n", ""])
    return environ


def a_repository(folder: Path) -> None:
    # As little as git takes for one.
    for name in ("objects", "refs"):
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")


def make(nth: int, root: Path) -> None:
    draw = random.Random(nth)
    folder = root / f"{nth:04}"
    cwd = draw.choice(["work", "work/inside"])
    (folder / cwd).mkdir(parents=True)
    (folder / "empty.yaml").write_text("{}\n", encoding="utf-8")
    environ = an_environment(draw, folder)
    places = {
        "here": folder / cwd / "config.yaml",
        "below": folder / cwd / ".flyte" / "config.yaml",
        "root": folder / "work" / ".flyte" / "config.yaml",
        "UCTL_CONFIG": folder / "uctl.yaml",
        "FLYTECTL_CONFIG": folder / "flytectl.yaml",
        "union": folder / "home" / ".union" / "config.yaml",
        "home": folder / "home" / ".flyte" / "config.yaml",
    }
    if draw.random() < 0.4:
        a_repository(folder / "work")
    for name in draw.sample(sorted(places), draw.choice([0, 1, 1, 2, 3])):
        places[name].parent.mkdir(parents=True, exist_ok=True)
        places[name].write_text(a_file(draw, folder), encoding="utf-8")
        if name.isupper():
            environ[name] = str(places[name])
    path: Optional[str] = None
    if draw.random() < 0.2:
        (folder / "given.yaml").write_text(a_file(draw, folder), encoding="utf-8")
        path = str(folder / "given.yaml")
    arguments = {name: draw.choice(["", "given"]) for name in ("org", "project", "domain") if draw.random() < 0.5}
    told = {"cwd": cwd, "environ": environ, "path": path, "arguments": arguments, "half": True}
    (folder / "case.json").write_text(json.dumps(told), encoding="utf-8")


def compare(root: Path) -> dict[str, Any]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("FLYTE")}
    # The checkout, wherever the script is run.
    environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(root)], env=environ, capture_output=True, text=True, timeout=300, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads((root / "found.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("settings")
    for nth in range(CASES):
        make(nth, root)
    return compare(root)


FLAGS = {key.setting for key in OFFICIAL if key.kind == "flag"}


def mended(found: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What the official reader should have found, and by which of its defects it did not."""
    names = []
    wanted = found["official"]
    if found["without_empty"] != wanted:
        names.append("an empty variable says nothing")
        wanted = found["without_empty"]
    if wanted["source"] is None:
        if found["with_empty_file"]["settings"] != wanted["settings"]:
            names.append("variables count without a file")
        wanted = {**found["with_empty_file"], "source": None}
    settings = dict(wanted["settings"])
    for name in FLAGS:
        if isinstance(settings[name], str):
            names.append("flags of variables are read")
            settings[name] = settings[name].lower() in ("true", "1")
    return {**wanted, "settings": settings}, names


def difference(ours: dict[str, Any], wanted: dict[str, Any]) -> Any:
    if "error" in ours:
        return ours
    pairs = {name: (value, wanted["settings"][name]) for name, value in ours["settings"].items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]} or (ours["source"], wanted["source"])


def test_the_settings_are_those_of_the_official_reader(generated: dict[str, Any]) -> None:
    told: collections.Counter[str] = collections.Counter()
    wrong = {}
    for name, found in generated.items():
        assert "settings" in found["official"], (name, found["official"])
        wanted, why = mended(found)
        told.update(set(why) or {"as they are"})
        ours = found["ours"]
        if "settings" in ours:
            # Nobody said how to sign in: they call that by its first choice, we leave it to what else is set.
            ours["settings"]["auth_type"] = ours["settings"]["auth_type"] or "Pkce"
        if ours != wanted:
            wrong[name] = difference(ours, wanted)
        elif "variables count without a file" not in why and found["scopes"][0] != found["scopes"][1]:
            wrong[name] = found["scopes"]

    assert wrong == {}
    assert len(generated) >= 500
    assert set(told) - {"as they are"} == set(MENDED)
    assert told["as they are"] >= len(generated) / 4


# Cases by name, each with what the official side finds and what ours does instead.


class Case:
    """One set-up.

    Args:
        file: Of the current folder; None is none.
        environ: Variables.
        path: Given to both readers; None lets them look.
        official: Settings that it finds, or the kind of error.
        ours: Settings that ours finds, or a part of our error's text.
    """

    def __init__(
        self,
        *,
        official: Any,
        ours: Any,
        file: Optional[str] = None,
        environ: Optional[dict[str, str]] = None,
        path: Optional[str] = None,
    ) -> None:
        self.file, self.environ, self.path, self.official, self.ours = file, environ or {}, path, official, ours


NAMED = {
    "a file that is no YAML is an error, not a file that says nothing": Case(
        file="admin:\n  endpoint: h\n  insecure: [\n",
        official={"endpoint": None},
        ours="config.yaml:4, column 1: this is no YAML",
    ),
    "a section that is no table is an error with its line": Case(
        file="task:\n  org: o\nadmin: h\n",
        official={"endpoint": None, "org": "o"},
        ours="config.yaml:3: admin is no table",
    ),
    "a value of another kind is an error with its line and key": Case(
        file="admin:\n  endpoint:\n    - h\n",
        official={"endpoint": ["h"]},
        ours="endpoint is a list (from config.yaml:2 (admin.endpoint)); write it as text",
    ),
    "a number is not what was written": Case(
        file="admin:\n  clientId: 0123\n",
        official={"client_id": 83},
        ours="config.yaml:2 (admin.clientId)); write it as text; put it in quotes",
    ),
    "a flag in quotes is a flag": Case(
        file="admin:\n  insecure: 'false'\n", official={"insecure": "false"}, ours={"insecure": False}
    ),
    "a flag that is neither yes nor no is an error": Case(
        file="admin: {}\n",
        environ={"FLYTE_ADMIN_INSECURE": "perhaps"},
        official={"insecure": "perhaps"},
        ours="insecure is 'perhaps' (from environment variable FLYTE_ADMIN_INSECURE); write true or false",
    ),
    "a file that a variable names and that is not there is an error that says so": Case(
        environ={"UCTL_CONFIG": "nowhere.yaml"},
        official="FileNotFoundError",
        ours="there is no file nowhere.yaml (from environment variable UCTL_CONFIG)",
    ),
    "a file that is given and not there, too": Case(
        path="nowhere.yaml", official="FileNotFoundError", ours="there is no file nowhere.yaml"
    ),
    "a secret's file that is not there says who names it": Case(
        file="admin:\n  clientSecretLocation: nowhere\n",
        official="FileNotFoundError",
        ours="can't be read from nowhere: No such file or directory (from config.yaml:2 (admin.clientSecretLocation))",
    ),
    "a secret's file with nothing but the end of a line has no secret": Case(
        file="admin:\n  clientSecretLocation: blank\n",
        official={"auth_type": "ClientSecret", "client_credentials_secret": None},
        ours={"auth_type": None, "client_credentials_secret": None},
    ),
    "a command without a kind of sign-in is what signs in, not a browser": Case(
        file="admin:\n  command: [mint]\n",
        official={"auth_type": "Pkce", "command": ["mint"]},
        ours={"auth_type": None, "command": ["mint"]},
    ),
    "a command line that does not end is an error": Case(
        file="admin: {}\n",
        environ={"FLYTE_AUTH_COMMAND": "mint 'it"},
        official="ValueError",
        ours="command is no command line: No closing quotation (from environment variable FLYTE_AUTH_COMMAND)",
    ),
    "images of a variable are a table, as those of a file": Case(
        file="admin: {}\n",
        environ={"FLYTE_IMAGE_IMAGE_REFS": '{"base": "r/i:1"}'},
        official={"images": '{"base": "r/i:1"}'},
        ours={"images": {"base": "r/i:1"}},
    ),
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("named")
    for name, case in NAMED.items():
        folder = root / name
        (folder / "work").mkdir(parents=True)
        (folder / "empty.yaml").write_text("{}\n", encoding="utf-8")
        (folder / "work" / "blank").write_text("\n", encoding="utf-8")
        if case.file is not None:
            (folder / "work" / "config.yaml").write_text(case.file, encoding="utf-8")
        told = {"cwd": "work", "environ": case.environ, "path": case.path, "arguments": None, "half": False}
        (folder / "case.json").write_text(json.dumps(told), encoding="utf-8")
    return compare(root)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_mended(named: dict[str, Any], name: str) -> None:
    case, found = NAMED[name], named[name]
    if isinstance(case.official, str):
        assert found["official"] == {"error": case.official}
    else:
        assert case.official.items() <= found["official"]["settings"].items()
    if isinstance(case.ours, str):
        assert found["ours"]["error"] == "ConfigError"
        assert case.ours in found["ours"]["message"]
    else:
        assert case.ours.items() <= found["ours"]["settings"].items()


ARGUMENTS: list[tuple[dict[str, Any], Optional[str]]] = [
    ({}, "https://acme.hosted.example.com"),
    ({"org": "o2"}, "https://acme.hosted.example.com"),
    ({"org": "", "project": "", "domain": ""}, "https://acme.hosted.example.com"),
    ({"project": "p2", "domain": "d2"}, "https://flyte.example"),
    ({"org": "o2", "project": "p2"}, None),
]


@pytest.fixture(scope="module")
def scopes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("scopes")
    for nth, (arguments, endpoint) in enumerate(ARGUMENTS):
        for task in ({}, {"org": "o", "project": "p", "domain": "d"}):
            folder = root / f"{nth} {'told' if task else 'empty'}"
            (folder / "work").mkdir(parents=True)
            (folder / "empty.yaml").write_text("{}\n", encoding="utf-8")
            content = {"admin": {"endpoint": endpoint or "dns:///localhost:8090"}, "task": task}
            (folder / "work" / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
            told = {"cwd": "work", "environ": {}, "path": None, "arguments": arguments, "half": False}
            (folder / "case.json").write_text(json.dumps(told), encoding="utf-8")
    return compare(root)


def test_arguments_win_as_they_do_officially(scopes: dict[str, Any]) -> None:
    assert len(scopes) == 2 * len(ARGUMENTS)
    for name, found in scopes.items():
        official, ours = found["scopes"]
        assert ours == official, name


def test_a_file_is_read_again_when_it_is_asked_for_again(tmp_path: Path) -> None:
    """The official reader answers for ever from the first file that it read."""
    script = """
import os, sys
from pathlib import Path
import flyte.config
import flyte_lite.config
os.environ["HOME"] = os.getcwd()
for org in ("first", "second"):
    Path("config.yaml").write_text(f"task: {{org: {org}}}")
    print(flyte.config.auto().task.org, flyte_lite.config.auto().org)
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["first", "first", "first", "second"], done.stderr[-1000:]
