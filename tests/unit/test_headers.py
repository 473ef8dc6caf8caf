"""Metadata as callers give it and as it is sent; values that are bytes."""

from __future__ import annotations

from typing import Any

import pytest
from echo import Bench, FakeAnswer

from flyte_lite._http.transport import Answer
from flyte_lite._rpc.codec import JSON
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.headers import binary, checked, merged, unbase64


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"X-Own": "1"}, {"x-own": ["1"]}),
        ({"x-own": ["1", "2"]}, {"x-own": ["1", "2"]}),
        ({"x-own": ("1", "1")}, {"x-own": ["1", "1"]}),
        ({"x-own": "1, 2"}, {"x-own": ["1, 2"]}),
        ({"x-own": ""}, {"x-own": [""]}),
        ({"x-own": []}, {}),
        ({"X-Own": "1", "x-own": ["2"], "x-OWN": "3"}, {"x-own": ["1", "2", "3"]}),
        ({"x_y.z-0": " ~"}, {"x_y.z-0": [" ~"]}),
        ({"x-bin": b"\x00\x01"}, {"x-bin": ["AAE"]}),
        ({"X-Bin": [b"\xfb\xff\xfe", b"", "AAE="]}, {"x-bin": ["+//+", "", "AAE="]}),
        ({"authorization": "Bearer t", "cookie": "a=b"}, {"authorization": ["Bearer t"], "cookie": ["a=b"]}),
    ],
)
def test_what_is_given_is_sent_by_lower_case_name(given: Any, sent: dict[str, list[str]]) -> None:
    assert checked(given) == sent


def test_what_was_given_is_not_what_is_sent() -> None:
    given = {"x": ["1"]}
    checked(given)["x"].append("2")

    assert given == {"x": ["1"]}


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "content-length",
        "Content-Encoding",
        "transfer-encoding",
        "Host",
        "Connection",
        "TE",
        "Accept",
        "Accept-Encoding",
        "User-Agent",
        "X-User-Agent",
        "X-Grpc-Web",
        "connect-timeout-ms",
        "Connect-Protocol-Version",
        "connect-anything",
        "grpc-timeout",
        "Grpc-Anything",
    ],
)
def test_what_is_the_protocols_own_is_not_sent(name: str) -> None:
    assert checked({name: "x", "x-own": "1"}) == {"x-own": ["1"]}


def heads() -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for codec in (None, JSON):
        for packing in (None, "gzip"):
            options: Any = {"compression": packing, **({} if codec is None else {"codec": codec})}
            found.append(GrpcWeb(**options).stream_head(1))
            connect = Connect(**options)
            found += [connect.stream_head(1), connect._unary_head, connect._get_head]
    return found


def test_no_head_has_a_name_that_callers_could_send_once_more() -> None:
    for head in heads():
        assert checked(head) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"": "hidden"}, "''"),
        ({"x y": "hidden"}, "'x'"),
        ({"x:": "hidden"}, "'x'"),
        ({"Authorization: Bearer hidden": ""}, "'authorization'"),
        ({"x\nhidden": "1"}, "'x'"),
        ({"x\r\n\nhidden\n": "1"}, "'x'"),
        ({"\u00fchidden": "1"}, "''"),
        ({"x\n": "1"}, "'x'"),
        ({"x-own": "hidden\n"}, "x-own"),
        ({"x-own": "hidden\r\nx: 1"}, "x-own"),
        ({"x-own": "hidden\x00"}, "x-own"),
        ({"x-own": "hidden\x7f"}, "x-own"),
        ({"x-own": "hidd\u00e9n"}, "x-own"),
        ({"x-own": "hidden\t"}, "x-own"),
        ({"x-own": ["fine", "hidden\n"]}, "x-own"),
        ({"x-own-bin": "hidden\n"}, "x-own-bin"),
        ({"x-own": b"hidden"}, "only names that end in -bin"),
        ({"x-own": ["1", b"hidden"]}, "only names that end in -bin"),
        ({"bin": b"hidden"}, "only names that end in -bin"),
        ({"Content-Type": "hidden\n"}, "content-type"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_not_repeated(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match="header") as caught:
        checked(given)

    assert words in str(caught.value)
    assert "hidd" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], []),
        (["AAE"], [b"\x00\x01"]),
        (["AAE="], [b"\x00\x01"]),
        (["AAE,AA==, Ag"], [b"\x00\x01", b"\x00", b"\x02"]),
        (["AAE", "Ag"], [b"\x00\x01", b"\x02"]),
        ([""], [b""]),
        (["AAE,,Ag"], [b"\x00\x01", b"", b"\x02"]),
        (["***", "AAE,A,Ag"], [b"\x00\x01", b"\x02"]),
        (["+/8"], [b"\xfb\xff"]),
        (["-_8"], []),
        (["AA E"], []),
        (["\u00fc"], []),
    ],
)
def test_values_that_are_bytes(lines: list[str], found: list[bytes]) -> None:
    assert binary({"x-bin": lines}, "x-bin") == found
    assert binary({}, "x-bin") == []


