"""Requests that are nearly right: valid ones of every RPC and protocol, with something changed, from a seed."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import struct
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import quote

from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor import FieldDescriptor

from flyte_lite.idl import message_class
from flyte_lite.idl._pool import pool

SERVICES = [
    "project.ProjectService",
    "task.TaskService",
    "trigger.TriggerService",
    "settings.SettingsService",
    "workflow.RunService",
    "workflow.InternalRunService",
    "workflow.EventsProxyService",
    "dataproxy.DataProxyService",
    "cluster.ClusterService",
    "auth.IdentityService",
    "auth.AuthMetadataService",
]
WORDS = [
    *("", "a", "a0", "flytesnacks", "development", "r1", "r2", "env.add", "v1", "ListRuns", "phase", "created_at", "0"),
    *(
        "-1",
        "1.5",
        "true",
        "\u00e9\u4e2d\U0001f680",
        "a%b_c",
        "'; DROP TABLE action; --",
        "x" * 300,
        "\x00",
        "%d",
        "../..",
    ),
]
NUMBERS = [0, 1, 2, 3, 4, 5, 50, 200, 201, -1, 2**31 - 1, -(2**31), 2**53, 2**63 - 1, -(2**63)]


class Method(NamedTuple):
    path: str
    request: Any
    streams: bool


def methods() -> list[Method]:
    found = []
    for name in SERVICES:
        service = pool().FindServiceByName(f"flyteidl2.{name}")
        for method in service.methods:
            kind = descriptor_pb2.MethodDescriptorProto()
            method.CopyToProto(kind)
            request = message_class(method.input_type.full_name)
            found.append(Method(f"/{service.full_name}/{method.name}", request, kind.server_streaming))
    return found


class Fuzzer:
    """Nearly right requests, each known by its number: the same seed gives the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.methods = methods()

    def request(self, number: int) -> bytes:
        draw = random.Random(f"{self.seed}:{number}")
        method = draw.choice(self.methods)
        message = method.request()
        fill(draw, message, 4)
        head, body = _written(draw, method, message)
        for _ in range(draw.choice([0, 1, 1, 2, 4])):
            head, body = draw.choice(_CHANGES)(draw, head, body)
        lines = [f"{head.method} {head.target} {head.version}", *(f"{name}: {value}" for name, value in head.headers)]
        if head.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = (
                b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in _parts(draw, body)) + b"0\r\n\r\n"
            )
        elif head.length is not None:
            lines.append(f"Content-Length: {head.length if head.length >= 0 else len(body)}")
        raw = "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body
        return _bent(draw, raw) if draw.random() < 0.1 else raw


class Head:
    """What precedes the body. `length` is -1 for the true one, None for none."""

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]]) -> None:
        self.method = method
        self.target = target
        self.version = "HTTP/1.1"
        self.headers = headers
        self.chunked = False
        self.length: Optional[int] = -1


