"""`init` and its kin: what each makes the process's default, and what it gives back."""

from __future__ import annotations

import base64
import inspect
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

import flyte_lite
from flyte_lite import Client, _session, errors
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._in_cluster import arguments_of
from flyte_lite._log_lines import show_log
from flyte_lite.config import Config

PLANTED = "planted"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("FLYTE_API_KEY", "UCTL_CONFIG", "FLYTECTL_CONFIG", "EAGER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    _session.set_default(None)


def api_key(text: str = f"acme.flyte.example:me:{PLANTED}:acme") -> str:
    return base64.b64encode(text.encode()).decode()


def default() -> tuple[str, str, str, str]:
    session = _session.current()
    return str(session.channel.origin), *session.scope


def who() -> Any:
    return _session.current().channel.credentials


def test_the_parameters_are_documented_each() -> None:
    for function in (
        flyte_lite.init,
        flyte_lite.init_from_config,
        flyte_lite.init_from_api_key,
        flyte_lite.init_passthrough,
        flyte_lite.init_in_cluster,
        Client,
    ):
        text = inspect.getdoc(function) or ""
        for name in inspect.signature(function).parameters:
            assert f"\n    {name}: " in text, (function, name)


def test_init_takes_what_a_client_takes_and_what_has_no_effect() -> None:
    client = flyte_lite.init(
        "o",
        "p",
        "d",
        Path(),
        endpoint="h",
        storage=object(),
        batch_size=7,
        image_builder="remote",
        images={"a": "b"},
        sync_local_sys_paths=False,
        local_tracked=True,
    )

    assert isinstance(client, Client)
    assert default() == ("https://h:443", "o", "p", "d")
    assert client.config.sources["endpoint"] == "argument"
    shared = set(inspect.signature(flyte_lite.init).parameters) & set(inspect.signature(Client).parameters)
    assert shared == set(inspect.signature(Client).parameters) - {"config", "cancel"}


def test_init_reads_no_file_and_the_others_do(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "config.yaml").write_text("admin: {endpoint: of-file}\ntask: {project: p, domain: d}\n")
    with pytest.raises(errors.ConfigError, match="no file was asked for"):
        flyte_lite.init()

    assert flyte_lite.init_from_config(domain="d2", project="", timeout=5).endpoint == "https://of-file:443"
    assert default() == ("https://of-file:443", "", "p", "d2")
    assert _session.current().timeout == 5
    flyte_lite.init_from_config("config.yaml", root_dir=tmp_path)
    flyte_lite.init_from_config(flyte_lite.config.auto(), org="o")
    assert default()[1] == "o"
    assert Client.from_config(project="p3")._session.scope.project == "p3"
    assert Client(config="config.yaml", endpoint="h").endpoint == "https://h:443"
    client = Client(config=tmp_path / "config.yaml", domain="d4")
    assert (client._session.scope, client.config.sources["domain"]) == (("", "p", "d4"), "argument")
    with pytest.raises(errors.ConfigError, match="there is no file") as caught:
        flyte_lite.init_from_config("config.yaml", root_dir=tmp_path / "other")
    assert caught.value.code == "ConfigFileNotFoundError"


def test_a_failed_init_leaves_the_default_as_it_was() -> None:
    flyte_lite.init(endpoint="h")
    with pytest.raises(errors.ConfigError):
        flyte_lite.init(endpoint="a b")

    assert default()[0] == "https://h:443"


def test_an_api_key_says_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.ConfigError, match="set FLYTE_API_KEY") as caught:
        flyte_lite.init_from_api_key()
    assert caught.value.code == "MissingApiKeyError"

    client = flyte_lite.init_from_api_key(api_key(), "p", "d")
    assert default() == ("https://acme.flyte.example:443", "acme", "p", "d")
    assert client.config.sources["client_credentials_secret"] == "argument api_key"
    monkeypatch.setenv("FLYTE_API_KEY", api_key("h:8089:me:planted:None"))
    assert flyte_lite.init_from_api_key().endpoint == "https://h:8089"
    assert default()[1] == ""
    assert PLANTED not in repr(client.config) + client.config.explain()


