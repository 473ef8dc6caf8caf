"""Whole launches against those of the official SDK: the inputs that were sent, and the hash that stands for them."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from fakes import FakeChannel

import flyte_lite
from flyte_lite import _session, errors
from flyte_lite._literals import to_literal
from flyte_lite._literals.content_hash import content_hash
from flyte_lite._literals.types import literal_type
from flyte_lite._session import Scope, Session
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.core import interface_pb2, literals_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.task import common_pb2, task_definition_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.io import File
from flyte_lite.remote import TaskDetails

DATA = json.loads((Path(__file__).parent / "data" / "calls.json").read_text(encoding="utf-8"))
CALLS = {call["id"]: call for call in DATA["calls"]}

# Where we do not do what the official SDK did: what happens instead, and why.
DEVIATIONS: dict[str, tuple[Any, str]] = {
    "call.duplicate_positional_keyword": (
        "x is given twice, by position and by name",
        "the official SDK drops the second value without a word, and one of the two is a mistake",
    ),
    "call.optional_without_default": (
        {"a": None},
        "an Optional input without a stored default can be nothing else than None",
    ),
}
# What is refused there and here; the words differ, as ours name every problem.
REFUSED = {
    "call.too_many_keywords": "nope is unknown",
    "call.too_many_positional": "4 positional inputs are given and there are 3",
    "call.none_typed_without_default": "a is missing (None)",
    "call.type_error_names_argument": "x: expected int, got str 'a'",
    "call.explicit_none_for_default": "y: expected str, got None",
}


@pytest.fixture(autouse=True)
def no_default_left_behind() -> Iterator[None]:
    yield
    _session.set_default(None)


def names(call: dict[str, Any]) -> dict[str, Any]:
    """The names that a call's texts assume."""
    known: dict[str, Any] = {"__name__": "user_code"}
    source = f"from dataclasses import dataclass\nfrom flyte_lite.io import DataFrame, Dir, File\n{call['setup']}"
    # As it stands: this module's own `annotations` from the future are not for it.
    exec(compile(source, "<call>", "exec", dont_inherit=True), known)
    return known


def details(call: dict[str, Any]) -> TaskDetails:
    pb2 = task_definition_pb2.TaskDetails()
    pb2.task_id.name = "env.task"
    template = pb2.spec.task_template
    template.interface.CopyFrom(interface_pb2.TypedInterface.FromString(base64.b64decode(call["interface_b64"])))
    for default in call["defaults"]:
        parameter = pb2.spec.default_inputs.add(name=default["name"]).parameter
        parameter.default.CopyFrom(literals_pb2.Literal.FromString(base64.b64decode(default["literal_b64"])))
    return TaskDetails(pb2)


def launched(call: dict[str, Any]) -> FakeChannel:
    """What was sent for the call."""
    channel = FakeChannel()
    channel.on("ClusterService/SelectCluster", payload_pb2.SelectClusterResponse(cluster_endpoint="http://fake:80"))
    stored = dataproxy_service_pb2.UploadInputsResponse()
    stored.offloaded_input_data.uri = "s3://b/inputs"
    stored.offloaded_input_data.inputs_hash = "server-hash"
    channel.on("DataProxyService/UploadInputs", stored)
    created = run_service_pb2.CreateRunResponse()
    created.run.action.id.run.name = "r1"
    channel.on("RunService/CreateRun", created)
    _session.set_default(Session(channel, Scope("", "p", "d"), "http://console"))  # type: ignore[arg-type]
    known = names(call)
    flyte_lite.run(details(call), *eval(call["args_repr"], known), **eval(call["kwargs_repr"], known))
    return channel


def sent(channel: FakeChannel, method: str) -> Any:
    (message,) = [message for called, message in channel.calls if called == method]
    return message


def raw(message: Any) -> bytes:
    made: bytes = message.SerializeToString(deterministic=True)
    return made


@pytest.mark.parametrize(
    "name", [name for name, call in CALLS.items() if call.get("inputs_b64") and name not in DEVIATIONS]
)
def test_the_inputs_and_their_hash_are_the_official_ones(name: str) -> None:
    call = CALLS[name]

    channel = launched(call)

    official = common_pb2.Inputs.FromString(base64.b64decode(call["inputs_b64"]))
    assert raw(sent(channel, "DataProxyService/UploadInputs").inputs) == raw(official)
    assert sent(channel, "RunService/CreateRun").offloaded_input_data.inputs_hash == call["inputs_hash"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_there_is_refused_here(name: str) -> None:
    assert "exception" in CALLS[name]

    with pytest.raises(errors.InputsError) as caught:
        launched(CALLS[name])

    assert REFUSED[name] in str(caught.value)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_where_we_differ(name: str) -> None:
    instead, reason = DEVIATIONS[name]
    assert len(reason) > 40

    with contextlib.ExitStack() as stack:
        if isinstance(instead, str):
            assert "exception" not in CALLS[name], "no deviation any more"
            stack.enter_context(pytest.raises(errors.InputsError, match=instead))
        channel = launched(CALLS[name])
        assert "exception" in CALLS[name], "no deviation any more"
        inputs = sent(channel, "DataProxyService/UploadInputs").inputs
        assert [item.name for item in inputs.literals] == list(instead)
        assert inputs.literals[0].value.scalar.union.value.scalar.HasField("none_type")


def test_each_call_is_looked_at() -> None:
    assert len(CALLS) == 20
    assert {name for name, call in CALLS.items() if call.get("inputs_b64")} ^ set(REFUSED) == set(CALLS) - {
        "call.optional_without_default"
    }


def inputs(**values: Any) -> common_pb2.Inputs:
    made = common_pb2.Inputs()
    for name, value in values.items():
        declared = literal_type(type(value) if not isinstance(value, list) else list[File])
        made.literals.add(name=name, value=to_literal(value, declared))
    return made


def test_what_does_not_count_is_left_out_of_the_hash() -> None:
    with_number, alone = inputs(f=File("s3://b/f", hash="h"), n=5), inputs(f=File("s3://b/f", hash="h"))

    assert content_hash(with_number, ["n"]) == content_hash(alone)
    assert content_hash(with_number) != content_hash(alone)
    assert content_hash(with_number, ["f"]) is None


@pytest.mark.parametrize("hashed", ["h", None])
def test_a_hash_counts_wherever_it_is(hashed: Optional[str]) -> None:
    assert (content_hash(inputs(fs=[File("s3://b/f", hash=hashed)])) is None) == (hashed is None)


def test_bytes_that_are_no_msgpack_are_hashed_as_they_stand() -> None:
    broken = inputs(f=File("s3://b/f", hash="h"), n=5)
    broken.literals[1].value.scalar.binary.tag = "msgpack"
    broken.literals[1].value.scalar.binary.value = b"\xc1"

    assert content_hash(broken)
