"""Scripted faults and the record of calls, on the WSGI application itself."""

from __future__ import annotations

import io
import json
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flyte_lite.devbox._refusal import ConnectionDropped, refusal
from flyte_lite.devbox.calls import Calls, ServedCall
from flyte_lite.devbox.faults import Faults
from flyte_lite.devbox.services import Rpc
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.wsgi import Application
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.project import project_service_pb2 as pb

GET, WATCH = "ProjectService/GetProject", "ProjectService/WatchProjects"


class Served:
    """An application with one unary call and one stream."""

    def __init__(self) -> None:
        self.carried_out = 0
        self.closed = 0
        rpcs = {
            "/" + GET: Rpc(GET, pb.GetProjectRequest, self.get),
            "/" + WATCH: Rpc(WATCH, pb.GetProjectRequest, self.watch, streams=True),
        }
        self.faults = Faults(rpcs)
        self.calls = Calls({rpc.name for rpc in rpcs.values()})
        self.application = Application(rpcs, self.faults, self.calls)

    def get(self, request: pb.GetProjectRequest, _: Call) -> pb.GetProjectResponse:
        self.carried_out += 1
        if request.id == "none":
            raise refusal(Code.NOT_FOUND, "no such project")
        return pb.GetProjectResponse(project={"id": request.id})

    def watch(self, request: pb.GetProjectRequest, _: Call) -> Iterator[pb.GetProjectResponse]:
        self.carried_out += 1
        try:
            for number in range(5):
                yield pb.GetProjectResponse(project={"id": str(number)})
        finally:
            self.closed += 1

    def ask(self, path: str, content_type: str, body: bytes, **headers: str) -> tuple[str, bytes]:
        told: list[str] = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/" + path,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        answer = self.application(environ, lambda status, _: told.append(status))
        return told[0], b"".join(answer)

    def code(self, id: str = "p") -> str:
        status, body = self.ask(GET, "application/json", json.dumps({"id": id}).encode())
        return "ok" if status == "200 OK" else str(json.loads(body)["code"])

    def stream(self) -> tuple[list[str], dict[str, Any]]:
        """The ids that came, and the error."""
        _, rest = self.ask(WATCH, "application/connect+proto", b"\0\0\0\0\0")
        ids, end = [], {}
        while rest:
            flags, length = struct.unpack(">BI", rest[:5])
            data, rest = rest[5 : 5 + length], rest[5 + length :]
            if flags & 2:
                end = json.loads(data)
            else:
                ids.append(pb.GetProjectResponse.FromString(data).project.id)
        return ids, end.get("error", {})


@pytest.fixture
def served() -> Served:
    return Served()


def test_a_failure_meets_as_many_calls_as_it_says(served: Served) -> None:
    served.faults.on(GET).fail("unavailable", "try again", times=2)

    assert [served.code() for _ in range(3)] == ["unavailable", "unavailable", "ok"]
    assert served.carried_out == 1
    assert list(served.faults) == []


def test_faults_follow_one_another(served: Served) -> None:
    served.faults.on(GET).fail("unavailable", times=1).not_found(times=1).fail(Code.ABORTED, times=1)

    assert [served.code() for _ in range(4)] == ["unavailable", "not_found", "aborted", "ok"]


def test_without_a_number_it_goes_on_until_it_is_cleared(served: Served) -> None:
    served.faults.on(GET).fail("internal")

    assert {served.code() for _ in range(5)} == {"internal"}
    assert [repr(fault) for fault in served.faults] == [f"<fail internal on {GET}: every call, met 5>"]
    served.faults.clear()
    assert served.code() == "ok"


def test_a_fault_meets_only_its_own_calls(served: Served) -> None:
    served.faults.on(WATCH).fail("internal", times=1)

    assert served.code() == "ok"
    assert served.stream() == ([], {"code": "internal", "message": "a fault that was asked for"})


