"""The client program that Connect's conformance runner drives: makes the calls it is told to make, with our channel.

Messages come on the standard input and go to the standard output, each behind its length in four bytes. They go in any
order: every call runs on a thread of a small pool.

    python client.py descriptors.bin        # a FileDescriptorSet of conformance.proto
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite._rpc.connect import Connect
from flyte_lite._rpc.grpc_web import GrpcWeb
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.errors import CallError, Code

THREADS = 8
PACKAGE = "connectrpc.conformance.v1"
LENGTH = 4


class Wire:
    """The messages and services of conformance.proto, in a pool of their own.

    Attributes:
        file: Stands for the module that protoc would generate.
    """

    def __init__(self, descriptors: bytes) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            pool.AddSerializedFile(file.SerializeToString())
        if hasattr(message_factory, "GetMessageClass"):
            class_of = message_factory.GetMessageClass
        else:  # before protobuf 4.22
            class_of = message_factory.MessageFactory(pool).GetPrototype
        descriptor = pool.FindFileByName("conformance.proto")
        self.file = SimpleNamespace(DESCRIPTOR=descriptor)
        self._classes = {kind.full_name: class_of(kind) for kind in descriptor.message_types_by_name.values()}

    def of(self, full_name: str) -> Any:
        """The class of a message by its full name."""
        return self._classes[full_name]

    def __getattr__(self, name: str) -> Any:
        return self._classes[f"{PACKAGE}.{name}"]


class Cancellation:
    """When the runner wants a call to be canceled, and the token that does it."""

    def __init__(self, request: Any) -> None:
        self.token = Cancel()
        self._when = request.cancel.WhichOneof("cancel_timing") if request.HasField("cancel") else ""
        self._ms = request.cancel.after_close_send_ms
        self._responses = request.cancel.after_num_responses

    def sending(self, messages: list[Any], delay: float, deadline: Deadline) -> Iterator[Any]:
        """The messages, one after the other, each `delay` late."""
        for message in messages:
            deadline.sleep(delay)
            yield message
        if self._when == "before_close_send":
            self.token.cancel()
        self.sent()

    def sent(self) -> None:
        """There is no more to send, or won't be once the call is made, which blocks."""
        # None: the runner wants a cancel and does not say when.
        if self._when in ("after_close_send_ms", None):
            timer = threading.Timer(self._ms / 1000, self.token.cancel)
            timer.daemon = True
            timer.start()

    def received(self, responses: int) -> None:
        """So many responses have come by now."""
        if self._when == "after_num_responses" and responses == self._responses:
            self.token.cancel()


