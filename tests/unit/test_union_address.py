"""What a `uri` of union.remote may be, and what is said of any other."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeChannel

from flyte_lite._http.origin import Origin
from flyte_lite._session import Scope, Session
from flyte_lite.union._address import Address, Kind, address_of


def session(console: str = "https://flyte.example.com", host: str = "flyte.example.com", port: int = 443) -> Session:
    channel: Any = FakeChannel()
    channel.origin = Origin("https", host, port)
    return Session(channel, Scope("", "p", "d"), console)


HERE = "https://flyte.example.com"
RUN = Address("r1", "proj", "dev")
TASK = Address("env.hello", "proj", "dev")


@pytest.mark.parametrize(
    ("uri", "there"),
    [
        (f"{HERE}/v2/domain/dev/project/proj/runs/r1", RUN),
        (f"{HERE}/v2/domain/dev/project/proj/runs/r1/", RUN),
        (f"{HERE}/v2/domain/dev/project/proj/runs/r1?i=a0&tab=logs#end", RUN),
        (f"{HERE}/domain/dev/project/proj/runs/r1", RUN),
        (f"{HERE}/v2/runs/project/proj/domain/dev/r1", RUN),
        (f"{HERE}/console/projects/proj/domains/dev/executions/r1", RUN),
        (f"{HERE}/console/projects/proj/domains/dev/executions/r1/nodes", RUN),
        (f"{HERE}/projects/proj/domains/dev/executions/r1", RUN),
        (f"{HERE}/org/acme/projects/proj/domains/dev/executions/r1", RUN._replace(org="acme")),
        (f"{HERE}/console/org/acme/projects/proj/domains/dev/executions/r1", RUN._replace(org="acme")),
        (f"{HERE}/v2/org/acme/domain/dev/project/proj/runs/r1", RUN._replace(org="acme")),
        ("http://FLYTE.example.com:8080/v2/domain/dev/project/proj/runs/r1", RUN),
        ("flyte.example.com/v2/domain/dev/project/proj/runs/r1", RUN),
        ("/v2/domain/dev/project/proj/runs/r1", RUN),
        (" acme/proj/dev/r1\n", RUN._replace(org="acme")),
        ("proj/dev/r1", RUN),
        ("r1", Address("r1")),
        (f"{HERE}/v2/domain/d%20e/project/p%2Fq/runs/r1", Address("r1", "p/q", "d e")),
    ],
)
def test_a_run_s_uri(uri: str, there: Address) -> None:
    assert address_of("run", uri, session()) == there


@pytest.mark.parametrize(
    ("uri", "there"),
    [
        (f"{HERE}/v2/domain/dev/project/proj/tasks/env.hello", TASK),
        (f"{HERE}/v2/domain/dev/project/proj/tasks/env.hello/version/v1", TASK._replace(version="v1")),
        (f"{HERE}/v2/tasks/project/proj/domain/dev/env.hello", TASK),
        (f"{HERE}/console/projects/proj/domains/dev/tasks/env.hello", TASK),
        (f"{HERE}/console/projects/proj/domains/dev/task/env.hello/version/v1", TASK._replace(version="v1")),
        (
            f"{HERE}/org/acme/projects/proj/domains/dev/task/env.hello/version/v1",
            TASK._replace(org="acme", version="v1"),
        ),
        ("acme/proj/dev/env.hello", TASK._replace(org="acme")),
        ("proj/dev/env.hello", TASK),
        ("env.hello", Address("env.hello")),
    ],
)
def test_a_task_s_uri(uri: str, there: Address) -> None:
    assert address_of("task", uri, session()) == there


@pytest.mark.parametrize("kind", ["run", "task"])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "a/b",
        "a//b/c",
        "a/b/c/d/e",
        HERE,
        f"{HERE}/v2/domain/dev/project/proj",
        f"{HERE}/v2/domain/dev/project/proj/apps/a1",
        f"{HERE}/v2/domain/dev/project/proj/runs/",
        f"{HERE}/console/projects/proj/domains/dev/workflows/w1",
        "ftp://flyte.example.com/v2/domain/dev/project/proj/runs/r1",
        "https://[flyte/v2/domain/dev/project/proj/runs/r1",
        3,
        None,
    ],
)
def test_what_is_none_is_told_what_would_be_one(kind: Kind, uri: Any) -> None:
    with pytest.raises(ValueError, match=rf"^uri .*org/project/domain/{kind}"):
        address_of(kind, uri, session())


def test_the_page_of_another_kind_is_none() -> None:
    with pytest.raises(ValueError, match="is not the address of a task; give one of https://host/v2/domain/D"):
        address_of("task", f"{HERE}/v2/domain/dev/project/proj/runs/r1", session())


def test_the_page_of_another_server_is_refused() -> None:
    uri = "https://other.example.com/v2/domain/dev/project/proj/runs/r1"

    with pytest.raises(ValueError, match=r"is a page of other.example.com, but this session talks to https://flyte"):
        address_of("run", uri, session())


def test_the_console_may_be_on_another_host_than_the_api() -> None:
    uri = "https://console.example.com/v2/domain/dev/project/proj/runs/r1"

    assert address_of("run", uri, session(console="https://console.example.com")) == RUN


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_has_several_names(host: str) -> None:
    here = session(console="http://localhost:8080", host="localhost", port=8090)

    assert address_of("run", f"http://{host}:8080/v2/domain/dev/project/proj/runs/r1", here) == RUN


@pytest.mark.parametrize(
    "uri",
    [
        "https://ada:s3cret@other.example.com/v2/domain/dev/project/proj/runs/r1?signature=s3cret",
        "https://ada:s3cret@flyte.example.com/nowhere?signature=s3cret#s3cret",
    ],
)
def test_no_password_and_no_signature_is_shown(uri: str) -> None:
    with pytest.raises(ValueError, match=r"example\.com") as caught:
        address_of("run", uri, session())

    assert "s3cret" not in str(caught.value)
