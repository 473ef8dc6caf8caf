"""The wire types: made when first asked for, in a pool of their own, and typed by stubs that tell the truth."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from flyte_lite import idl
from flyte_lite.idl import _pool
from flyte_lite.idl.flyteidl2.common import identifier_pb2, phase_pb2
from flyte_lite.idl.flyteidl2.core import literals_pb2
from flyte_lite.idl.flyteidl2.task import run_pb2, task_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.idl.google.protobuf import struct_pb2, timestamp_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
    from google.protobuf.message import Message

FOLDER = Path(idl.__file__).parent
MODULES = sorted(".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("*_pb2.py"))


def in_fresh_python(code: str, **environment: str) -> str:
    """What `code` prints in an interpreter that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent.parent), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Loading


def test_importing_every_module_loads_no_protobuf() -> None:
    imports = "\n".join(f"import flyte_lite.idl.{module}" for module in MODULES)

    loaded = in_fresh_python(
        f"{imports}\nimport sys\nprint([name for name in sys.modules if name.startswith('google')])"
    )

    assert loaded == "[]"


def test_asking_a_module_for_what_tools_ask_for_loads_no_protobuf() -> None:
    loaded = in_fresh_python(
        """
        import inspect, sys
        from flyte_lite.idl.flyteidl2.common import identifier_pb2
        inspect.unwrap(identifier_pb2), hasattr(identifier_pb2, "__path__"), hasattr(identifier_pb2, "__all__")
        print("google.protobuf" in sys.modules)
        """
    )

    assert loaded == "False"


def test_a_name_can_be_imported_from_its_module() -> None:
    assert (
        in_fresh_python(
            """
        from flyte_lite.idl.flyteidl2.common.identifier_pb2 import RunIdentifier
        print(RunIdentifier(name="r1"))
        """
        )
        == 'name: "r1"'
    )


def test_the_pool_of_the_process_stays_as_it_was() -> None:
    found = in_fresh_python(
        """
        from google.protobuf import descriptor_pool
        from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
        run_service_pb2.CreateRunRequest()
        for file in "flyteidl2/workflow/run_service", "google/protobuf/timestamp", "google/rpc/status":
            try:
                print(descriptor_pool.Default().FindFileByName(f"{file}.proto").name)
            except KeyError:
                pass
        """
    )

    assert found == ""


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_threads_that_race_for_the_first_message_get_the_same_classes(implementation: str) -> None:
    distinct = in_fresh_python(
        """
        import sys, threading
        from flyte_lite.idl import message_class
        from flyte_lite.idl.flyteidl2.common import identifier_pb2
        from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2

        sys.setswitchinterval(1e-6)
        count = 16
        start, got = threading.Barrier(count), []
        takes = [
            lambda: run_service_pb2.CreateRunRequest,
            lambda: run_definition_pb2.Run,
            lambda: identifier_pb2.RunIdentifier,
            lambda: message_class("flyteidl2.common.RunIdentifier"),
        ]

        def race(number):
            start.wait()
            got.extend(takes[(number + turn) % 4]() for turn in range(4))

        threads = [threading.Thread(target=race, args=(number,)) for number in range(count)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(got), sorted(each.DESCRIPTOR.full_name for each in set(got)))
        """,
        PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation,
    )

    names = ["flyteidl2.common.RunIdentifier", "flyteidl2.workflow.CreateRunRequest", "flyteidl2.workflow.Run"]
    assert distinct == f"64 {names}"


def test_the_blob_is_small() -> None:
    assert len((FOLDER / "descriptors.bin").read_bytes()) < 40_000


# What a module offers


def test_a_message_is_built_with_keywords_and_read_back() -> None:
    request = run_service_pb2.CreateRunRequest(run_id=identifier_pb2.RunIdentifier(project="p", name="r1"))

    read = run_service_pb2.CreateRunRequest.FromString(request.SerializeToString())

    assert read == request
    assert read.WhichOneof("id") == "run_id"
    assert read.run_id.name == "r1"


def test_a_name_is_resolved_once() -> None:
    assert run_service_pb2.CreateRunRequest is run_service_pb2.CreateRunRequest
    assert "CreateRunRequest" in vars(run_service_pb2)
    assert idl.message_class("flyteidl2.workflow.CreateRunRequest") is run_service_pb2.CreateRunRequest


def test_enums_are_as_in_generated_code() -> None:
    phase = phase_pb2.ActionPhase

    assert phase_pb2.ACTION_PHASE_RUNNING == phase.ACTION_PHASE_RUNNING == phase.Value("ACTION_PHASE_RUNNING") == 4
    assert phase.Name(phase_pb2.ACTION_PHASE_RUNNING) == "ACTION_PHASE_RUNNING"
    assert dict(phase.items())["ACTION_PHASE_FAILED"] == 6
    with pytest.raises(ValueError, match="no name defined for value 99"):
        phase.Name(phase.ValueType(99))


def test_nested_types_are_attributes_of_their_message() -> None:
    nested = task_service_pb2.ListTasksRequest.KnownFilter(is_entrypoint=True)

    assert task_service_pb2.ListTasksRequest(known_filters=[nested]).known_filters[0].is_entrypoint
    assert run_definition_pb2.ErrorInfo.Kind.Name(run_definition_pb2.ErrorInfo.KIND_USER) == "KIND_USER"


def test_nested_types_are_there_in_the_pure_python_implementation() -> None:
    assert (
        in_fresh_python(
            """
        from flyte_lite.idl.flyteidl2.task import task_service_pb2
        from flyte_lite.idl.flyteidl2.workflow.run_definition_pb2 import ErrorInfo
        print(task_service_pb2.ListTasksRequest.KnownFilter().DESCRIPTOR.full_name, ErrorInfo.KIND_USER)
        """,
            PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python",
        )
        == "flyteidl2.task.ListTasksRequest.KnownFilter 1"
    )