@pytest.mark.parametrize("size", range(10))
def test_bytes_go_there_and_back(size: int) -> None:
    data = bytes(range(250, 250 + 6))[:size] + b"\x00" * max(0, size - 6)
    (text,) = checked({"x-bin": data})["x-bin"]

    assert "=" not in text
    assert unbase64(text) == data
    assert unbase64(text + "=" * (-len(text) % 4)) == data


@pytest.mark.parametrize("text", ["A", "AAAAA", "AAE==", "A=AE", "=", "AA\n", "A A="])
def test_what_is_no_base64(text: str) -> None:
    assert unbase64(text) is None


def test_merged_keeps_all_values_in_order_and_no_list_of_others() -> None:
    one, other = {"a": ["1"], "b": ["2"]}, {"a": ["3"], "c": []}
    joined = merged(one, other)

    assert joined == {"a": ["1", "3"], "b": ["2"], "c": []}
    joined["a"].append("4")
    assert one["a"] == ["1"]


OK = Answer(200, "OK", {"content-type": ["application/proto"]}, b"")


def test_an_interceptor_cannot_contradict_the_protocol_either() -> None:
    def meddle(call: Any, proceed: Any) -> Any:
        call.headers.update(
            {"content-type": ["text/plain"], "Connect-Timeout-Ms": ["1"], "X-Own": ["1"], "host": ["h"]}
        )
        return proceed(call)

    bench = Bench(OK, FakeAnswer(b"\x02\x00\x00\x00\x02{}"), interceptors=[meddle])
    bench.unary()
    list(bench.watch())

    for asked, media in zip(bench.network.asked, ("application/proto", "application/connect+proto")):
        assert asked.headers["content-type"] == [media]
        assert asked.headers["connect-timeout-ms"] == ["100000"]
        assert asked.headers["x-own"] == ["1"]
        assert "host" not in asked.headers


def test_what_an_interceptor_adds_is_checked() -> None:
    def meddle(call: Any, proceed: Any) -> Any:
        call.headers["x-own"] = ["hidden\r\nx: 1"]
        return proceed(call)

    bench = Bench(interceptors=[meddle])
    with pytest.raises(ValueError, match="x-own") as caught:
        bench.unary()

    assert "hidden" not in str(caught.value)
    assert bench.network.asked == []


def test_several_values_and_bytes_are_sent_by_every_kind_of_call() -> None:
    headers: Any = {"X-Own": ["1", "2"], "x-bin": [b"\x00\x01", b"\xff"]}
    end = b"\x02\x00\x00\x00\x02{}"
    one = b"\x00\x00\x00\x00\x00" + end
    bench = Bench(OK, FakeAnswer(one), FakeAnswer(one), FakeAnswer(one))
    bench.unary(headers=headers)
    list(bench.watch(headers=headers))
    bench.tell([], headers=headers)
    list(bench.chat([], headers=headers))

    for asked in bench.network.asked:
        assert asked.headers["x-own"] == ["1", "2"]
        assert asked.headers["x-bin"] == ["AAE", "/w"]
