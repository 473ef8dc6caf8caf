"""Where the settings' file is looked for, what a wrong one says, and what is said of what nobody reads."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any, Optional

import pytest

import flyte_lite.config
from flyte_lite._auth.client_credentials import ClientProof
from flyte_lite._auth.discovery import ClientConfig
from flyte_lite._connection import sign_in_of
from flyte_lite.config import Config, ImageConfig, LocalConfig, PlatformConfig, TaskConfig
from flyte_lite.config._file import search
from flyte_lite.errors import ConfigError, ConfigWarning

pytest.importorskip("yaml")

PLANTED = "planted"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one to be in, below another."""
    inner = tmp_path / "work" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return inner


def write(path: Path, text: str = "task: {project: p}\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def auto(path: Any = None, **environ: str) -> Config:
    return Config.auto(path, environ={"HOME": "/nowhere", **environ})


def test_the_first_place_that_has_a_file_wins(folder: Path) -> None:
    home, root = folder / "home", folder.parent
    (root / ".git").mkdir()
    environ = {"HOME": str(home), "UCTL_CONFIG": "u.yaml", "FLYTECTL_CONFIG": "f.yaml"}
    # From the last place to the first.
    assert search({"HOME": str(home)}).path is None
    write(home / ".flyte" / "config.yaml")
    assert search({"HOME": str(home)}).path == home / ".flyte" / "config.yaml"
    write(home / ".union" / "config.yaml")
    assert search({"HOME": str(home)}).path == home / ".union" / "config.yaml"
    assert search({"HOME": str(home), "FLYTECTL_CONFIG": "f.yaml"}).path == Path("f.yaml")
    assert search(environ).path == Path("u.yaml")
    write(root / ".flyte" / "config.yaml")
    assert search(environ).path == root / ".flyte" / "config.yaml"
    write(folder / ".flyte" / "config.yaml")
    assert search(environ).path == Path(".flyte", "config.yaml")
    write(folder / "config.yaml")
    assert search(environ).path == Path("config.yaml")


@pytest.mark.parametrize("worktree", [True, False])
def test_the_root_of_a_repository_is_found_without_git(
    folder: Path, worktree: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    if worktree:
        write(folder.parent / ".git", "gitdir: elsewhere\n")
    else:
        (folder.parent / ".git").mkdir()
    write(folder.parent / ".flyte" / "config.yaml")

    assert auto().source == folder.parent / ".flyte" / "config.yaml"


def test_a_home_that_is_closed_or_missing_is_no_error(folder: Path) -> None:
    closed = folder / "closed"
    write(closed / ".flyte" / "config.yaml")
    closed.chmod(0)
    try:
        for environ in ({"HOME": str(closed)}, {"HOME": "/dev/null"}, {}):
            found = search(environ)
            # Whoever runs as root may look into everything, and has a home without being told.
            assert found.path is None or not environ or found.path.parent.parent == closed
            assert found.places[-1] == "~/.flyte/config.yaml"
    finally:
        closed.chmod(0o700)


def test_a_folder_that_was_deleted_is_no_error(folder: Path) -> None:
    folder.rmdir()

    assert auto().source is None


def test_a_file_is_read_anew_each_time(folder: Path) -> None:
    assert auto().project is None
    write(folder / "config.yaml", "task: {project: one}\n")
    assert auto().project == "one"
    write(folder / "config.yaml", "task: {project: two}\n")
    assert auto().project == "two"


def test_each_value_says_where_it_stands(folder: Path) -> None:
    path = write(folder / "c.yaml", "admin:\n  endpoint: h\n  insecure: true\ntask:\n  org: o\n  project: p\n")
    found = Config.auto(path, arguments={"project": "mine"}, environ={"FLYTE_TASK_ORG": "e"})

    assert (found.endpoint, found.insecure, found.org, found.project, found.source) == ("h", True, "e", "mine", path)
    assert found.sources["endpoint"] == f"{path}:2 (admin.endpoint)"
    assert found.sources["insecure"] == f"{path}:3 (admin.insecure)"
    assert found.sources["org"] == "environment variable FLYTE_TASK_ORG"
    assert found.sources["project"] == "argument"
    assert found.sources["domain"] == "default"


def test_lines_are_right_where_a_section_is_taken_over(folder: Path) -> None:
    text = "base: &base\n  endpoint: h\nadmin:\n  <<: *base\n  insecure: perhaps\n"
    with pytest.raises(ConfigError, match=r"config\.yaml:5 \(admin\.insecure\)"), pytest.warns(ConfigWarning):
        auto(write(folder / "config.yaml", text))
    with pytest.warns(ConfigWarning, match="base on line 1"):
        assert (
            auto(write(folder / "config.yaml", text.replace("perhaps", "yes")))
            .sources["endpoint"]
            .endswith("config.yaml:2 (admin.endpoint)")
        )


WRONG = [
    ("admin:\n  endpoint: h\n bad\n", r"c\.yaml:3, column 2: this is no YAML: expected <block end>$"),
    ("admin: [\n", r"c\.yaml:2, column 1: this is no YAML"),
    ("admin:\n\tendpoint: h\n", r"c\.yaml:2, column 1: this is no YAML"),
    ("a: 1\n---\nb: 1\n", r"c\.yaml:2, column 1: this is no YAML: a second document begins here"),
    ('admin:\n  insecure: !!int ""\n', r"c\.yaml: this is no YAML: there is something in it that it can not have$"),
    ("admin:\n  insecure: !!bool maybe\n", r"c\.yaml: this is no YAML"),
    ("admin:\n  endpoint: !!timestamp tomorrow\n", r"c\.yaml: this is no YAML"),
    ("- admin\n", r"c\.yaml:1: this is no table of sections"),
    ("admin\n", r"c\.yaml:1: this is no table of sections"),
    ("task: {}\n\nadmin: h\n", r"c\.yaml:3: admin is no table; write its keys below it"),
    ("admin:\n  endpoint: [h]\n", r"endpoint is a list \(from .*c\.yaml:2 \(admin\.endpoint\)\); write it as text"),
    ("admin:\n  clientId: 12\n", r"client_id is a number \(from .*c\.yaml:2 .*write it as text; put it in quotes"),
    ("task:\n  org: 2020-01-01\n", r"org is date \(from .*put it in quotes"),
    ("admin:\n  insecure: [true]\n", r"insecure is a list \(from .*write true or false"),
    ("admin:\n  insecure: 2.5\n", r"insecure is a number \(from .*write true or false"),
    ("admin:\n  scopes: {a: b}\n", r"scopes is a table \(from .*write a list of texts"),
    ("admin:\n  command: [sleep, 5]\n", r"command has a number in it \(from .*each in quotes"),
    ("admin:\n  command: a 'b\n", r"command is no command line: No closing quotation \(from .*c\.yaml:2"),
    ("image:\n  image_refs: [a]\n", r"images is no table of names and texts \(from .*c\.yaml:2"),
    ("admin:\n  clientSecretLocation: nowhere\n", r"secret can't be read from nowhere: No such file .*c\.yaml:2"),
    ("admin:\n  clientSecretLocation: c.yaml/x\n", r"secret can't be read from c\.yaml/x: Not a directory"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_file_says_line_and_key(text: str, said: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        auto(write(folder / "c.yaml", text))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "text", [f"a: [{PLANTED}", f"a: &{PLANTED}!x b", f"a: !{PLANTED} b", f"a: *{PLANTED}", f"'{PLANTED}"]
)
def test_no_content_of_a_wrong_file_is_shown(text: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match="this is no YAML") as caught:
        auto(write(folder / "c.yaml", f"admin: {{}}\n{text}\n"))
    assert PLANTED not in str(caught.value)


def test_a_file_in_another_encoding_is_named(folder: Path) -> None:
    (folder / "c.yaml").write_bytes(b"task:\n  org: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:2: this is no YAML: it is not UTF-8; save it so$"):
        auto(folder / "c.yaml")


def test_files_that_are_not_there_or_closed_say_who_names_them(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file nowhere\.yaml$") as caught:
        auto("nowhere.yaml")
    assert caught.value.code == "ConfigFileNotFoundError"
    with pytest.raises(ConfigError, match=r"nowhere\.yaml \(from environment variable UCTL_CONFIG\)"):
        auto(UCTL_CONFIG="nowhere.yaml")
    with pytest.raises(ConfigError, match=r"can't be read: Is a directory"):
        auto(folder)
    with pytest.raises(ConfigError, match=r"there is no file ~nobody-of-that-name/c\.yaml"):
        auto("~nobody-of-that-name/c.yaml")
    with pytest.raises(ConfigError, match="that is no path"):
        auto("a\0b")
    with pytest.raises(ConfigError, match="config_file is int; give a path"):
        flyte_lite.config.auto(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "admin:\ntask:\n", "admin: {endpoint: '', insecure: null}"])
def test_a_file_that_says_nothing_is_none(text: str, folder: Path) -> None:
    found = auto(write(folder / "config.yaml", text))

    assert found._replace(source=None, sources={}) == Config()
    assert set(found.sources.values()) == {"default"}


def test_without_pyyaml_it_is_named_and_only_where_a_file_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert auto(FLYTE_TASK_ORG="o").org == "o"
    write(folder / "config.yaml")
    with pytest.raises(ConfigError, match=r"config\.yaml can't be read without PyYAML.*pip install PyYAML"):
        auto()


UNKNOWN = [
    ("admin:\n  endpont: h\n", "admin.endpont on line 2 (do you mean admin.endpoint?)"),
    ("admin:\n  client_id: h\n", "admin.client_id on line 2 (do you mean admin.clientId?)"),
    (
        "admin:\n  insecureskipverify: true\n",
        "admin.insecureskipverify on line 2 (do you mean admin.insecureSkipVerify?)",
    ),
    ("admin:\n  project: p\n", "admin.project on line 2 (do you mean task.project?)"),
    ("admins:\n  endpoint: h\ntask: {}\n", "admins on line 1 (do you mean admin?)"),
    ("task: {}\nthings: 1\n", "things on line 2"),
    ("task: {}\n5: 1\n", "5 on line 2"),
    ("admin:\n  a1: 1\ntask:\n  b2: 1\n", "admin.a1 on line 2; task.b2 on line 4"),
]


@pytest.mark.parametrize(("text", "said"), UNKNOWN)
def test_what_nobody_reads_is_warned_of_once(text: str, said: str, folder: Path) -> None:
    path = write(folder / "c.yaml", text)
    with pytest.warns(ConfigWarning) as caught:
        auto(path)

    assert [str(each.message) for each in caught] == [f"{path} has what nobody reads here: {said}"]
    assert caught[0].filename == __file__
    with warnings.catch_warnings(record=True) as again:
        warnings.simplefilter("default")
        for _ in range(3):
            auto(path)
    assert len(again) == 1


def test_what_other_programs_keep_there_is_left_alone(folder: Path) -> None:
    text = "logger: {level: 0}\nstorage: {type: s3}\nadmin: {maxRetries: 3, useAuth: true, endpoint: h}\n"

    assert auto(write(folder / "c.yaml", text)).endpoint == "h"


def test_a_file_of_another_program_that_is_merely_found_is_named(folder: Path) -> None:
    write(folder / "config.yaml", f"server: {{port: 80}}\npassword: {PLANTED}\n")
    with pytest.warns(
        ConfigWarning, match=r"config\.yaml has none of the sections admin, .*init_from_config"
    ) as caught:
        found = auto()
    assert PLANTED not in str(caught[0].message)
    assert str(found.source) == "config.yaml"


def test_two_variables_that_disagree(folder: Path) -> None:
    with pytest.warns(ConfigWarning, match="FLYTE_AUTH_TYPE and FLYTE_ADMIN_AUTHTYPE are one setting"):
        found = auto(FLYTE_AUTH_TYPE="Pkce", FLYTE_ADMIN_AUTHTYPE="DeviceFlow")
    assert found.auth_type == "Pkce"
    assert auto(FLYTE_AUTH_TYPE="", FLYTE_ADMIN_AUTHTYPE="DeviceFlow").auth_type == "DeviceFlow"
    assert auto(FLYTE_AUTH_TYPE="Pkce", FLYTE_ADMIN_AUTHTYPE="Pkce").auth_type == "Pkce"


SECRETS = [
    ("clientSecretLocation: s", {}, PLANTED, "file s, which c.yaml:2 (admin.clientSecretLocation) names"),
    (
        "clientSecretEnvVar: V",
        {"V": PLANTED},
        PLANTED,
        "environment variable V, which c.yaml:2 (admin.clientSecretEnvVar) names",
    ),
    (
        "clientSecretEnvVar: V",
        {},
        None,
        "not set: the environment variable V, which c.yaml:2 (admin.clientSecretEnvVar) names",
    ),
    (
        "clientSecretLocation: e",
        {},
        None,
        "not set: the file e, which c.yaml:2 (admin.clientSecretLocation) names, is empty",
    ),
    (
        "clientSecretLocation: nowhere",
        {"FLYTE_ADMIN_CLIENTSECRETLOCATION": "s"},
        PLANTED,
        "file s, which environment variable FLYTE_ADMIN_CLIENTSECRETLOCATION names",
    ),
    ("clientId: me", {}, None, "default"),
]


def test_a_secret_in_a_file_is_read_again_for_each_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "s", "first\n")
    write(folder / "c.yaml", "admin:\n  clientId: me\n  clientSecretLocation: s\n")
    found = copy.deepcopy(auto("c.yaml"))
    secret = ClientProof("me", sign_in_of(found).client_secret, "post")

    def sent() -> str:
        return secret.of(ClientConfig())[0]["client_secret"]

    assert (sent(), found.client_credentials_secret) == ("first", "first")
    write(folder / "s", "second\n")
    monkeypatch.chdir("/")
    assert sent() == "second"
    # While it is replaced there may be nothing, and what was there may still do.
    write(folder / "s", "")
    assert sent() == "first"
    (folder / "s").unlink()
    assert sent() == "first"


@pytest.mark.parametrize(("line", "environ", "secret", "source"), SECRETS)
def test_where_a_secret_is(
    line: str, environ: dict[str, str], secret: Optional[str], source: str, folder: Path
) -> None:
    write(folder / "s", f" {PLANTED}\n")
    write(folder / "e", "\n")
    write(folder / "c.yaml", f"admin:\n  {line}\n")
    found = auto("c.yaml", **environ)

    assert found.client_credentials_secret == secret
    assert found.auth_type == ("ClientSecret" if secret else None)
    assert found.sources["client_credentials_secret"] == source
    assert PLANTED not in repr(found) + found.explain() + str(found.settings()) + repr(found.platform)
    assert copy.deepcopy(copy.copy(found)) == found
    assert PLANTED not in repr(copy.deepcopy(found))
    if secret is None:
        assert pickle.loads(pickle.dumps(found)) == found
    else:
        for each in (found, found.platform):
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(each)


def test_sections_under_the_official_names(folder: Path) -> None:
    text = """
admin:
  endpoint: dns:///h
  authType: DeviceFlow
  scopes: [a, b]
  command: [x, y]
task: {org: o, project: p, domain: d}
image: {builder: remote, image_refs: {a: b}, registry: r}
local: {persistence: true, tracked_strict: true}
"""
    found = auto(write(folder / "config.yaml", text))

    assert found.platform == PlatformConfig(
        endpoint="dns:///h", auth_mode="DeviceFlow", scopes=["a", "b"], command=["x", "y"]
    )
    assert found.task == TaskConfig("o", "p", "d")
    assert found.image == ImageConfig("remote", {"a": "b"}, "r")
    assert found.local == LocalConfig(True, False, True)
    assert pickle.loads(pickle.dumps(found.platform)) == found.platform


def test_sections_are_replaced(folder: Path) -> None:
    found = auto(write(folder / "config.yaml", "admin: {endpoint: h, command: [x]}\ntask: {org: o, project: p}\n"))

    changed = found.with_params(platform=found.platform.replace(endpoint="h2"), task=TaskConfig(project="p2"))

    assert (changed.endpoint, changed.command, changed.org, changed.project) == ("h2", ("x",), None, "p2")
    assert changed.sources["endpoint"] == changed.sources["project"] == "with_params()"
    assert changed.sources["command"] == found.sources["command"]
    assert found.with_params(image=ImageConfig("remote")).image.builder == "remote"
    assert found.with_params() == found
    assert PlatformConfig.for_endpoint("h", True) == PlatformConfig(endpoint="h", insecure=True)
    assert repr(PlatformConfig(endpoint="h", client_credentials_secret=PLANTED, auth_mode="ClientSecret")) == (
        "PlatformConfig(endpoint='h', client_credentials_secret='***', auth_mode='ClientSecret')"
    )


def test_sections_look_for_a_file_themselves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    write(folder / "config.yaml", "admin: {endpoint: h}\ntask: {org: o}\n")

    assert PlatformConfig.auto().endpoint == flyte_lite.config.auto().endpoint == "h"
    assert TaskConfig.auto("config.yaml") == TaskConfig("o")


def test_every_setting_is_explained_without_secrets(folder: Path) -> None:
    text = """
admin:
  endpoint: https://acme.hosted.example.com
  httpProxyURL: http://me:planted@proxy:3128
  command: [mint, --password, planted]
  clientSecretEnvVar: MY_SECRET
local: {tracked: true}
"""
    write(folder / "config.yaml", text)
    found = Config.auto(
        arguments={"auth_client_config": {"x": PLANTED}, "rpc_retries": 0},
        environ={"MY_SECRET": PLANTED, "FLYTE_TASK_PROJECT": "p"},
    )
    rows = {row.name: row[1:] for row in found.settings()}

    assert rows["endpoint"] == ("https://acme.hosted.example.com", "config.yaml:3 (admin.endpoint)")
    assert rows["http_proxy_url"] == ("http://***@proxy:3128", "config.yaml:4 (admin.httpProxyURL)")
    assert rows["command"] == (["mint", "(2 more)"], "config.yaml:5 (admin.command)")
    assert rows["client_credentials_secret"][0] == "***"
    assert rows["org"] == ("acme", "the endpoint's name")
    assert rows["project"] == ("p", "environment variable FLYTE_TASK_PROJECT")
    assert rows["domain"] == (None, "default")
    assert rows["local_tracked"] == (True, "config.yaml:7 (local.tracked)")
    assert rows["auth_client_config"] == ("given", "argument")
    assert rows["rpc_retries"] == (0, "argument")
    assert "local_persistence" not in rows
    lines = found.explain().splitlines()
    assert lines[0].split() == ["file", "config.yaml"]
    assert [line.split()[0] for line in lines[1:]] == list(rows)
    assert PLANTED not in found.explain() + repr(found)


def test_what_was_looked_at_is_said_where_there_is_no_endpoint(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file was asked for, which init_from_config\(\)") as caught:
        Config.load({}, {}).server()
    assert caught.value.code == "MissingEndpointOrApiKeyError"
    with pytest.raises(
        ConfigError, match=r"there is no file at config\.yaml, .*\$UCTL_CONFIG, .*~/\.flyte/config\.yaml"
    ):
        auto().server()
    write(folder / "config.yaml")
    with pytest.raises(
        ConfigError, match=r"FLYTE_ADMIN_ENDPOINT and FLYTE_API_KEY are not set, config\.yaml has no admin"
    ):
        auto().server()
    write(folder / "config.yaml", "admin:\n  endpoint: a b\n")
    with pytest.raises(ConfigError, match=r"is not an address.*\(from config\.yaml:2 \(admin\.endpoint\)\)"):
        auto().server()