def fill(draw: random.Random, message: Any, depth: int) -> None:
    """Set some of the fields of a message."""
    for field in message.DESCRIPTOR.fields:
        if draw.random() < 0.4:
            continue
        repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            if depth == 0:
                continue
            if repeated:
                for _ in range(draw.choice([1, 2])):
                    fill(draw, getattr(message, field.name).add(), depth - 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(draw, getattr(message, field.name), depth - 1)
        elif repeated:
            getattr(message, field.name).extend(_scalar(draw, field) for _ in range(draw.choice([1, 3])))
        else:
            setattr(message, field.name, _scalar(draw, field))


def _scalar(draw: random.Random, field: Any) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        text = draw.choice(WORDS)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return draw.choice(field.enum_type.values).number
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return draw.choice([0.5, -1.0, 1e30, float("inf"), float("nan")])
    if field.name == "nanos":
        return draw.choice([0, 1, 999_999_999, 2**31 - 1])
    number = draw.choice(NUMBERS)
    least, most = {
        FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    }[kind]
    return min(max(number, least), most)


def _written(draw: random.Random, method: Method, message: Any) -> tuple[Head, bytes]:
    codec = draw.choice(["proto", "json"])
    data = message.SerializeToString()
    if codec == "json":
        try:
            data = json_format.MessageToJson(message, indent=None).encode()
        except Exception:  # noqa: BLE001 - what this protobuf can't write as JSON goes as it is
            codec = "proto"
    ways = ["stream", "web"] if method.streams else ["post", "post", "get", "web", "stream"]
    way = draw.choice(ways)
    headers = [("Host", "devbox"), ("Connect-Timeout-Ms", "60"), ("Grpc-Timeout", "60m")]
    packed = draw.random() < 0.2
    if draw.random() < 0.3:
        headers += [(f"{prefix}Accept-Encoding", "gzip") for prefix in ("", "Connect-", "Grpc-")]
    if way == "get":
        text = base64.urlsafe_b64encode(gzip.compress(data) if packed else data).decode()
        query = f"connect=v1&encoding={codec}&base64=1&message={text}" + ("&compression=gzip" if packed else "")
        head = Head("GET", f"{method.path}?{query}", headers)
        head.length = None
        return head, b""
    if way == "post":
        kind = f"application/{codec}"
        if packed:
            headers.append(("Content-Encoding", "gzip"))
            data = gzip.compress(data)
    else:
        kind = f"application/{'connect' if way == 'stream' else draw.choice(['grpc-web', 'grpc'])}+{codec}"
        if packed:
            headers += [("Connect-Content-Encoding", "gzip"), ("Grpc-Encoding", "gzip")]
            data = gzip.compress(data)
        data = struct.pack(">BI", int(packed), len(data)) + data
    head = Head("POST", method.path, [*headers, ("Content-Type", kind)])
    head.chunked = draw.random() < 0.1
    return head, data


def _bent(draw: random.Random, data: bytes) -> bytes:
    """Some bytes changed, left out, doubled or put in."""
    made = bytearray(data)
    for _ in range(draw.choice([1, 1, 3, 10])):
        place = draw.randrange(len(made) + 1)
        what = draw.randrange(4)
        if what == 0 and place < len(made):
            made[place] = draw.randrange(256)
        elif what == 1:
            del made[place : place + draw.choice([1, 2, 20])]
        elif what == 2:
            made[place:place] = made[place : place + draw.choice([1, 5, 50])]
        else:
            made[place:place] = bytes(draw.randrange(256) for _ in range(draw.choice([1, 4])))
    return bytes(made)


def _body_bytes(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    return head, _bent(draw, body)


def _body_cut(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    return head, body[: draw.randrange(len(body) + 1)]


def _body_other(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    return head, draw.choice(
        [
            b"",
            b"{}",
            b"null",
            b"[" * 5000,
            b'{"a":' * 3000,
            b'{"runId":{"name":NaN}}',
            b'{"a":1,"a":2}',
            b'{"limit":1e400}',
            b'{"\\ud800":1}',
            b"\xff" * 50,
            body * 2,
            b"\0\0\0\0\0" * 3,
            b"\0\xff\xff\xff\xff",
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0b" * 2000,
            gzip.compress(body)[:-3],
        ]
    )


def _json_value(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    """Another value somewhere in the JSON."""
    start = body.find(b"{")
    try:
        parsed = json.loads(body[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        return head, body
    if parsed is None:
        return head, body
    holders = []

    def look(value: Any) -> None:
        if isinstance(value, (dict, list)):
            holders.append(value)
            for item in value.values() if isinstance(value, dict) else value:
                look(item)

    look(parsed)
    holder = draw.choice(holders)
    value = draw.choice(
        [None, 1, -1, 1.5, True, "x", "", [], {}, [None], {"a": 1}, 10**30, "NaN", "2026-13-45T00:00:00Z"]
    )
    if isinstance(holder, list):
        holder.append(value)
    else:
        holder[draw.choice([*holder, "new", ""])] = value
    data = json.dumps(parsed).encode()
    return head, (struct.pack(">BI", 0, len(data)) + data if start == 5 else data)


def _header(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    names = [
        *("Content-Type", "Accept-Encoding", "Content-Encoding", "Connect-Protocol-Version", "Connect-Timeout-Ms"),
        *("Connect-Content-Encoding", "Connect-Accept-Encoding", "Grpc-Timeout", "Grpc-Encoding", "Authorization"),
        *(
            "Expect",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
            "X-Amzn-Oidc-Data",
            "X-Forwarded-Proto",
            "Host",
        ),
        *("Upgrade", "X-\u00e9", "X Y", ""),
    ]
    values = [
        *("", "gzip", "br", "identity", "gzip;q=0", "*", "1", "2", "0", "-1", "60", "99999999999", "5S", "1n", "abc"),
        *("application/json", "application/proto", "application/connect+json", "application/grpc-web-text", "a/b;c=d"),
        *("application/json; charset=latin-1", "APPLICATION/JSON", "text/html;;;", "Bearer a.b.c", "Bearer a.e30.c"),
        *("Bearer a.bnVsbA.c", "close", "chunked", "100-continue", "h2c", "\u00e9", "x" * 70_000, "\x00", '"', "a:b:c"),
        *("Bearer a.eyJzdWIiOjV9.c", "Basic eA==", "https", "\t ", "\u00b2"),
    ]
    name, value = draw.choice(names), draw.choice(values)
    kept = [item for item in head.headers if item[0] != name] if draw.random() < 0.7 else list(head.headers)
    head.headers = kept if draw.random() < 0.15 else [*kept, (name, value)]
    return head, body


def _target(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    path, _, query = head.target.partition("?")
    what = draw.randrange(7)
    if what == 0:
        path = _bent(draw, path.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    elif what == 1:
        path = draw.choice(
            ["/", "", "*", "//", "/%2f", "/%00", "/\u00e9", "/" + "a/" * 3000, "http://x/y", "/a#b", "/a b"]
        )
    elif what == 2:
        path = quote(path, safe="", errors="surrogateescape")
    elif what == 3:
        query = _bent(draw, query.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    elif what == 4:
        query += draw.choice(
            ["&message=%7B%7D", "&base64=2", "&encoding=xml", "&connect=v9", "&compression=br", "&%zz", ";"]
        )
    elif what == 5:
        query = "&".join(draw.sample(query.split("&"), draw.randrange(len(query.split("&")) + 1)))
    else:
        query = re.sub(
            "message=[^&]*", "message=" + draw.choice(["%7B%7D", "", "%ff", "====", "e30", "x" * 3000]), query
        )
    head.target = f"{path}?{query}" if query else path
    return head, body


def _line(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    head.method = draw.choice(
        ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "CONNECT", "TRACE", "post", "X"]
    )
    head.version = draw.choice(["HTTP/1.1"] * 4 + ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1", "FTP/1.1", ""])
    return head, body


def _length(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    head.length = draw.choice([None, 0, 1, len(body) + 1, max(0, len(body) - 1), 10**9])
    return head, body


def _frame(draw: random.Random, head: Head, body: bytes) -> tuple[Head, bytes]:
    flags, length = draw.choice([0, 1, 2, 3, 4, 0x80, 0x81, 255]), draw.choice([0, 1, len(body), 2**31, 2**32 - 1])
    return head, struct.pack(">BI", flags, length) + body[5:] + draw.choice([b"", b"\0", body])


_Change = Callable[[random.Random, Head, bytes], tuple[Head, bytes]]
_CHANGES: list[_Change] = [
    *(_body_bytes, _body_bytes, _body_cut, _body_other, _json_value, _json_value, _json_value),
    *(_header, _header, _target, _target, _line, _length, _frame),
]


def _parts(draw: random.Random, body: bytes) -> list[bytes]:
    if not body:
        return []
    middle = draw.randrange(len(body))
    return [part for part in (body[:middle], body[middle:]) if part]
