"""What code generated for gRPC gets of a channel: its callables, its bytes and nothing of gRPC's."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from echo import END, FakeAnswer, FakeNetwork, frame
from fakes import FakeClock, FakeWeb, HttpAnswer

from flyte_lite import errors
from flyte_lite._http.origin import Origin
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.codec import JSON
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._version import __version__
from flyte_lite.remote._stubs import Stubs

PATH = "/pkg.v1.EchoService/Say"
URL = f"https://flyte.example{PATH}"


class StubChannel(Stubs, Channel):
    pass


class Bench:
    def __init__(self, answer: Any = b"olleh", **options: Any) -> None:
        self.clock = FakeClock()
        if isinstance(answer, bytes):
            answer = HttpAnswer(200, "OK", {"content-type": ["application/proto"]}, answer)
        self.web = FakeWeb(self.clock).on(URL, answer)
        transport: Any = self.web
        self.channel = StubChannel(transport, Origin("https", "flyte.example", 443), clock=self.clock, **options)

    def say(self, request: Any = "hello", **options: Any) -> Any:
        stub = self.channel.unary_unary(
            PATH, request_serializer=str.encode, response_deserializer=bytes.decode, _registered_method=True
        )
        return stub(request, **options)


def test_messages_are_written_and_read_by_the_stub() -> None:
    bench = Bench()

    assert bench.say() == "olleh"
    (asked,) = bench.web.asked
    assert (asked.method, asked.url, asked.body) == ("POST", URL, b"hello")
    assert bench.channel.unary_unary(PATH)(b"bytes as they are") == b"olleh"


@pytest.mark.parametrize(("options", "seconds"), [({}, 30.0), ({"timeout": 2.5}, 2.5), ({"timeout": None}, None)])
def test_a_call_has_an_end_unless_none_is_written_out(options: dict[str, Any], seconds: Optional[float]) -> None:
    bench = Bench()
    bench.say(**options)

    assert bench.web.asked[0].deadline.seconds == seconds


def test_metadata_are_pairs() -> None:
    bench = Bench()
    bench.say(metadata=(("X-Team", "a"), ("x-team", "b"), ("x-key-bin", b"\xff")))

    headers = bench.web.asked[0].headers
    assert headers["x-team"] == ["a", "b"]
    assert headers["x-key-bin"] == ["/w"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": -1}, "timeout is -1"),
        ({"timeout": "soon"}, "timeout is 'soon'"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"wait_for_ready": True}, "wait_for_ready can't be given to a call: a connection is made by the call itself"),
        ({"credentials": object()}, "credentials can't be given to a call: who calls is settled where the channel"),
        ({"compression": 2}, "compression can't be given to a call"),
        ({"color": 1}, "color can't be given to a call: it is not known"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    bench = Bench()

    with pytest.raises(errors.OptionError, match=said):
        bench.say(**options)
    assert bench.web.asked == []


def test_what_says_nothing_is_taken() -> None:
    assert Bench().say(wait_for_ready=None, credentials=None, compression=None) == "olleh"


def test_an_error_is_that_of_any_call() -> None:
    bench = Bench(HttpAnswer(404, "x", {"content-type": ["application/json"]}, b'{"code":"not_found","message":"no"}'))

    with pytest.raises(errors.NotFoundError) as caught:
        bench.say()
    assert caught.value.method == "EchoService/Say"


def test_an_answer_that_the_stub_can_not_read() -> None:
    with pytest.raises(errors.InternalError, match=r"can't be read"):
        Bench(b"\xff").say()


def test_a_method_is_not_repeated_unless_its_descriptor_says_so() -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="stub_test.proto", package="stub.test")
    file.message_type.add(name="Word")
    service = file.service.add(name="Echo")
    for name in ("Read", "Write"):
        service.method.add(name=name, input_type=".stub.test.Word", output_type=".stub.test.Word")
    service.method[0].options.idempotency_level = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    channel = Bench().channel

    safe = {name: channel.unary_unary(f"/stub.test.Echo/{name}")._method.safe for name in ("Read", "Write", "Other")}
    assert safe == {"Read": True, "Write": False, "Other": False}


def test_a_channel_of_json_has_no_stubs() -> None:
    with pytest.raises(errors.OptionError, match="sends binary messages, and this channel json"):
        Bench(protocol=Connect(JSON)).channel.unary_unary(PATH)


@pytest.mark.parametrize("protocol", [Connect, GrpcWeb])
def test_who_calls_may_say_what_it_is(protocol: Any) -> None:
    bench = Bench(errors.ConnectFailedError("enough seen"), protocol=protocol(agent="my-app/1.0"))
    with pytest.raises(errors.ConnectFailedError):
        bench.say()

    assert bench.web.asked[0].headers["user-agent"] == f"my-app/1.0 flyte-lite/{__version__}"


def stream_channel(*pieces: bytes) -> tuple[FakeNetwork, StubChannel]:
    clock = FakeClock()
    network: Any = FakeNetwork(clock, FakeAnswer(*pieces))
    return network, StubChannel(network, Origin("https", "flyte.example", 443), clock=clock)


def packed(*texts: str) -> bytes:
    return b"".join(frame(0, text.encode()) for text in texts)


CODERS: dict[str, Any] = {"request_serializer": str.encode, "response_deserializer": bytes.decode}


@pytest.mark.parametrize(("kind", "request_"), [("unary_stream", "a"), ("stream_stream", ["a", "b"])])
def test_an_answer_may_be_a_stream(kind: str, request_: Any) -> None:
    network, channel = stream_channel(packed("x", "y"), END)

    with getattr(channel, kind)(PATH, **CODERS)(request_) as stream:
        assert list(stream) == ["x", "y"]
    (asked,) = network.asked
    assert asked.body == (packed("a") if kind == "unary_stream" else [packed("a"), packed("b")])
    assert (asked.deadline.seconds, asked.idle) == (None, 60.0), "a stream has no end but silence"


@pytest.mark.parametrize("request_", [["a", "b"], ("a", "b"), iter(["a", "b"])], ids=["list", "tuple", "iterator"])
def test_a_request_may_be_a_stream(request_: Any) -> None:
    network, channel = stream_channel(packed("x"), END)

    assert channel.stream_unary(PATH, **CODERS)(request_, timeout=5) == "x"
    (asked,) = network.asked
    assert asked.body == [packed("a"), packed("b")]
    assert asked.deadline.seconds == 5


def test_what_was_surely_not_sent_is_sent_again_if_there_is_a_list_of_it() -> None:
    for request_, attempts in ((["a"], 2), (iter(["a"]), 1)):
        network, channel = stream_channel(packed("x"), END)
        network.outcomes.insert(0, errors.ConnectFailedError("down"))
        call = channel.stream_unary(PATH, **CODERS)
        if attempts == 2:
            assert call(request_) == "x"
        else:
            with pytest.raises(errors.ConnectFailedError):
                call(request_)
        assert len(network.asked) == attempts


def test_it_shows_what_it_calls() -> None:
    assert repr(Bench().channel.unary_unary(PATH)) == "StubMethod(EchoService/Say, unary)"