def test_a_dropped_call_is_not_carried_out(served: Served) -> None:
    served.faults.on(GET).drop(times=1)

    with pytest.raises(ConnectionDropped):
        served.code()
    assert (served.carried_out, served.code()) == (0, "ok")


@pytest.mark.parametrize("id", ["p", "none"])
def test_a_lost_answer_is_carried_out(served: Served, id: str) -> None:
    served.faults.on(GET).lose_answer(times=1)

    with pytest.raises(ConnectionDropped):
        served.code(id)
    assert served.carried_out == 1


def test_the_answer_of_a_stream_may_be_lost_too(served: Served) -> None:
    served.faults.on(WATCH).lose_answer(times=1)

    with pytest.raises(ConnectionDropped):
        served.stream()
    assert (served.carried_out, served.closed) == (1, 1)


def test_a_delay_comes_before_what_else_happens(served: Served) -> None:
    served.faults.on(GET).delay(0.01).fail("unavailable", times=1)

    assert [served.code(), served.code()] == ["unavailable", "ok"]
    slow = [call.finished - call.started for call in served.calls if call.finished]
    assert len(slow) == 2
    assert min(slow) >= 0.009


def test_a_delay_beyond_the_deadline_is_an_error(served: Served) -> None:
    served.faults.on(GET).delay(30)

    status, body = served.ask(GET, "application/json", b"{}", connect_timeout_ms="20")
    assert (status, json.loads(body)["code"]) == ("504 Gateway Timeout", "deadline_exceeded")
    assert served.carried_out == 0
    assert served.calls[-1].code is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("after", "code", "ids", "error"),
    [
        (0, None, [], {}),
        (2, None, ["0", "1"], {}),
        (2, "unavailable", ["0", "1"], {"code": "unavailable", "message": "gone"}),
        (9, "unavailable", ["0", "1", "2", "3", "4"], {}),
    ],
)
def test_a_stream_may_end_early(served: Served, after: int, code: Any, ids: list[str], error: Any) -> None:
    served.faults.on(WATCH).end_after(after, code, "gone", times=1)

    assert served.stream() == (ids, error)
    assert served.stream()[0] == ["0", "1", "2", "3", "4"]
    assert served.closed >= 1


def test_a_stream_may_lose_messages(served: Served) -> None:
    served.faults.on(WATCH).skip_messages(times=1).skip_messages(2, after=2, times=1).skip_messages(None, after=0)

    assert [served.stream()[0] for _ in range(4)] == [["0", "2", "3", "4"], ["0", "1", "4"], [], []]


def test_lost_messages_do_not_count_for_the_end(served: Served) -> None:
    served.faults.on(WATCH).skip_messages(2, after=1).end_after(2)

    assert served.stream()[0] == ["0", "3"]


def test_what_is_no_rpc_is_told_with_what_is_near(served: Served) -> None:
    with pytest.raises(ValueError, match=r"serves no 'ProjectService/GetProjects'; near are ProjectService/GetProject"):
        served.faults.on("ProjectService/GetProjects")
    with pytest.raises(ValueError, match=r"serves no 'nothing/like/it'$"):
        served.faults.on("nothing/like/it")
    with pytest.raises(ValueError, match="serves no 'GetProject'; near are ProjectService/GetProject"):
        served.calls.of("GetProject")
    assert served.faults.on("/flyteidl2.project.ProjectService/GetProject")


def test_nonsense_is_refused_where_it_is_written(served: Served) -> None:
    with pytest.raises(ValueError, match="'sick' is no code; they are canceled,"):
        served.faults.on(GET).fail("sick")
    with pytest.raises(ValueError, match="GetProject does not stream"):
        served.faults.on(GET).end_after(1)
    with pytest.raises(ValueError, match="GetProject does not stream"):
        served.faults.on(GET).skip_messages()
    with pytest.raises(ValueError, match="times is 1 or more"):
        served.faults.on(GET).drop(times=0)
    with pytest.raises(ValueError, match="0 seconds or more"):
        served.faults.on(GET).delay(-1)
    with pytest.raises(ValueError, match="0 or more, not -1"):
        served.faults.on(WATCH).end_after(-1)
    with pytest.raises(ValueError, match="0 or more, or None, not -1"):
        served.faults.on(WATCH).skip_messages(-1)
    assert len(served.faults) == 0


