"""Reports that tasks write: when they are there, and what is in them."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit

import pytest
from devbox_client import Client, tell, wait_for

from flyte_lite.devbox import Devbox, report
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2 as pb
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

RUNNING, SUCCEEDED, FAILED = (
    phase_pb2.ACTION_PHASE_RUNNING,
    phase_pb2.ACTION_PHASE_SUCCEEDED,
    phase_pb2.ACTION_PHASE_FAILED,
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Devbox() as box:

        @box.task(name="reports.describe", version="v1")
        def describe(title: str) -> int:
            report.log(f"<h1>{title}</h1>")
            report.get_tab("a & b").log("<p>one</p>")
            report.get_tab("a & b").replace("<p>two</p>")
            report.log("<p>\ud83d\ude00 {curly}</p>".encode("utf-16", "surrogatepass").decode("utf-16"))
            return 1

        @box.task(name="reports.silent", version="v1")
        def silent() -> None:
            report.get_tab("empty")
            report.flush()

        @box.task(name="reports.broken", version="v1", retries=1)
        def broken() -> None:
            report.log(f"attempt {os.environ['FLYTE_ATTEMPT_NUMBER']}")
            raise ValueError("no good")

        @box.task(name="reports.stepwise", version="v1")
        def stepwise(gate: str) -> None:
            report.log("first", do_flush=True)
            while not Path(gate).exists():
                time.sleep(0.005)
            report.replace("second", do_flush=True)
            report.log("never stored")
            os._exit(3)

        @box.task(name="reports.forked", version="v1")
        def forked() -> str:
            told, tells = os.pipe()
            report.log("logged")
            if not os.fork():
                try:
                    report.log("nobody sees this", do_flush=True)
                except RuntimeError as error:
                    os.write(tells, str(error).encode())
                finally:
                    os._exit(0)
            os.wait()
            return os.read(told, 1000).decode()

        yield Client(box)


def link(client: Client, run: str, attempt: int = 1) -> str:
    request = pb.CreateDownloadLinkRequest(artifact_type=pb.ARTIFACT_TYPE_REPORT)
    request.action_attempt_id.attempt = attempt
    id = request.action_attempt_id.action_id
    id.run.project, id.run.domain, id.run.name, id.name = "flytesnacks", "development", run, "a0"
    path = "dataproxy.DataProxyService/CreateDownloadLink"
    (url,) = client.call(path, request, pb.CreateDownloadLinkResponse).pre_signed_urls.signed_url
    return str(url)


def has_report(client: Client, run: str) -> bool:
    try:
        return bool(link(client, run))
    except AssertionError:
        return False


def page(client: Client, run: str, attempt: int = 1) -> str:
    parts = urlsplit(link(client, run, attempt))
    assert f"{parts.scheme}://{parts.netloc}" == client.box.endpoint
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html")
    return text


def attempt(action: run_definition_pb2.ActionDetails) -> run_definition_pb2.ActionAttempt:
    return action.attempts[-1]


def test_it_is_a_page_with_all_that_was_logged(client: Client) -> None:
    action = client.run("reports.describe", title="Numbers")

    text = page(client, action.id.run.name)

    assert text.startswith("<!doctype html>")
    assert text.index("<h1>Numbers</h1>") < text.index("<p>\U0001f600 {curly}</p>") < text.index("<h2>a &amp; b</h2>")
    assert "<p>two</p>" in text
    assert "<p>one</p>" not in text
    assert "<h2>main</h2>" not in text


def test_it_is_beside_the_outputs(client: Client) -> None:
    outputs = attempt(client.run("reports.describe", title="x")).outputs

    assert outputs.report_uri == outputs.output_uri.replace("outputs.pb", "report.html")


def test_an_address_is_told_even_if_nothing_was_logged(client: Client) -> None:
    action = client.run("reports.silent")

    assert attempt(action).outputs.report_uri
    with pytest.raises(AssertionError, match=r"artifact not found at \[s3://flyte-data/.*/a0/1/report.html\]"):
        link(client, action.id.run.name)


def test_each_attempt_has_its_own_also_if_it_fails(client: Client) -> None:
    action = client.run("reports.broken")

    assert action.status.phase == FAILED
    for number in (1, 2):
        assert f"\nattempt {number - 1}\n" in page(client, action.id.run.name, number)


def test_what_was_flushed_is_there_at_once_and_for_good(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = client.create("reports.stepwise", gate=str(gate))
    assert wait_for(lambda: client.action(run).status.phase == RUNNING)
    assert wait_for(lambda: has_report(client, run))
    assert "\nfirst\n" in page(client, run)

    tell(str(gate), "")

    client.until(run, FAILED)
    text = page(client, run)
    assert "\nsecond\n" in text
    assert "first" not in text
    assert "never stored" not in text


def test_the_store_is_asked_over_one_connection(client: Client) -> None:
    run = client.run("reports.describe", title="x").id.run.name
    parts = urlsplit(link(client, run))
    target = f"{parts.path}?{parts.query}"
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)

    def ask(method: str, target: str, body: Optional[bytes] = None, **headers: str) -> tuple[int, bytes]:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read()

    status, whole = ask("GET", target)
    assert (status, whole[:15]) == (200, b"<!doctype html>")
    assert ask("HEAD", target) == (403, b"")
    assert ask("GET", target, Range="bytes=2-8") == (206, b"doctype")
    status, told = ask("PUT", target, b"something else")
    assert (status, b"<Code>MethodNotAllowed</Code>" in told) == (405, True)
    status, told = ask("GET", target.replace("report.html", "../a0/1/report.html"))
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in told) == (403, True)
    status, told = ask("GET", parts.path)
    assert (status, b"<Code>AccessDenied</Code>" in told) == (403, True)
    assert ask("GET", target) == (200, whole)
    connection.close()


def test_an_address_that_has_expired_says_so(client: Client) -> None:
    parts = urlsplit(link(client, client.run("reports.describe", title="x").id.run.name))
    client.box.clock.advance(3601)
    try:
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        told = response.read()
        connection.close()
    finally:
        client.box.clock.reset()

    assert (response.status, response.headers["Content-Type"]) == (403, "application/xml")
    assert b"<Message>Request has expired</Message>" in told


def test_signatures_are_not_kept_with_calls(client: Client) -> None:
    url = link(client, client.run("reports.describe", title="x").id.run.name)

    (kept,) = client.box.calls.of("DataProxyService/CreateDownloadLink")[-1].response.pre_signed_urls.signed_url

    assert kept == url[:-64] + "." * 64


def test_a_forked_process_has_no_report(client: Client) -> None:
    action = client.run("reports.forked")

    assert client.outputs(action)["o0"].startswith("only the process that the devbox started can store its report")
    text = page(client, action.id.run.name)
    assert "logged" in text
    assert "nobody sees this" not in text


def test_outside_a_task_nothing_happens() -> None:
    report.log("<p>nobody reads this</p>", do_flush=True)
    with pytest.raises(ValueError, match="there is no tab 'other' in this report"):
        report.get_tab("other", create_if_missing=False)
    report.replace("")
    assert report.get_tab("main").get_html() == ""
