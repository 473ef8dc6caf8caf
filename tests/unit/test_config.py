from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from flyte_lite.config import Config, Endpoint
from flyte_lite.config._keys import KEYS
from flyte_lite.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "insecure", "wanted"),
    [
        ("flyte.example.com", False, ("https", "flyte.example.com", 443, "")),
        ("flyte.example.com", True, ("http", "flyte.example.com", 80, "")),
        ("localhost:8080", False, ("https", "localhost", 8080, "")),
        ("localhost:8080", True, ("http", "localhost", 8080, "")),
        ("dns:///flyte.example.com", False, ("https", "flyte.example.com", 443, "")),
        ("dns:///localhost:30080", True, ("http", "localhost", 30080, "")),
        ("DNS:///Flyte.Example.com", False, ("https", "flyte.example.com", 443, "")),
        ("http://localhost:8080", False, ("http", "localhost", 8080, "")),
        ("http://localhost", False, ("http", "localhost", 80, "")),
        ("https://localhost", True, ("https", "localhost", 443, "")),
        ("HTTPS://localhost/", True, ("https", "localhost", 443, "")),
        ("https://h/a/b/", False, ("https", "h", 443, "/a/b")),
        ("h:1/a", True, ("http", "h", 1, "/a")),
        ("h.", False, ("https", "h.", 443, "")),
        ("  h  ", False, ("https", "h", 443, "")),
        ("127.0.0.1:1", False, ("https", "127.0.0.1", 1, "")),
        ("[::1]:8080", False, ("https", "::1", 8080, "")),
        ("http://[fd00::1]", False, ("http", "fd00::1", 80, "")),
        ("http:8080", True, ("http", "http", 8080, "")),
    ],
)
def test_forms_of_an_endpoint(text: str, insecure: bool, wanted: tuple[Any, ...]) -> None:
    assert Endpoint.parse(text, insecure=insecure) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "dns:///",
        "https://",
        "grpc://h",
        "ftp://h",
        "h:port",
        "h:99999",
        "h:-1",
        "h:0",
        "http://h:0",
        "http://a..b",
        "http://.",
        f"{'a' * 64}.com",
        ":8080",
        "a b",
        "h/a b",
        "::1",
        "[::1",
        "user@h",
        "h?x=1",
        "h#x",
        "http:/h",
        "https:/h",
        "https:h",
    ],
)
def test_what_is_no_endpoint_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(ConfigError, match="write host, host:port, https://host or dns:///host"):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hidden@h",
        "https://user:hid@hidden@h",
        "h?token=hidden",
        "h#hidden",
        "aHR0cHM6Ly9mbHl0ZS5leGFtcGxlLmNvbTpjbGllbnQ6hidden " + "A" * 20,
    ],
)
def test_what_was_pasted_by_mistake_is_not_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Endpoint.parse(text)

    assert "hid" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "organization"),
    [
        ("acme.hosted.example.com", "acme"),
        ("flyte.example", ""),
        ("localhost", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
    ],
)
def test_the_organization_of_a_hosted_server_is_its_first_label(host: str, organization: str) -> None:
    assert Endpoint("https", host, 443, "").organization == organization