KEYS: list[tuple[dict[str, Any], dict[str, str], Optional[str]]] = [
    # In the environment it counts where nothing else says whom to call, and as whom.
    ({}, {}, "acme.flyte.example"),
    ({}, {"FLYTE_ADMIN_ENDPOINT": "other"}, "acme.flyte.example"),
    ({"endpoint": "h"}, {}, None),
    ({"command": ["mint"]}, {"FLYTE_ADMIN_ENDPOINT": "other"}, None),
    ({"auth_type": "Passthrough"}, {"FLYTE_ADMIN_ENDPOINT": "other"}, None),
]


@pytest.mark.parametrize(("arguments", "environ", "endpoint"), KEYS)
def test_when_a_key_of_the_environment_counts(
    arguments: dict[str, Any], environ: dict[str, str], endpoint: Optional[str]
) -> None:
    found = Config.load(arguments, {"FLYTE_API_KEY": api_key(), **environ})

    if endpoint is None:
        assert found.client_credentials_secret is None
    else:
        assert (found.endpoint, found.auth_type, found.client_id, found.org) == (endpoint, "ClientSecret", "me", "acme")
        assert found.sources["endpoint"] == "environment variable FLYTE_API_KEY"


def test_a_key_goes_to_its_own_server_only() -> None:
    by_key = Config.load({"api_key": api_key()}, {})
    for make in (
        lambda: Config.load({"api_key": api_key(), "endpoint": "other.example"}, {}),
        lambda: by_key.given({"endpoint": "other.example"}),
        lambda: by_key.given({"endpoint": "https://acme.flyte.example:8443"}),
    ):
        with pytest.raises(errors.ConfigError, match=r"the API key is for acme\.flyte\.example") as caught:
            make()
        assert PLANTED not in str(caught.value)
    assert by_key.given({"endpoint": "dns:///acme.flyte.example"}).client_id == "me"
    with pytest.raises(errors.ConfigError, match="the API key says who calls, and so does client_id"):
        Config.load({"api_key": api_key(), "client_id": "x"}, {})


def test_a_key_is_not_sent_in_clear_for_a_variable() -> None:
    assert Config.load({"api_key": api_key()}, {"FLYTE_ADMIN_INSECURE": "1"}).server().scheme == "https"
    assert Config.load({"api_key": api_key(), "insecure": True}, {}).server().scheme == "http"
    assert Config.load({"api_key": api_key(), "org": "o"}, {}).org == "o"
    assert Config.load({"api_key": api_key()}, {"FLYTE_TASK_ORG": "o"}).org == "acme"


def test_passthrough_gives_back_what_the_official_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flyte_lite.init_passthrough("h", project="p", insecure=True) == {"endpoint": "h", "insecure": True}
    assert default() == ("http://h:80", "", "p", "")
    assert type(who()).__name__ == "Passthrough"
    monkeypatch.setenv("_U_EP_OVERRIDE", "acme.flyte.example")
    assert flyte_lite.init_passthrough(org="o") == {"endpoint": None, "insecure": False}
    assert default() == ("https://acme.flyte.example:443", "o", "", "")