class Program:
    """Answers to the runner's requests.

    Args:
        wire: The messages.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._transports: dict[tuple[bytes, bytes, bytes], Transport] = {}

    def answer(self, request: Any) -> Any:
        """What the call brought; what kept us from making it."""
        response = self._wire.ClientCompatResponse(test_name=request.test_name)
        try:
            response.response.CopyFrom(self._call(request))
        except Exception:  # noqa: BLE001 - the runner shows it
            response.error.message = traceback.format_exc()
        return response

    def _call(self, request: Any) -> Any:
        channel = Channel(
            self._transport(request),
            Origin("https" if request.server_tls_cert else "http", request.host, request.port),
            protocol=self._protocol(request),
            retry=RetryPolicy(retries=0),
            limit=request.message_receive_limit or 1 << 30,
        )
        service = request.service or f"{PACKAGE}.ConformanceService"
        method: Method[Any, Any] = Method(
            self._wire.file, service.rpartition(".")[2], request.method, classes=self._wire.of
        )
        headers: dict[str, list[str]] = {}
        for header in request.request_headers:
            headers.setdefault(header.name, []).extend(header.value)
        messages = [self._wire.of(message.TypeName()).FromString(message.value) for message in request.request_messages]
        cancellation = Cancellation(request)
        seconds = request.timeout_ms / 1000 if request.HasField("timeout_ms") else None
        deadline = Deadline(SYSTEM_CLOCK, seconds, cancellation.token)
        result = self._wire.ClientResponseResult()
        stream = None
        try:
            sending = cancellation.sending(messages, request.request_delay_ms / 1000, deadline)
            kind = self._name("StreamType", request.stream_type)
            if kind == "unary":
                (message,) = sending
                reply = channel.unary(method, message, deadline=deadline, headers=headers)
            elif kind == "client_stream":
                reply = channel.client_stream(method, sending, deadline=deadline, headers=headers)
            elif kind == "server_stream":
                (message,) = sending
                reply = stream = channel.server_stream(method, message, deadline=deadline, headers=headers)
            elif kind == "half_duplex_bidi_stream":
                reply = stream = channel.bidi_stream(method, sending, deadline=deadline, headers=headers)
            else:
                raise NotImplementedError(kind)
            for number, message in enumerate([reply.message] if stream is None else stream, 1):
                result.payloads.append(message.payload)
                cancellation.received(number)
            self._note(result.response_headers, reply.headers)
            self._note(result.response_trailers, reply.trailers)
        except CallError as error:
            self._note_error(result.error, error)
            # An error has what it came with, headers and trailers alike.
            self._note(result.response_headers, error.headers if stream is None else stream.headers)
            self._note(result.response_trailers, error.headers if stream is None else stream.trailers)
        finally:
            if stream is not None:
                stream.close()
        return result

    def _transport(self, request: Any) -> Transport:
        creds = request.client_tls_creds
        key = (request.server_tls_cert, creds.cert, creds.key)
        with self._lock:
            if key not in self._transports:
                tls = TlsPolicy(ca=key[0], cert=key[1] or None, key=key[2] or None) if key[0] else None
                self._transports[key] = Transport(tls)
            return self._transports[key]

    def _protocol(self, request: Any) -> Any:
        codec = {"proto": PROTO, "json": JSON}[self._name("Codec", request.codec)]
        name = self._name("Compression", request.compression)
        compression = None if name == "identity" else name
        if self._name("Protocol", request.protocol) == "grpc_web":
            return GrpcWeb(codec, compression=compression)
        return Connect(codec, compression=compression, get=request.use_get_http_method)

    def _name(self, enum: str, number: int) -> str:
        """`proto` for the number of CODEC_PROTO."""
        prefix = "".join(f"_{char}" if char.isupper() else char for char in enum).strip("_").upper()
        value = self._wire.file.DESCRIPTOR.enum_types_by_name[enum].values_by_number[number]
        return str(value.name[len(prefix) + 1 :].lower())

    @staticmethod
    def _note(field: Any, headers: dict[str, list[str]]) -> None:
        for name, values in headers.items():
            field.add(name=name, value=values)

    @staticmethod
    def _note_error(field: Any, error: CallError) -> None:
        field.code = list(Code).index(error.code) + 1  # declared in the order of gRPC's numbers
        field.message = error.message
        for detail in error.details:
            field.details.add(type_url=f"type.googleapis.com/{detail.type}", value=detail.value)


def read() -> Optional[bytes]:
    """The next message from the runner; None at its end."""
    head = sys.stdin.buffer.read(LENGTH)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    body = sys.stdin.buffer.read(size)
    if len(head) < LENGTH or len(body) < size:
        raise EOFError("the runner stopped in the middle of a message")
    return body


def main() -> None:
    wire = Wire(Path(sys.argv[1]).read_bytes())
    program = Program(wire)
    writing = threading.Lock()

    def serve(body: bytes) -> None:
        answer = program.answer(wire.ClientCompatRequest.FromString(body)).SerializeToString()
        with writing:
            sys.stdout.buffer.write(len(answer).to_bytes(LENGTH, "big") + answer)
            sys.stdout.buffer.flush()

    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            body = read()
            if body is None:
                break
            pool.submit(serve, body)


if __name__ == "__main__":
    main()
