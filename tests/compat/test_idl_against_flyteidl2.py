"""Our wire types are those of the official `flyteidl2`, and the two can share a process.

Without `flyteidl2` these tests fail: a skip would look like agreement.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from flyte_lite import idl
from flyte_lite.idl import _pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

FOLDER = Path(idl.__file__).parent
MODULES = sorted(".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("*_pb2.py"))
FILES = [module[: -len("_pb2")].replace(".", "/") + ".proto" for module in MODULES]

SERVICES = {
    "flyteidl2.app.AppLogsService",
    "flyteidl2.app.AppService",
    "flyteidl2.auth.AuthMetadataService",
    "flyteidl2.auth.IdentityService",
    "flyteidl2.cluster.ClusterService",
    "flyteidl2.dataproxy.DataProxyService",
    "flyteidl2.project.ProjectService",
    "flyteidl2.secret.SecretService",
    "flyteidl2.settings.SettingsService",
    "flyteidl2.task.TaskService",
    "flyteidl2.trigger.TriggerService",
    "flyteidl2.workflow.EventsProxyService",
    "flyteidl2.workflow.InternalRunService",
    "flyteidl2.workflow.RunService",
}


@pytest.fixture(scope="module")
def official() -> Any:
    """The pool of the process, with the official files in it."""
    for module in MODULES:
        importlib.import_module(module)
    return descriptor_pool.Default()


def described(pool: Any) -> Iterator[tuple[str, set[str]]]:
    """Each message, enum and service in our files, as a set of statements that can be compared."""
    for name in FILES:
        file = descriptor_pb2.FileDescriptorProto()
        pool.FindFileByName(name).CopyToProto(file)
        yield from messages(pool, file.message_type, name, file.package)
        yield from enums(file.enum_type, name, file.package)
        for service in file.service:
            yield (
                f"service {file.package}.{service.name}",
                {f"in {name}"}
                | {
                    f"rpc {method.name}({'stream ' * method.client_streaming}{method.input_type})"
                    f" returns ({'stream ' * method.server_streaming}{method.output_type})"
                    f" idempotency {method.options.idempotency_level}"
                    for method in service.method
                },
            )


def messages(
    pool: Any, these: Iterable[descriptor_pb2.DescriptorProto], file: str, outer: str
) -> Iterator[tuple[str, set[str]]]:
    for message in these:
        name = f"{outer}.{message.name}"
        json_names = {field.name: field.json_name for field in pool.FindMessageTypeByName(name).fields}
        facts = {f"in {file}", f"map_entry {message.options.map_entry}"}
        for field in message.field:
            oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else "-"
            facts.add(
                f"{field.name} = {field.number}: type {field.type} {field.type_name} label {field.label} oneof {oneof}"
                f" optional {field.proto3_optional} json {json_names[field.name]} packed {field.options.packed or '-'}"
            )
        yield f"message {name}", facts
        yield from messages(pool, message.nested_type, file, name)
        yield from enums(message.enum_type, file, name)


def enums(these: Iterable[descriptor_pb2.EnumDescriptorProto], file: str, outer: str) -> Iterator[tuple[str, set[str]]]:
    for enum in these:
        yield f"enum {outer}.{enum.name}", {f"in {file}"} | {f"{value.name} = {value.number}" for value in enum.value}


def test_every_type_and_service_of_ours_is_the_official_one(official: Any) -> None:
    ours, theirs = dict(described(_pool.pool())), dict(described(official))

    differences = [
        f"{name}: {who} {fact}"
        for name, facts in sorted(ours.items())
        for who, only in (
            ("only ours", facts - theirs.get(name, set())),
            ("only theirs", theirs.get(name, set()) - facts),
        )
        for fact in sorted(only)
    ]

    assert differences == []
    assert sum(name.startswith("message flyteidl2.") for name in ours) > 380
    assert {name[len("service ") :] for name in ours if name.startswith("service ")} == SERVICES


def all_messages() -> list[str]:
    def walk(message: Descriptor) -> Iterator[str]:
        if not message.GetOptions().map_entry:
            yield message.full_name
        for nested in message.nested_types:
            yield from walk(nested)

    pool = _pool.pool()
    found = [pool.FindFileByName(file).message_types_by_name.values() for file in FILES]
    return sorted(name for each in found for message in each for name in walk(message))


SCALARS: dict[str, Any] = {"string": "ä", "bytes": b"\x00\xff", "bool": True, "double": -1.5, "float": 0.25}


def fill(message: Message, depth: int) -> None:
    """Something other than the default in every field; of a oneof, in its last."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, content = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            if content.message_type is None:
                value[scalar(key)] = scalar(content)
            elif depth:
                fill(value[scalar(key)], depth - 1)
        elif field.message_type is not None:
            if hasattr(value, "add"):
                value = value.add()
            else:
                value.SetInParent()
            if depth:
                fill(value, depth - 1)
        elif hasattr(value, "extend") and not isinstance(value, bytes):
            value.extend([scalar(field), scalar(field)])
        else:
            setattr(message, field.name, scalar(field))


def scalar(field: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    kinds = {getattr(field, f"TYPE_{kind.upper()}"): value for kind, value in SCALARS.items()}
    return kinds.get(field.type, 7)


def test_every_message_filled_by_us_is_read_alike_by_the_official_class_and_back(official: Any) -> None:
    names = all_messages()
    for name in names:
        their_class = message_factory.GetMessageClass(official.FindMessageTypeByName(name))
        ours = idl.message_class(name)()
        fill(ours, depth=3)

        theirs = their_class.FromString(ours.SerializeToString())

        # A field that one side does not know, or knows by another type, is printed differently.
        assert text_format.MessageToString(theirs) == text_format.MessageToString(ours), name
        assert idl.own(theirs, type(ours)) == ours, name
    assert len(names) > 370


THEIRS = "from flyteidl2.workflow import run_service_pb2 as theirs"
OURS = """
from flyte_lite.idl import own
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2 as ours
ours.CreateRunRequest()
"""


@pytest.mark.parametrize("imports", [[THEIRS, OURS], [OURS, THEIRS]], ids=["theirs first", "ours first"])
@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_both_work_in_one_process(imports: list[str], implementation: str) -> None:
    code = "\n".join(imports) + textwrap.dedent(
        """
        made = theirs.CreateRunRequest()
        made.run_id.name = "r1"
        made.run_start_time.GetCurrentTime()
        mine = own(made, ours.CreateRunRequest)
        assert type(mine) is ours.CreateRunRequest and mine.run_id.name == "r1"
        assert mine.run_start_time.ToDatetime() == made.run_start_time.ToDatetime()
        assert theirs.CreateRunRequest.FromString(mine.SerializeToString()) == made
        print("good")
        """
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(FOLDER.parent.parent),
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.strip() == "good", done.stderr
