"""DataProxyService.CreateDownloadLink, and what the object store makes of the addresses it gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from devbox_services import CALL, Services, action_id

from flyte_lite import errors
from flyte_lite.devbox.clock import DevboxClock
from flyte_lite.devbox.object_store import ObjectStore
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.state import State
from flyte_lite.devbox.wsgi import Application
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2 as pb
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2

RUNNING, SUCCEEDED = phase_pb2.ACTION_PHASE_RUNNING, phase_pb2.ACTION_PHASE_SUCCEEDED
URI = "s3://flyte-data/ab/flytesnacks/development/r1/a0/1/report.html"
BODY = b"<p>0123456789</p>"


class Given(NamedTuple):
    """What the store answered."""

    status: str
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(b"<Code>(.*)</Code>", self.body)
        assert found is not None
        return found[1].decode()


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    made.deploy()
    made.create()
    made.event(RUNNING, at=1, outputs={"report_uri": URI})
    made.state.objects.put(URI, BODY, "text/html")
    yield made
    made.state.close()


def request(attempt: int = 1, run: str = "r1", **more: Any) -> pb.CreateDownloadLinkRequest:
    made = pb.CreateDownloadLinkRequest(artifact_type=pb.ARTIFACT_TYPE_REPORT, **more)
    made.action_attempt_id.action_id.CopyFrom(action_id(run=run))
    made.action_attempt_id.attempt = attempt
    return made


def link(box: Services, asked: pb.CreateDownloadLinkRequest, call: Call = CALL) -> str:
    (url,) = box.data.create_download_link(asked, call).pre_signed_urls.signed_url
    return url


def get(box: Services, url: str, method: str = "GET", **headers: str) -> Given:
    """Ask the application, as its server would."""
    parts, begun = urlsplit(url), []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote(parts.path, "latin-1"),
        "QUERY_STRING": parts.query,
        "HTTP_HOST": parts.netloc,
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
    application = Application({}, store=ObjectStore(box.state))
    body = application(environ, lambda status, headers: begun.append((status, dict(headers))))
    return Given(*begun[0], b"".join(body))


def test_the_report_is_at_the_address(box: Services) -> None:
    given = get(box, link(box, request()))

    assert (given.status, given.body) == ("200 OK", BODY)
    assert given.headers["Content-Type"] == "text/html"
    assert given.headers["Content-Length"] == str(len(BODY))
    assert given.headers["ETag"] == f'"{hashlib.md5(BODY).hexdigest()}"'


@pytest.mark.parametrize(
    ("headers", "begin"),
    [
        ({"host": "localhost:30080"}, "http://localhost:30080/flyte-data/"),
        ({"host": "flyte.example.com", "x-forwarded-proto": "https"}, "https://flyte.example.com/flyte-data/"),
        ({"host": "[::1]:80"}, "http://[::1]:80/flyte-data/"),
    ],
)
def test_it_is_on_the_host_that_was_asked(box: Services, headers: dict[str, str], begin: str) -> None:
    assert link(box, request(), Call(headers)).startswith(begin)


def test_it_is_good_for_an_hour_or_as_long_as_is_wanted(box: Services) -> None:
    short = request()
    short.expires_in.FromSeconds(60)
    before = box.state.now()

    told = box.data.create_download_link(short, CALL).pre_signed_urls

    assert "&X-Amz-Expires=60&" in told.signed_url[0]
    assert 60e6 <= told.expires_at.ToMicroseconds() - before < 70e6
    assert "&X-Amz-Expires=3600&" in link(box, request())


def test_it_may_be_wanted_for_ever_though_the_store_knows_better(box: Services) -> None:
    url = link(box, request(expires_in={"seconds": 300_000_000_000}))

    assert get(box, url).code == "AuthorizationQueryParametersError"


def test_one_that_has_expired_says_so_by_the_devbox_s_clock() -> None:
    clock = DevboxClock()
    box = Services(clock)
    box.state.objects.put(URI, BODY, "text/html")
    url = ObjectStore(box.state).address("http://localhost:1", "GET", URI, 60)
    assert get(box, url).status == "200 OK"

    clock.advance(61)

    given = get(box, url)
    assert (given.status, given.code) == ("403 Forbidden", "AccessDenied")
    assert b"<Message>Request has expired</Message><X-Amz-Expires>60</X-Amz-Expires><Expires>" in given.body
    box.state.close()


def test_addresses_outlive_a_restart(tmp_path: Path) -> None:
    clock = DevboxClock()
    clock.stop()
    urls = []
    for folder in (tmp_path / "one", tmp_path / "one", tmp_path / "other"):
        state = State(clock, folder)
        urls.append(ObjectStore(state).address("http://localhost:1", "GET", URI, 60))
        state.close()

    assert urls[0] == urls[1] != urls[2]


def test_addresses_do_not_outlive_a_reset(box: Services) -> None:
    url = link(box, request())
    assert get(box, url).status == "200 OK"

    box.state.clear()

    given = get(box, url)
    assert (given.status, given.code) == ("403 Forbidden", "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        (request(2), errors.NotFoundError, 'attempt 2 not found for action [run:{project:"flytesnacks" domain:'),
        (request(0), errors.NotFoundError, "attempt 0 not found for action ["),
        (request(run="other"), errors.NotFoundError, "failed to get action details: not_found: action not found"),
        (pb.CreateDownloadLinkRequest(), errors.InvalidArgumentError, "artifact_type is required"),
        (
            pb.CreateDownloadLinkRequest(artifact_type=pb.ARTIFACT_TYPE_CODE_BUNDLE, task_id={"name": "x"}),
            errors.InvalidArgumentError,
            "artifact_type is required",
        ),
        (
            pb.CreateDownloadLinkRequest(artifact_type=pb.ARTIFACT_TYPE_REPORT),
            errors.InvalidArgumentError,
            "action_attempt_id is required",
        ),
        (request(expires_in={"seconds": 0}), errors.InternalError, "failed to create signed URL"),
    ],
    ids=["attempt 2", "attempt 0", "run", "no type", "code", "no source", "no time"],
)
def test_what_is_refused(
    box: Services, asked: pb.CreateDownloadLinkRequest, error: type[errors.CallError], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        box.data.create_download_link(asked, CALL)


def test_an_attempt_may_have_no_report(box: Services) -> None:
    box.create("r2")
    uri = URI.replace("r1", "r2")
    box.state.events.add(_event("r2", report_uri=uri))

    with pytest.raises(errors.NotFoundError, match=re.escape(f"artifact not found at [{uri}]")):
        box.data.create_download_link(request(run="r2"), CALL)


def test_an_event_may_tell_of_no_report(box: Services) -> None:
    box.create("r2")
    box.state.events.add(_event("r2"))

    with pytest.raises(errors.NotFoundError, match="report not found"):
        box.data.create_download_link(request(run="r2"), CALL)


def _event(run: str, **outputs: str) -> Any:
    return run_definition_pb2.ActionEvent(id=action_id(run=run), attempt=1, phase=RUNNING, outputs=outputs)


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-2", "206 Partial Content", BODY[:3], "bytes 0-2/17"),
        ("bytes=3-", "206 Partial Content", BODY[3:], "bytes 3-16/17"),
        ("bytes=-4", "206 Partial Content", BODY[-4:], "bytes 13-16/17"),
        ("bytes=-99", "206 Partial Content", BODY, "bytes 0-16/17"),
        ("bytes=16-99", "206 Partial Content", BODY[-1:], "bytes 16-16/17"),
        ("bytes=2-1", "200 OK", BODY, None),
        ("bytes=0-1,3-4", "200 OK", BODY, None),
        ("letters=1-2", "200 OK", BODY, None),
        ("bytes=-", "200 OK", BODY, None),
    ],
)
def test_a_part_can_be_had(box: Services, asked: str, status: str, body: bytes, told: str) -> None:
    given = get(box, link(box, request()), range=asked)

    assert (given.status, given.body, given.headers.get("Content-Range")) == (status, body, told)


@pytest.mark.parametrize("asked", ["bytes=17-", "bytes=99-100", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(box: Services, asked: str) -> None:
    given = get(box, link(box, request()), range=asked)

    assert (given.status, given.code) == ("416 Range Not Satisfiable", "InvalidRange")
    assert b"<ActualObjectSize>17</ActualObjectSize>" in given.body


def test_an_empty_object_is_one(box: Services) -> None:
    box.state.objects.put(URI, b"", "text/html")
    url = link(box, request())

    assert get(box, url)[::2] == ("200 OK", b"")
    assert get(box, url, range="bytes=0-").status == "416 Range Not Satisfiable"


def test_a_head_has_no_body_and_a_signature_of_its_own(box: Services) -> None:
    store = ObjectStore(box.state)

    given = get(box, store.address("http://localhost:1", "HEAD", URI, 60), "HEAD")

    assert (given.status, given.headers["Content-Length"], given.body) == ("200 OK", "17", b"")
    assert get(box, link(box, request()), "HEAD").status == "403 Forbidden"


def test_what_is_gone_is_no_such_key(box: Services) -> None:
    url = ObjectStore(box.state).address("http://localhost:1", "GET", "s3://flyte-data/a b/\u00fc&<", 60)

    given = get(box, url)

    assert (given.status, given.code) == ("404 Not Found", "NoSuchKey")
    assert given.headers["Content-Type"] == "application/xml"
    assert "<Key>a b/\u00fc&amp;&lt;</Key>" in given.body.decode()


def test_only_reading_is_allowed(box: Services) -> None:
    given = get(box, link(box, request()), "DELETE")

    assert (given.status, given.code, given.headers["Allow"]) == (
        "405 Method Not Allowed",
        "MethodNotAllowed",
        "GET, HEAD",
    )


def test_without_a_signature_nothing_is_given(box: Services) -> None:
    given = get(box, link(box, request()).partition("?")[0])

    assert (given.status, given.code) == ("403 Forbidden", "AccessDenied")
