"""JSON as Go's protojson reads it, whichever protobuf is installed."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format

from flyte_lite.devbox.protocols import protojson
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2 as pb

LIST, CREATE, GROUPS = pb.ListRunsRequest, pb.CreateRunRequest, pb.WatchGroupsRequest


@pytest.mark.parametrize(
    ("kind", "text", "read"),
    [
        (LIST, " \n{}\n ", {}),
        (LIST, '{"request":{"limit":"5","sortBy":{"direction":"SIDEWAYS","key":"a"}}}', {"limit": 5, "key": "a"}),
        (LIST, '{"request":{"limit":5.0,"sort_by":{"key":"a"}}}', {"limit": 5, "key": "a"}),
        (LIST, '{"request":{"limit":"5e0"}}', {"limit": 5}),
        (LIST, '{"request":{"limit":"50.0e-1"}}', {"limit": 5}),
        (LIST, '{"request":{"limit":5,"sortBy":null,"filters":null}}', {"limit": 5}),
        (LIST, '{"request":{"limit":5,"newer":{"a":[null,{"b":1,"b":2}]}},"x":1,"x":2}', {"limit": 5}),
        (LIST, '{"request":{"token":"\\ud83d\\ude00"}}', {"token": "\U0001f600"}),
        (CREATE, '{"source":"RUN_SOURCE_NOPE"}', {}),
        (CREATE, '{"source":"2"}', {}),
        (CREATE, '{"source":2}', {"source": "RUN_SOURCE_CLI"}),
        (CREATE, '{"source":"RUN_SOURCE_CLI"}', {"source": "RUN_SOURCE_CLI"}),
        (CREATE, '{"runId":{"name":"a"},"projectId":null}', {"name": "a"}),
        (CREATE, '{"runSpec":{"labels":{"values":{"a":"b"}}}}', {"a": "b"}),
    ],
)
def test_what_go_reads(kind: Any, text: str, read: dict[str, Any]) -> None:
    found: dict[str, Any] = {}

    def flatten(value: Any) -> None:
        for key, item in value.items():
            if isinstance(item, dict):
                flatten(item)
            else:
                found[key] = item

    flatten(json_format.MessageToDict(protojson.read(text.encode(), kind)))
    assert found == read


def test_unknown_names_in_a_list_of_messages_leave_the_rest() -> None:
    text = b'{"request":{"filters":[{"function":"NOPE","field":"phase","values":["1"]}]}}'

    (each,) = protojson.read(text, LIST).request.filters  # type: ignore[attr-defined]
    assert (each.function, each.field, list(each.values)) == (0, "phase", ["1"])


def test_instants_and_large_numbers() -> None:
    groups = protojson.read(b'{"startDate":"2026-01-01T01:00:00.5+01:00"}', GROUPS)
    assert groups.start_date.nanos == 500_000_000  # type: ignore[attr-defined]
    text = b'{"inputs":{"literals":[{"value":{"scalar":{"primitive":{"integer":"9007199254740993"}}}}]}}'
    (literal,) = protojson.read(text, CREATE).inputs.literals  # type: ignore[attr-defined]
    assert literal.value.scalar.primitive.integer == 9007199254740993


@pytest.mark.parametrize(
    "text",
    [
        *(
            "null",
            "[]",
            "7",
            '"x"',
            "{} {}",
            "{",
            "{'a':1}",
            '{"a":1,}',
            "\ufeff{}",
            '{"org":"a\nb"}',
            '{"org":"\\ud83d"}',
        ),
        *(
            '{"org":NaN}',
            '{"request":[]}',
            '{"request":"x"}',
            '{"request":{"filters":[null]}}',
            '{"request":{"filters":{}}}',
        ),
        *(
            '{"org":"a","org":"b"}',
            '{"request":{"sortBy":{},"sort_by":{}}}',
            '{"request":{"sortBy":null,"sort_by":{}}}',
        ),
        *('{"org":"a","projectId":{}}', '{"pausedActionsOnly":"true"}', '{"pausedActionsOnly":1}', '{"org":5}'),
        *(
            f'{{"request":{{"limit":{bad}}}}}'
            for bad in ('" 5"', '"1_0"', '"0x5"', '""', "5.5", '"5.5"', "true", "1e400")
        ),
        *(f'{{"request":{{"limit":{bad}}}}}' for bad in ("99999999999", '"99999999999"', '"1e99"', '"05"')),
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=lambda text: str(text)[:40],
)
def test_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        protojson.read(text.encode(), LIST)


@pytest.mark.parametrize("data", [b'{"org":"\xff"}', '{"org":"a"}'.encode("utf-16")])
def test_json_is_utf_8(data: bytes) -> None:
    with pytest.raises(ValueError, match="codec can't decode"):
        protojson.read(data, LIST)


@pytest.mark.parametrize("values", ['{"a":null}', '{"a":"b","a":"c"}', '["a"]', '{"a":1}'])
def test_maps_are_objects_of_texts(values: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        protojson.read(f'{{"runSpec":{{"labels":{{"values":{values}}}}}}}'.encode(), CREATE)