IN_CLUSTER: list[tuple[dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ({}, {}, {"insecure": True, "endpoint": "host.docker.internal:8090"}),
    ({"endpoint": "h"}, {"_U_EP_OVERRIDE": "x"}, {"insecure": False, "endpoint": "h"}),
    ({}, {"_U_EP_OVERRIDE": "x", "FLYTE_ADMIN_ENDPOINT": "y"}, {"insecure": False, "endpoint": "x"}),
    ({}, {"FLYTE_ADMIN_ENDPOINT": "localhost:1"}, {"insecure": True, "endpoint": "localhost:1"}),
    ({}, {"_U_EP_OVERRIDE": "x", "_U_INSECURE": "true"}, {"insecure": True, "endpoint": "x"}),
    ({}, {"_U_EP_OVERRIDE": "x", "_U_INSECURE": "false"}, {"insecure": False, "endpoint": "x"}),
    (
        {},
        {"_U_EP_OVERRIDE": "x", "_U_INSECURE_SKIP_VERIFY": "1"},
        {"insecure": False, "endpoint": "x", "insecure_skip_verify": True},
    ),
    ({}, {"EAGER_API_KEY": "k"}, {"insecure": False, "api_key": "k"}),
    ({}, {"_UNION_EAGER_API_KEY": "u", "EAGER_API_KEY": "k"}, {"insecure": False, "api_key": "u"}),
    ({"api_key": "a"}, {"EAGER_API_KEY": "k", "FLYTE_AUTH_TYPE": "Pkce"}, {"insecure": False, "api_key": "a"}),
    (
        {},
        {
            "EAGER_API_KEY": "k",
            "FLYTE_AUTH_TYPE": "ExternalCommand",
            "FLYTE_AUTH_COMMAND": "mint it",
            "_U_EP_OVERRIDE": "x",
        },
        {"insecure": False, "auth_type": "ExternalCommand", "command": ["mint", "it"], "endpoint": "x"},
    ),
]


@pytest.mark.parametrize(("given", "environ", "wanted"), IN_CLUSTER)
def test_what_a_container_is_told(given: dict[str, Any], environ: dict[str, str], wanted: dict[str, Any]) -> None:
    arguments = {"api_key": None, "endpoint": None, "insecure": False, **given}

    assert arguments_of(**arguments, environ=environ) == wanted


def test_a_container_is_told_to_call_a_command_and_not_which() -> None:
    with pytest.raises(errors.ConfigError, match="set FLYTE_AUTH_COMMAND") as caught:
        arguments_of(None, None, False, {"FLYTE_AUTH_TYPE": "ExternalCommand"})
    assert caught.value.code == "MissingExternalCommand"


@pytest.mark.parametrize(("endpoint", "shown"), [("docker:8090", False), ("x.flyte.example", True)])
def test_a_container_shows_nothing_of_its_variables_in_clear(
    endpoint: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_U_EP_OVERRIDE", endpoint)
    monkeypatch.setenv("FLYTE_AUTH_TYPE", "ExternalCommand")
    monkeypatch.setenv("FLYTE_AUTH_COMMAND", "mint it")

    assert flyte_lite.init_in_cluster() == {
        "insecure": not shown,
        "auth_type": "ExternalCommand",
        "command": ["mint", "it"],
        "endpoint": endpoint,
    }
    assert (who() is not None) is shown


def test_in_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    for name, value in {
        "_U_EP_OVERRIDE": "x.flyte.example",
        "_U_ORG_NAME": "o",
        "FLYTE_INTERNAL_EXECUTION_PROJECT": "p",
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": "d",
    }.items():
        monkeypatch.setenv(name, value)
    assert flyte_lite.init_in_cluster() == {"insecure": False, "endpoint": "x.flyte.example"}
    assert default() == ("https://x.flyte.example:443", "o", "p", "d")

    file = tmp_path / "mounted.yaml"
    file.write_text("admin: {endpoint: h, clientId: me, clientSecretLocation: s, caCertFilePath: ca.pem}\n")
    (tmp_path / "s").write_text("secret\n")
    (tmp_path / "ca.pem").write_text("")
    monkeypatch.setenv("FLYTECTL_CONFIG", str(file))
    assert flyte_lite.init_in_cluster(project="p2") == {
        "endpoint": "x.flyte.example",
        "ca_cert_file_path": "ca.pem",
        "client_id": "me",
        "client_credentials_secret": "secret",
        "auth_type": "ClientSecret",
        "headless": True,
    }
    assert default() == ("https://h:443", "o", "p2", "d")


def test_a_client_says_where_its_settings_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_TASK_DOMAIN", "d")
    client = Client("h", project="p")
    copy = client.scoped(project="p2")

    def told(client: Client, name: str) -> tuple[Any, str]:
        return next(row[1:] for row in client.config.settings() if row.name == name)

    assert told(client, "project") == ("p", "argument")
    assert told(client, "domain") == ("d", "environment variable FLYTE_TASK_DOMAIN")
    assert told(copy, "project") == ("p2", "scoped()")
    assert told(copy, "endpoint") == ("h", "argument")
    over = Client(channel=flyte_lite.remote.create_channel("other.example"), project="p3")
    assert told(over, "endpoint") == ("https://other.example:443", "channel")
    assert told(over, "project") == ("p3", "argument")


LOGGING = """
import io, json, logging, sys
import flyte_lite
root = logging.getLogger()
{before}
handlers = list(root.handlers)
flyte_lite.init(endpoint="h", {arguments})
log = logging.getLogger("flyte_lite")
log.debug("debug %s", 1)
log.warning("warning")
logging.getLogger("other").warning("of others")
print(json.dumps([len(log.handlers), handlers == root.handlers, root.level, log.level, log.propagate]))
"""


def run_logging(before: str, arguments: str) -> tuple[list[Any], list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", LOGGING.format(before=before, arguments=arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout), done.stderr.splitlines()


def test_a_log_is_left_alone_unless_something_is_said_of_it() -> None:
    state, lines = run_logging("", "")

    assert state == [0, True, logging.WARNING, logging.NOTSET, True]
    assert lines == ["warning", "of others"]


def test_a_level_shows_our_lines_and_no_others() -> None:
    state, lines = run_logging("", 'log_level=logging.DEBUG, log_format="json"')

    assert state == [1, True, logging.WARNING, logging.DEBUG, True]
    shown = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(line["level"], line["logger"], line["message"]) for line in shown] == [
        ("DEBUG", "flyte_lite", "debug 1"),
        ("WARNING", "flyte_lite", "warning"),
    ]


def test_lines_go_to_the_handlers_that_the_program_has() -> None:
    state, lines = run_logging('logging.basicConfig(format="mine: %(message)s")', "log_level='DEBUG'")

    assert state == [0, True, logging.WARNING, logging.DEBUG, True]
    assert lines == ["mine: debug 1", "mine: warning", "mine: of others"]


def test_the_root_logger_is_replaced_only_if_that_is_asked_for() -> None:
    state, lines = run_logging('logging.basicConfig(format="mine: %(message)s")', "reset_root_logger=True")

    assert state == [0, False, logging.WARNING, logging.NOTSET, True]
    assert [line.partition(" WARNING ")[2] for line in lines] == ["flyte_lite: warning", "other: of others"]


@pytest.mark.parametrize(
    ("level", "form", "said"), [("LOUD", None, "log_level is 'LOUD'"), (None, "xml", "log_format is 'xml'")]
)
def test_what_is_no_level_or_format(level: Any, form: Any, said: str) -> None:
    with pytest.raises(errors.ConfigError, match=said):
        show_log(level, form, False)


def test_a_key_that_says_http_does_not_undo_https() -> None:
    key = api_key(f"http://acme.flyte.example:8089:me:{PLANTED}:acme")
    assert Config.load({"api_key": key, "endpoint": "http://acme.flyte.example:8089"}, {}).server().scheme == "http"
    for make in (
        lambda: Config.load({"api_key": key, "endpoint": "https://acme.flyte.example:8089"}, {}),
        lambda: Config.load({"api_key": key}, {}).given({"endpoint": "https://acme.flyte.example:8089"}),
    ):
        with pytest.raises(errors.ConfigError, match="by plain http, and the endpoint says https") as caught:
            make()
        assert PLANTED not in str(caught.value)


def test_what_is_no_key_and_no_file_is_refused_with_a_sentence() -> None:
    with pytest.raises(errors.ConfigError, match="the API key is none"):
        Config.load({"api_key": api_key().encode()}, {})
    with pytest.raises(errors.ConfigError, match="config_file is int; give a path"):
        flyte_lite.init_from_config(5, root_dir="somewhere")  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigError, match=r"\(from ca_cert_file_path\) can't be loaded"):
        TlsPolicy(ca_file="a\0b").context("roots.pem", {})
