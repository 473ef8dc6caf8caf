"""Performs recorded scenarios against a server, and says where its answers differ from the recorded ones.

The rules are told in `README.md`.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Optional
from urllib.parse import quote

from comparing import Comparison, in_order, masked, picked
from connect_stream import Stream, frames

from flyte_lite.devbox.state.objects import PREFIX
from flyte_lite.idl import message_class
from flyte_lite.idl._pool import pool

Differences = Iterator[tuple[str, str]]

# Seconds that an answer, or a message of a stream, may take.
PATIENCE = 10.0
# Times the recorded deadline of a stream: on a busy machine, what comes at once may be too late for the first.
PATIENTLY = (1, 5)
# Seconds after which nothing more is expected on a stream that stays open.
SETTLED = 0.1
# Seconds between two requests, so that what was done at different times tells different times and lasts at least 1 ms.
BETWEEN = 0.002

# Scenarios are written for projects of this length, and all other names of the other one.
LENGTHS = {"project": 16}
OTHERS = 15

COMPARED_HEADERS = {
    "accept-encoding",
    "accept-post",
    "allow",
    "connect-accept-encoding",
    "connect-content-encoding",
    "content-encoding",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-message",
    "grpc-status",
    "vary",
    "x-content-type-options",
}


class Answer(NamedTuple):
    """What came back; a status of None is a connection that was closed without an answer."""

    status: Optional[int]
    headers: Mapping[str, str]
    body: bytes


class Replayer:
    """One scenario, once.

    Args:
        address: Host and port of the server.
        scenario: As it was recorded.
        binary: Send messages as protobuf instead of JSON, wherever a step does not spell its bytes out.
    """

    def __init__(self, address: str, scenario: Mapping[str, Any], binary: bool) -> None:
        self._address = address
        self._scenario = scenario
        self._binary = binary
        names = {name: "v" + secrets.token_hex(16)[1 : LENGTHS.get(kind, OTHERS)] for name, kind in _vars(scenario)}
        self._comparison = Comparison({**names, "storage": PREFIX}, time.time())
        self._connection: Optional[http.client.HTTPConnection] = None
        self._watches: dict[str, Stream] = {}

    def run(self) -> Iterator[tuple[int, str, str]]:
        """Each difference: the number of the step, the path in what is compared, and what is wrong there."""
        kinds: Mapping[str, Callable[[Mapping[str, Any]], Differences]] = {
            "unary": self._unary,
            "http": self._http,
            "stream": self._stream,
            "open": self._open,
            "read": self._read,
            "close": self._close,
            "wait": self._wait,
        }
        try:
            for number, step in enumerate(self._scenario["steps"]):
                for path, wrong in kinds[step.get("kind", "unary")](step):
                    yield number, path, wrong
        finally:
            self._disconnect()
            for watch in self._watches.values():
                watch.close()

    def _unary(self, step: Mapping[str, Any]) -> Differences:
        for count in range(step.get("repeat", 1)):
            request = self._comparison.filled(step["request"], {"n": str(count)})
            headers = self._comparison.filled(step.get("request_headers", {}))
            time.sleep(BETWEEN)
            status, response = self._call(step["rpc"], request, headers)
        actual = {"status": status, "response": self._comparison.marked(response)}
        for name, path in step.get("capture", {}).items():
            self._comparison.names[name] = str(picked({"response": response}, path))
        if "only" in step:
            chosen = {path: picked(actual, path) for path in step["only"]}
            yield from self._comparison.differences(
                {"status": step["status"], "picked": step["picked"]}, {"status": status, "picked": chosen}
            )
            return
        expected = {"status": step["status"], "response": step.get("response")}
        yield from self._compared(step, expected, actual)

    def _call(self, rpc: str, request: Any, headers: Mapping[str, str]) -> tuple[Optional[int], Any]:
        content_type = "application/proto" if self._binary else "application/json"
        asks, answers = _messages(rpc)
        body = _encoded(request, asks) if self._binary else json.dumps(request).encode()
        answer = self._exchange("POST", f"/{rpc}", {"Content-Type": content_type, **headers}, body)
        if answer.status is None:
            return None, None
        if self._binary and answer.status == 200:
            return 200, _decoded(answer.body, answers)
        return answer.status, json.loads(answer.body)

    def _http(self, step: Mapping[str, Any]) -> Differences:
        path = self._comparison.filled(step["path"])
        if "message" in step:
            path += "&message=" + quote(self._comparison.filled(step["message"]), safe="")
        headers = self._comparison.filled(step["request_headers"])
        answer = self._exchange(step["method"], path, headers, self._body(step))
        kept = {name: value for name, value in answer.headers.items() if name in COMPARED_HEADERS}
        actual: dict[str, Any] = {"status": answer.status, "response_headers": kept}
        expected = {"status": step["status"], "response_headers": step["response_headers"]}
        body = answer.body
        if kept.get("content-encoding") == "gzip" and body:
            body = gzip.decompress(body)
        if "find" in step:
            expected["found"] = step["found"]
            actual["found"] = step["find"].encode() in answer.body
        else:
            expected["response_body"] = step.get("response_body")
            actual["response_body"] = _in_the_form_of(step.get("response_body"), body)
        yield from self._compared(step, expected, self._comparison.marked(actual))

    def _body(self, step: Mapping[str, Any]) -> Optional[bytes]:
        body: Optional[bytes] = None
        if "body" in step:
            body = self._comparison.filled(step["body"]).encode()
        elif "body_b64" in step:
            body = base64.b64decode(step["body_b64"])
        elif "envelope" in step:
            message = json.dumps(self._comparison.filled(step["envelope"])).encode()
            body = b"\0" + len(message).to_bytes(4, "big") + message
        return gzip.compress(body) if body is not None and step.get("gzip_body") else body

    def _stream(self, step: Mapping[str, Any]) -> Differences:
        expected = {key: step.get(key) for key in ("status", "ended_by", "end_stream", "messages")}
        found: list[tuple[str, str]] = []
        for times in PATIENTLY:
            deadline_ms = times * step["deadline_ms"]
            stream = self._watch(step, deadline_ms=deadline_ms)
            stream.wait(ended=True, seconds=PATIENCE + deadline_ms / 1000)
            stream.close()
            found = list(self._compared(step, expected, self._told(stream)))
            if not found:
                break
        yield from found

    def _open(self, step: Mapping[str, Any]) -> Differences:
        stream = self._watches[step["watch"]] = self._watch(step)
        self._until(stream, step, ended=False)
        actual = {"headers_arrived": stream.status is not None, "messages": self._marked(stream.taken())}
        yield from self._compared(step, {key: step[key] for key in actual}, actual)

    def _read(self, step: Mapping[str, Any]) -> Differences:
        stream = self._watches[step["watch"]]
        self._until(stream, step, ended=step["ended"])
        keys = ["messages", "ended", *(["status", "end_stream", "ended_by"] if step["ended"] else [])]
        yield from self._compared(step, {key: step[key] for key in keys}, self._told(stream, *keys))

    def _close(self, step: Mapping[str, Any]) -> Differences:
        self._watches.pop(step["watch"]).close()
        return iter(())

    def _wait(self, step: Mapping[str, Any]) -> Differences:
        time.sleep(step["seconds"])
        return iter(())

    def _watch(self, step: Mapping[str, Any], deadline_ms: Optional[int] = None) -> Stream:
        request = self._comparison.filled(step["request"])
        asks, answers = _messages(step["rpc"])
        body = _encoded(request, asks) if self._binary else json.dumps(request).encode()
        codec = "proto" if self._binary else "json"
        decode = (lambda message: _decoded(message, answers)) if self._binary else json.loads
        return Stream(self._address, f"/{step['rpc']}", codec, body, deadline_ms, decode)

    def _until(self, stream: Stream, step: Mapping[str, Any], ended: bool) -> None:
        # What is expected may come late, but what is not expected only within the time that the step gives.
        wanted = len(step["messages"])
        if wanted or ended:
            stream.wait(count=wanted, ended=ended, seconds=PATIENCE)
        if not ended:
            stream.wait(count=wanted + 1, seconds=SETTLED if wanted else step.get("seconds", SETTLED))

    def _told(self, stream: Stream, *keys: str) -> Mapping[str, Any]:
        told = {
            "status": stream.status,
            "ended": stream.ended,
            "ended_by": stream.ended_by,
            "end_stream": self._marked(stream.end_stream),
            "messages": self._marked(stream.taken()),
        }
        return {key: told[key] for key in keys or ("status", "ended_by", "end_stream", "messages")}

    def _marked(self, value: Any) -> Any:
        return self._comparison.marked(value)

    def _compared(self, step: Mapping[str, Any], expected: Any, actual: Any) -> Differences:
        for change, key in ((masked, "mask"), (in_order, "unordered")):
            expected = change(expected, step.get(key, ()))
            actual = change(actual, step.get(key, ()))
        yield from self._comparison.differences(expected, actual)

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: Optional[bytes]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        connection = self._connection
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._disconnect()
            return Answer(None, {}, b"")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _vars(scenario: Mapping[str, Any]) -> list[tuple[str, str]]:
    given = scenario["vars"]
    return list(given.items()) if isinstance(given, dict) else [(name, name) for name in given]


def _messages(rpc: str) -> tuple[Any, Any]:
    service, _, method = rpc.partition("/")
    described = pool().FindServiceByName(service).methods_by_name[method]
    return message_class(described.input_type.full_name), message_class(described.output_type.full_name)


def _encoded(request: Any, kind: Any) -> bytes:
    from google.protobuf import json_format

    return bytes(json_format.ParseDict(request, kind(), ignore_unknown_fields=True).SerializeToString())


def _decoded(body: bytes, kind: Any) -> Any:
    from google.protobuf import json_format

    return json_format.MessageToDict(kind.FromString(body))


def _in_the_form_of(expected: Optional[Mapping[str, Any]], body: bytes) -> Any:
    if expected is None:
        return {"b64": base64.b64encode(body).decode()} if body else None
    if "frames" not in expected:
        return _content(expected, body)
    found = list(frames(body))
    forms = [*expected["frames"], *[{"b64": ""}] * len(found)]
    return {"frames": [{"flags": flags, **_content(form, content)} for (flags, content), form in zip(found, forms)]}


def _content(form: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    if "json" in form:
        try:
            return {"json": json.loads(body)}
        except ValueError:
            return {"not json": body.decode(errors="replace")}
    return {"text": body.decode(errors="replace")} if "text" in form else {"b64": base64.b64encode(body).decode()}