VARIABLES = {
    "endpoint": ("FLYTE_ADMIN_ENDPOINT", "h:1", "h:1"),
    "insecure": ("FLYTE_ADMIN_INSECURE", "true", True),
    "insecure_skip_verify": ("FLYTE_ADMIN_INSECURESKIPVERIFY", "1", True),
    "ca_cert_file_path": ("FLYTE_ADMIN_CACERTFILEPATH", "/ca.pem", "/ca.pem"),
    "http_proxy_url": ("FLYTE_ADMIN_HTTPPROXYURL", "http://proxy:3128", "http://proxy:3128"),
    "console_endpoint": ("FLYTE_CONSOLE_ENDPOINT", "https://console", "https://console"),
    "auth_type": ("FLYTE_AUTH_TYPE", "DeviceFlow", "DeviceFlow"),
    "command": ("FLYTE_AUTH_COMMAND", "mint --for 'the flyte'", ("mint", "--for", "the flyte")),
    "proxy_command": ("FLYTE_AUTH_PROXY_COMMAND", '["mint", "a b"]', ("mint", "a b")),
    "client_id": ("FLYTE_ADMIN_CLIENTID", "me", "me"),
    "scopes": ("FLYTE_ADMIN_SCOPES", "a, b c", ("a", "b", "c")),
    "disable_keyring": ("FLYTE_ADMIN_DISABLEKEYRING", "yes", True),
    "token_store": ("FLYTE_LITE_TOKEN_STORE", "memory", "memory"),
    "org": ("FLYTE_TASK_ORG", "o", "o"),
    "project": ("FLYTE_TASK_PROJECT", "p", "p"),
    "domain": ("FLYTE_TASK_DOMAIN", "d", "d"),
    "image_builder": ("FLYTE_IMAGE_BUILDER", "remote", "remote"),
    "images": ("FLYTE_IMAGE_IMAGE_REFS", '{"base": "r/i:1"}', {"base": "r/i:1"}),
    "image_registry": ("FLYTE_IMAGE_REGISTRY", "r", "r"),
    "local_persistence": ("FLYTE_LOCAL_PERSISTENCE", "on", True),
    "local_tracked": ("FLYTE_LOCAL_TRACKED", "t", True),
    "local_tracked_strict": ("FLYTE_LOCAL_TRACKED_STRICT", "y", True),
}


@pytest.mark.parametrize("setting", VARIABLES)
def test_argument_then_environment_then_default(setting: str) -> None:
    variable, text, value = VARIABLES[setting]

    found = Config.load({}, {variable: text})
    assert (getattr(found, setting), found.sources[setting]) == (value, f"environment variable {variable}")

    others: dict[type, Any] = {bool: False, str: "given", tuple: ("given",), dict: {"given": "g"}}
    given: Any = "file" if setting == "token_store" else others[type(value)]
    found = Config.load({setting: given}, {variable: text})
    assert (getattr(found, setting), found.sources[setting]) == (given, "argument")

    found = Config.load({setting: None}, {})
    assert (getattr(found, setting), found.sources[setting]) == (getattr(Config(), setting), "default")

    assert Config.load({}, {variable: ""}).sources[setting] == "default"


def test_every_setting_has_a_variable_and_a_source() -> None:
    found = Config.load({}, {variable: text for variable, text, _ in VARIABLES.values()})

    assert set(VARIABLES) == {key.setting for key in KEYS}
    assert found._replace(sources={}) == Config(**{setting: value for setting, (_, _, value) in VARIABLES.items()})
    told = set(found.sources) - {name for name, source in found.sources.items() if source == "default"}
    assert told == set(VARIABLES)
    assert set(found.sources) == set(Config._fields) - {"source", "sources", "searched"}


@pytest.mark.parametrize("text", ["1", "true", "True", " TRUE ", "t", "yes", "y", "on"])
def test_words_for_yes(text: str) -> None:
    assert Config.load({}, {"FLYTE_ADMIN_INSECURE": text}).insecure is True


@pytest.mark.parametrize("text", ["0", "false", "False", " FALSE ", "f", "no", "n", "off"])
def test_words_for_no(text: str) -> None:
    assert Config.load({}, {"FLYTE_ADMIN_INSECURE": text}).insecure is False


@pytest.mark.parametrize("text", ["maybe", "2", "tru", " "])
def test_another_word_names_the_variable(text: str) -> None:
    with pytest.raises(ConfigError, match="FLYTE_ADMIN_INSECURESKIPVERIFY"):
        Config.load({}, {"FLYTE_ADMIN_INSECURESKIPVERIFY": text})


@pytest.mark.parametrize("given", ["false", "0", False, 0])
def test_an_argument_that_says_no_in_text_is_no_yes(given: Any) -> None:
    assert Config.load({"insecure": given}, {}).insecure is False
    assert Config.load({"insecure_skip_verify": given}, {}).insecure_skip_verify is False


def test_an_argument_that_is_neither_yes_nor_no_is_named() -> None:
    with pytest.raises(ConfigError, match=r"insecure is 'maybe' \(from argument\); write true or false"):
        Config.load({"insecure": "maybe"}, {})


@pytest.mark.parametrize("endpoint", [5, b"h"])
def test_an_endpoint_that_is_no_text_says_what_it_is(endpoint: Any) -> None:
    with pytest.raises(ConfigError, match=r"endpoint is (a number|bytes) \(from argument\); write it as text"):
        Config.load({"endpoint": endpoint}, {}).server()


