"""`flyte-lite get config`, and the words of `doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flyte_lite._cli import main

FILE = """\
admin:
  endpoint: dns:///flyte.test
  clientId: app
  clientSecretEnvVar: THE_SECRET
  httpProxyURL: http://user:hidden@proxy.test:3128
  command: [tell-token, --password, hidden]
task:
  project: p
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("THE_SECRET", "hidden")
    return tmp_path


@pytest.fixture
def yaml() -> None:
    pytest.importorskip("yaml", reason="files need PyYAML, which is not here")


@pytest.mark.usefixtures("yaml")
def test_every_setting_is_shown_with_its_source_and_no_secret(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.yaml").write_text(FILE)

    assert main(["get", "config"]) == 0

    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "flyte.test" in rows["endpoint"]
    assert "config.yaml" in rows["endpoint"]
    assert "THE_SECRET" in rows["client_credentials_secret"]
    assert rows["domain"].split() == ["domain", "-", "default"]
    assert "proxy.test:3128" in rows["http_proxy_url"]
    assert "hidden" not in out


@pytest.mark.usefixtures("yaml")
def test_a_program_reads_the_same(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "other.yaml").write_text(FILE)
    monkeypatch.setenv("FLYTE_TASK_DOMAIN", "production")

    assert main(["get", "config", "--config", "other.yaml", "--json"]) == 0

    out = capsys.readouterr().out
    told = json.loads(out)
    assert told["file"] == "other.yaml"
    assert told["settings"]["project"]["value"] == "p"
    assert told["settings"]["domain"] == {"value": "production", "source": "environment variable FLYTE_TASK_DOMAIN"}
    assert told["settings"]["org"]["value"] is None
    assert "hidden" not in out


def test_without_a_file_it_says_where_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "config", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["file"] is None
    assert "~/.flyte/config.yaml" in told["searched"]


@pytest.mark.usefixtures("yaml")
def test_a_wrong_file_is_an_error_with_its_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.yaml").write_text("admin:\n  insecure: perhaps\n")

    assert main(["get", "config"]) == 1

    assert "config.yaml:2" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_timeout_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", f"--timeout={text}"])

    assert caught.value.code == 2
    assert "seconds above 0" in capsys.readouterr().err