def test_calls_are_kept_with_what_was_asked_and_answered(served: Served) -> None:
    served.ask(GET, "application/json", b'{"id":"p"}', x_request_id="r1")
    served.ask(GET, "application/grpc-web", b"\0\0\0\0\0")
    served.stream()
    served.code("none")
    served.ask(GET, "application/proto", b"\xff")

    assert [(call.rpc, call.protocol, call.codec) for call in served.calls] == [
        (GET, "connect", "json"),
        (GET, "grpc-web", "proto"),
        (WATCH, "connect", "proto"),
        (GET, "connect", "json"),
        (GET, "connect", "proto"),
    ]
    first, _, stream, refused, unread = served.calls
    assert first.request == pb.GetProjectRequest(id="p")
    assert first.response == pb.GetProjectResponse(project={"id": "p"})
    assert first.headers["x-request-id"] == "r1"
    assert first.finished is not None
    assert first.started <= first.finished
    assert (first.code, first.dropped) == (None, False)
    assert [message.project.id for message in stream.responses] == ["0", "1", "2", "3", "4"]
    assert (refused.code, refused.error, refused.response) == (Code.NOT_FOUND, "no such project", None)
    assert (unread.code, unread.request) == (Code.INVALID_ARGUMENT, None)
    assert [repr(call) for call in served.calls.of(GET)][:1] == [f"<{GET} by connect in json: ok>"]
    assert len(served.calls.of("flyteidl2.project.ProjectService/GetProject")) == 4


def test_a_lost_answer_is_kept_as_dropped(served: Served) -> None:
    served.faults.on(GET).lose_answer(times=1)
    with pytest.raises(ConnectionDropped):
        served.code()

    (call,) = served.calls
    assert (call.dropped, call.code, call.request.id) == (True, None, "p")
    assert repr(call).endswith(": dropped>")


def test_a_stream_that_nobody_reads_to_its_end_is_kept_as_dropped(served: Served) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/" + WATCH,
        "CONTENT_TYPE": "application/connect+proto",
        "wsgi.input": io.BytesIO(b"\0\0\0\0\0"),
    }
    body = iter(served.application(environ, lambda *_: None))
    next(body)
    assert repr(served.calls[0]).endswith(": going on>")
    body.close()  # type: ignore[attr-defined]

    assert (served.calls[0].dropped, len(served.calls[0].responses), served.closed) == (True, 1, 1)


def test_only_so_many_calls_and_bytes_are_kept() -> None:
    kept = Calls([GET], calls=10, size=940, responses=3)
    for number in range(25):
        call = ServedCall(GET, "connect", "proto", {"number": str(number)})
        kept.begin(call)
        kept.asked(call, pb.GetProjectRequest(id="x"))
    assert [call.headers["number"] for call in kept] == [str(number) for number in range(15, 25)]

    for _ in range(5):
        kept.answered(call, pb.GetProjectResponse(project={"id": "y" * 300}))
    # Three answers of 306 bytes; of the others only as many requests of 3 bytes as have room beside them.
    assert (len(kept), len(call.responses)) == (7, 3)
    kept.clear()
    kept.answered(call, pb.GetProjectResponse())
    assert (len(kept), kept._bytes) == (0, 0)


def test_many_threads_may_be_served_at_once(served: Served) -> None:
    served.faults.on(GET).fail("unavailable", times=50)
    codes: list[str] = []

    def ask() -> None:
        codes.extend(served.code() for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (codes.count("unavailable"), codes.count("ok"), len(served.calls)) == (50, 110, 160)
