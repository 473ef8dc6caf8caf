from __future__ import annotations

import pytest

from flyte_lite._rpc.codec import JSON, PROTO
from flyte_lite.idl.flyteidl2.common import identifier_pb2


def test_the_codecs_have_the_names_of_content_types() -> None:
    assert [codec.name for codec in (PROTO, JSON)] == ["proto", "json"]


@pytest.mark.parametrize("codec", [PROTO, JSON], ids=lambda codec: str(codec.name))
def test_each_codec_reads_what_it_writes(codec: object) -> None:
    message = identifier_pb2.RunIdentifier(org="o", project="p", domain="d", name="\u00fc")

    assert codec.decode(codec.encode(message), identifier_pb2.RunIdentifier) == message  # type: ignore[attr-defined]


def test_proto_by_hand() -> None:
    assert PROTO.encode(identifier_pb2.RunIdentifier(org="o", name="r")) == b"\x0a\x01o\x22\x01r"
    assert PROTO.decode(b"\x22\x01r\x0a\x01o", identifier_pb2.RunIdentifier).name == "r"


def test_json_by_hand() -> None:
    assert JSON.encode(identifier_pb2.RunIdentifier(org="\u00fc")).decode() == '{"org": "\u00fc"}'
    assert JSON.decode(b'{"name":"r","newField":[1]}', identifier_pb2.RunIdentifier).name == "r"


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05o", b"\x0a", b"\x0b" * 200])
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a flyteidl2\.common\.RunIdentifier"):
        PROTO.decode(body, identifier_pb2.RunIdentifier)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'{"name": 5}', b'{"name": {}}', b"[" * 100_000, b'{"x":' * 100_000]
)
def test_json_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a flyteidl2\.common\.RunIdentifier"):
        JSON.decode(body, identifier_pb2.RunIdentifier)
