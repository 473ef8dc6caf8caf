"""A devbox that is sent requests that are nearly right, and what must not come of it."""

from __future__ import annotations

import logging
import re
import socket
from pathlib import Path

from devbox_requests import Fuzzer

from flyte_lite import Client
from flyte_lite.devbox import Devbox

# What the real server answers with these too; a defect of the devbox says so in its text.
CODES_OF_5XX = {"unknown", "internal", "unimplemented", "deadline_exceeded", "unavailable"}


class Report:
    """What came of it.

    Attributes:
        statuses: How often each came; 0 is no answer.
        faults: What must not be, with the number of the request.
    """

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.faults: list[str] = []


def attack(box: Devbox, seed: int, count: int, start: int = 0) -> Report:
    """Send `count` requests, one after the other, each on a connection of its own."""
    fuzzer, report = Fuzzer(seed), Report()
    host, _, port = box.endpoint.partition("//")[2].rpartition(":")
    logged = _Errors()
    logging.getLogger("flyte_lite.devbox").addHandler(logged)
    try:
        for number in range(start, start + count):
            request = fuzzer.request(number)
            try:
                answer = _answer((host, int(port)), request)
            except ConnectionRefusedError:
                report.faults.append(f"{number}: nobody listens any more")
                break
            for status, fault in _judged(answer):
                report.statuses[status] = report.statuses.get(status, 0) + 1
                if fault:
                    report.faults.append(f"{number}: {fault}: {request[:300]!r} -> {answer[:600]!r}")
            if logged.texts:
                report.faults.append(f"{number}: logged {logged.texts.pop()}: {request[:300]!r}")
                logged.texts.clear()
    finally:
        logging.getLogger("flyte_lite.devbox").removeHandler(logged)
    return report


def _answer(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        received = b""
        try:
            connection.sendall(request)
            # Nothing more comes: what waits for more is told so.
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except socket.timeout as error:
            raise AssertionError("the devbox does not answer") from error
        except OSError:
            # It did not want the rest.
            pass
        return received


def _judged(answer: bytes) -> list[tuple[int, str]]:
    """Status and fault of each answer in what came."""
    if not answer:
        return [(0, "")]
    found = []
    for part in re.split(rb"(?=HTTP/1\.[01] \d{3} )", answer):
        if not part:
            continue
        status = int(part[9:12]) if re.match(rb"HTTP/1\.[01] \d{3} ", part) else -1
        fault = ""
        text = part.replace(b"+", b" ")
        if b"Traceback" in text or (b".py" in text and b"line " in text):
            fault = "a traceback"
        elif b"the devbox failed" in text:
            fault = "a defect"
        elif status < 0:
            fault = "no HTTP"
        elif status >= 500 and status != 505:
            found_code = re.search(rb'"code":"(\w+)"', part)
            known = found_code is not None and found_code[1].decode() in CODES_OF_5XX
            # What the HTTP server itself has not got.
            if not known and status != 501:
                fault = f"HTTP {status}"
        found.append((status, fault))
    return found


def survives(folder: Path, seed: int, count: int) -> None:
    """Attack a devbox, and then look whether it is as good as before."""
    print(f"DEVBOX_FUZZ_SEED={seed}, {count} requests")
    with Devbox(state=folder) as box:

        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        report = attack(box, seed, count)
        print(f"answers: {dict(sorted(report.statuses.items()))}")
        assert report.faults == []
        # Most of them are understood, or nothing much was tried.
        assert report.statuses[200] > count / 10

        assert [tuple(row) for row in box._state.database.all("PRAGMA integrity_check")] == [("ok",)]
        with Client(box.endpoint, project="flytesnacks", domain="development") as client:
            run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada")
            run.wait(quiet=True)
            assert run.outputs()[0] == "hello Ada"
    with Devbox(state=folder) as again, Client(again.endpoint, project="flytesnacks", domain="development") as client:
        assert client.runs.get(run.name).outputs()[0] == "hello Ada"


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))
