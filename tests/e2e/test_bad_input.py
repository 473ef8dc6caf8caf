"""Whatever a person may get wrong: one paragraph that names the cause and the remedy."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox
from flyte_lite.errors import (
    ConfigError,
    ConnectFailedError,
    EndpointError,
    FlyteLiteError,
    InputsError,
    NotFoundError,
    OptionError,
    RemoteTaskNotFoundError,
)


def hello(client: Client, **inputs: Any) -> None:
    client.run(client.tasks.get("greetings.hello", version="v1"), **inputs)


CASES: dict[str, tuple[Callable[[Client], Any], type[Exception], list[str]]] = {
    "unknown task": (
        lambda client: client.run(client.tasks.get("greetings.helo", auto_version="latest")),
        RemoteTaskNotFoundError,
        ["greetings.helo is not deployed in project flytesnacks, domain development", "greetings.hello"],
    ),
    "unknown version": (
        lambda client: client.run(client.tasks.get("greetings.hello", version="v9")),
        RemoteTaskNotFoundError,
        ["greetings.hello version v9 is not deployed", "newest versions are v1", 'auto_version="latest"'],
    ),
    "wrong project": (
        lambda client: client.run(client.tasks.get("greetings.hello", project="flytesnaks", auto_version="latest")),
        RemoteTaskNotFoundError,
        ["not deployed in project flytesnaks", "check project and domain"],
    ),
    "a project that is not there for the run": (
        lambda client: client.with_runcontext(project="nowhere").run(
            client.tasks.get("greetings.hello", version="v1"), name="x"
        ),
        NotFoundError,
        ["nowhere", "not found"],
    ),
    "wrong type": (
        lambda client: hello(client, name="Ada", times="two"),
        InputsError,
        ["times: expected int, got str 'two'", "(name: str, times: int = default)", "Nothing was created"],
    ),
    "bool for an int": (
        lambda client: hello(client, name="Ada", times=True),
        InputsError,
        ["times: expected int, got bool True"],
    ),
    "missing input": (hello, InputsError, ["name is missing (str)"]),
    "surplus input": (
        lambda client: hello(client, name="Ada", time=2),
        InputsError,
        ["time is unknown (did you mean times?)"],
    ),
    "unknown run": (
        lambda client: client.runs.get("nosuchrun"),
        NotFoundError,
        ["RunService/GetRunDetails at http://127.0.0.1", "nosuchrun"],
    ),
    "31-character run name": (
        lambda client: client.with_runcontext(name="a" * 31).run(client.tasks.get("greetings.hello", version="v1")),
        OptionError,
        ["(31 characters)", "1 to 30 lower-case letters"],
    ),
    "no project": (
        lambda client: Client(client.endpoint, domain="development").tasks.get("greetings.hello", version="v1"),
        ConfigError,
        ["no project is set", "FLYTE_TASK_PROJECT"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_names_cause_and_remedy(client: Client, case: str) -> None:
    act, kind, parts = CASES[case]

    with pytest.raises(kind) as caught:
        act(client)

    text = str(caught.value)
    assert isinstance(caught.value, FlyteLiteError)
    assert [part for part in parts if part not in text] == []
    assert "\n" not in text
    assert len(text) < 700


def test_nothing_was_created_by_any_of_them(box: Devbox) -> None:
    with Client(box.endpoint, project="flytesnacks", domain="staging") as client:
        context = client.with_runcontext(name="must-not-be-there")
        with pytest.raises(InputsError):
            context.run(client.tasks.get("greetings.hello", domain="development", version="v1"), times="x")
        with pytest.raises(NotFoundError):
            client.runs.get("must-not-be-there")


def test_a_closed_port() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = Client(f"http://127.0.0.1:{port}", project="p", domain="d", timeout=2)

        with pytest.raises(
            ConnectFailedError, match=rf"can't connect to 127\.0\.0\.1:{port}: .*is the server up"
        ) as caught:
            client.runs.get("r1")
    assert caught.value.sent is False


def test_no_endpoint() -> None:
    with pytest.raises(ConfigError, match=r"init\(endpoint=\.\.\.\).*FLYTE_ADMIN_ENDPOINT"):
        Client()


class Page(http.server.BaseHTTPRequestHandler):
    """A web server that is not Flyte."""

    answer: tuple[int, str, bytes, Optional[str]]

    def do_POST(self) -> None:
        status, media, body, location = self.answer
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Callable[..., Client]]:
    servers = []
    clients = []

    def serve(status: int, media: str, body: bytes, location: Optional[str] = None) -> Client:
        handler = type("Handler", (Page,), {"answer": (status, media, body, location)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        clients.append(Client(f"http://127.0.0.1:{server.server_port}", project="p", domain="d", timeout=5))
        return clients[-1]

    yield serve
    for client in clients:
        client.close()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_html_from_a_web_server(web: Callable[..., Client]) -> None:
    page = b"<html><head><title>Sign in</title><script>var a</script></head><body>Welcome to Example Corp</body></html>"
    client = web(200, "text/html; charset=utf-8", page)

    with pytest.raises(EndpointError) as caught:
        client.runs.get("r1")

    text = str(caught.value)
    assert "what answered is not Flyte (HTTP 200 OK, text/html, server BaseHTTP" in text
    assert "a web page" in text
    assert 'It begins: "Sign in Welcome to Example Corp"' in text
    assert "RunService/GetRunDetails at http://127.0.0.1" in text


def test_a_redirect_is_not_followed(web: Callable[..., Client]) -> None:
    client = web(302, "text/html", b"", "https://login.example.com/oauth?code=secret")

    with pytest.raises(
        EndpointError, match=r"redirects to https://login\.example\.com/oauth, which is never followed"
    ) as caught:
        client.runs.get("r1")
    assert "secret" not in str(caught.value)