def test_a_setting_that_there_is_none_of() -> None:
    with pytest.raises(ConfigError, match="there is no setting endpont; do you mean endpoint"):
        Config.load({"endpont": "h"}, {})
    with pytest.raises(ConfigError, match=r"there is no setting xyz$"):
        Config().given({"xyz": None})


def test_a_missing_endpoint_says_where_to_set_it() -> None:
    with pytest.raises(ConfigError, match="FLYTE_ADMIN_ENDPOINT"):
        Config().server()


def test_a_bad_endpoint_says_where_it_came_from() -> None:
    with pytest.raises(ConfigError, match=r"\(from environment variable FLYTE_ADMIN_ENDPOINT\)"):
        Config.load({}, {"FLYTE_ADMIN_ENDPOINT": "a b"}).server()
    with pytest.raises(ConfigError) as caught:
        Config.load({"endpoint": "a b"}, {}).server()
    assert "from" not in str(caught.value)


def test_insecure_decides_where_the_endpoint_does_not() -> None:
    assert Config(endpoint="h", insecure=True).server().scheme == "http"
    assert Config(endpoint="https://h", insecure=True).server().scheme == "https"


@pytest.mark.parametrize("url", ["http://me:hid/den@proxy:3128", "me:hid#den@proxy", "http://me:hid?den@proxy:1"])
def test_of_a_proxy_with_an_unquoted_password_nothing_is_shown(url: str) -> None:
    config = Config.load({"http_proxy_url": url}, {})

    assert "hid" not in repr(config) + config.explain()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("flyte.example:app:hidden:org", "'flyte.example:...'"),
        ("https://[::1]:8080:app:hidden:None", "'https://[::1]:...'"),
        ("http://me:hid/den@flyte.example", "'flyte.example'"),
    ],
)
def test_of_an_endpoint_with_more_than_an_address_little_is_shown(text: str, seen: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load({"endpoint": text}, {}).server()

    assert str(caught.value).startswith(f"endpoint {seen} is not an address")
    assert "hid" not in str(caught.value)
    # Nor does the parser's own error, which quotes it, stay with it.
    inner = caught.value.__context__
    assert isinstance(inner, ConfigError)
    assert inner.__context__ is None


class ADictOfTheirs(dict[tuple[str, str], str]):
    def set(self, service: str, name: str, value: str) -> None: ...

    def delete(self, service: str, name: str) -> None: ...


@pytest.mark.parametrize("given", ["memory", "keyring", "file", ADictOfTheirs()])
def test_a_store_of_tokens_is_kept_as_it_was_given(given: Any) -> None:
    assert Config.load({"token_store": given}, {}).token_store is given


@pytest.mark.parametrize("given", ["tokens/of mine", "./memory", Path("memory"), "~/tokens"])
def test_a_folder_of_tokens_is_the_same_wherever_the_program_goes(
    given: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    found = Config.load({"token_store": given}, {}).token_store

    assert found == str(tmp_path / str(given).replace("~/", ""))


@pytest.mark.parametrize("given", ["keyrng", "Memory", b"/tokens", 5, {"get": 1}, object()])
def test_a_store_that_is_none_says_what_there_is(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"'memory', 'keyring', 'file', the path of a folder .* get, set and delete"):
        Config.load({"token_store": given}, {})


def test_a_store_of_the_users_is_shown_by_the_name_of_its_class() -> None:
    config = Config(token_store=ADictOfTheirs({("service", "tokens"): "hid"}))

    assert "ADictOfTheirs" in config.explain("token_store")
    assert "hid" not in repr(config) + config.explain()
    with pytest.raises(TypeError, match="token_store"):
        pickle.dumps(config)
    assert pickle.loads(pickle.dumps(Config(token_store="/tokens"))).token_store == "/tokens"


def test_some_settings_are_explained_alone() -> None:
    config = Config.load({"auth_type": "Pkce"}, {"FLYTE_TASK_PROJECT": "p"})

    assert [line.split() for line in config.explain("auth_type", "headless").splitlines()] == [
        ["auth_type", "Pkce", "argument"],
        ["headless", "-", "default"],
    ]