def test_well_known_types_have_their_helpers() -> None:
    when = timestamp_pb2.Timestamp()
    when.FromJsonString("2026-01-02T03:04:05Z")
    struct = struct_pb2.Struct()
    struct.update({"a": 1, "b": None})

    assert when.ToDatetime().isoformat() == "2026-01-02T03:04:05"
    assert dict(struct.items()) == {"a": 1, "b": None}


def test_services_tell_which_calls_only_read() -> None:
    service = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]
    only_reads = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS

    levels = {method.name: method.GetOptions().idempotency_level for method in service.methods}

    assert levels["GetRunDetails"] == levels["ListRuns"] == only_reads
    assert levels["CreateRun"] != only_reads


def test_map_fields_are_maps() -> None:
    assert dict(run_pb2.Labels(values={"team": "a"}).values) == {"team": "a"}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"identifier_pb2' has no attribute 'Nonsense'"):
        identifier_pb2.Nonsense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(KeyError):
        idl.message_class("flyteidl2.common.Nonsense")


def test_dir_lists_what_can_be_had() -> None:
    listed = dir(phase_pb2)

    assert {"ActionPhase", "ACTION_PHASE_RUNNING", "DESCRIPTOR"} <= set(listed)
    assert all(hasattr(phase_pb2, name) for name in listed)


# Other people's messages


def foreign_class(full_name: str, *, newer: bool = False) -> type[Message]:
    """A class of the same protobuf type in another pool; `newer` has a field that ours does not know."""
    descriptor: Any = idl.message_class(full_name).DESCRIPTOR
    other = descriptor_pool.DescriptorPool()

    def add(file: FileDescriptor) -> None:
        for needed in file.dependencies:
            add(needed)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        if newer and file is descriptor.file:
            field = next(each for each in proto.message_type if each.name == descriptor.name).field.add()
            field.name, field.number, field.type, field.label = (
                "brand_new",
                1000,
                field.TYPE_STRING,
                field.LABEL_OPTIONAL,
            )
        other.AddSerializedFile(proto.SerializeToString())

    add(descriptor.file)
    found = other.FindMessageTypeByName(full_name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)
    factory = message_factory.MessageFactory(other)
    made: type[Message] = factory.GetPrototype(found)  # type: ignore[attr-defined]
    return made


def test_a_message_of_ours_is_taken_as_it_is() -> None:
    literal = literals_pb2.Literal(hash="h")

    assert idl.own(literal, literals_pb2.Literal) is literal


def test_a_message_of_somebody_elses_class_is_taken_by_its_bytes() -> None:
    theirs = foreign_class("flyteidl2.core.Literal")(hash="h")

    ours = idl.own(theirs, literals_pb2.Literal)

    assert type(ours) is literals_pb2.Literal
    assert ours == literals_pb2.Literal(hash="h")


def test_fields_that_we_do_not_know_survive() -> None:
    newer = foreign_class("flyteidl2.core.Literal", newer=True)
    theirs = newer(hash="h", brand_new="from the future")

    ours = idl.own(theirs, literals_pb2.Literal)

    assert newer.FromString(ours.SerializeToString()) == theirs


@pytest.mark.parametrize(
    ("message", "came"),
    [
        (5, "int"),
        (None, "NoneType"),
        (literals_pb2.Scalar(), "flyteidl2.core.Scalar"),
        (str, "type"),
    ],
)
def test_anything_else_is_refused_by_name(message: object, came: str) -> None:
    with pytest.raises(TypeError) as caught:
        idl.own(message, literals_pb2.Literal)

    assert str(caught.value) == f"expected flyteidl2.core.Literal, got {came}"


# Stubs


def described_messages(file: FileDescriptor) -> Iterator[tuple[str, list[str]]]:
    """Names of messages (`Outer.Inner`) with the names of their fields."""

    def walk(message: Descriptor, prefix: str) -> Iterator[tuple[str, list[str]]]:
        yield prefix + message.name, [field.name for field in message.fields]
        for nested in message.nested_types:
            yield from walk(nested, f"{prefix}{message.name}.")

    for message in file.message_types_by_name.values():
        yield from walk(message, "")


def stubbed_messages(stub: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The same, from the constructors in a stub."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, list[str]]]:
        for node in body:
            if not isinstance(node, ast.ClassDef):
                continue
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    yield prefix + node.name, [argument.arg for argument in inner.args.kwonlyargs]
            yield from walk(node.body, f"{prefix}{node.name}.")

    return walk(stub.body, "")


@pytest.mark.parametrize("module", MODULES)
def test_a_stub_has_what_its_module_has(module: str) -> None:
    stub = ast.parse((FOLDER / module.replace(".", "/")).with_suffix(".pyi").read_text())
    file: FileDescriptor = importlib.import_module(f"flyte_lite.idl.{module}").DESCRIPTOR
    names = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    names |= {
        node.target.id for node in stub.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    enums: list[EnumDescriptor] = list(file.enum_types_by_name.values())

    assert {name: sorted(fields) for name, fields in stubbed_messages(stub)} == {
        name: sorted(fields) for name, fields in described_messages(file)
    }
    assert {enum.name for enum in enums} | {value.name for enum in enums for value in enum.values} <= names


def test_every_file_in_the_blob_has_a_module_and_every_module_a_stub() -> None:
    stubs = sorted(".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("*.pyi"))

    assert stubs == MODULES
    for module in MODULES:
        path = module[: -len("_pb2")].replace(".", "/") + ".proto"
        assert _pool.pool().FindFileByName(path).name == path
