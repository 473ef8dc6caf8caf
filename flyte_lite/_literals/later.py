"""Kinds that are known by name only: they can be described, but neither written nor read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, clip, unexpected
from flyte_lite._literals.shapes import misread

if TYPE_CHECKING:
    from typing import Callable

    from flyte_lite._literals.kinds import Decoder, Encoder
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


def _later(tag: str, name: Callable[[LiteralType], str]) -> Kind:
    def encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
        def encode(value: Any, into: Literal) -> None:
            raise unexpected(name(literal_type), value, f", and {name(literal_type)} values can't be written yet")

        return encode

    def decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
        def decode(literal: Literal) -> Any:
            raise misread(name(literal_type), literal)

        return decode

    return Kind(
        tag=tag,
        describe=lambda literal_type, plan: name(literal_type),
        encoder=encoder,
        decoder=decoder,
        reads=lambda literal: False,
    )


def _metadata(literal_type: LiteralType, key: str) -> str:
    fields = literal_type.metadata.fields
    return clip(fields[key].string_value) if key in fields else ""


def _struct(literal_type: LiteralType) -> str:
    """The class that a struct was made of: the schema's title, without what the SDK wraps tuples and dicts in."""
    title = _metadata(literal_type, "title") or _metadata(literal_type, "pb_type").rpartition(".")[2]
    return re.sub("^(Tuple|NamedTuple|TypedDict)Wrapper_", "", title) or "dict"


def _pickled(literal_type: LiteralType) -> str:
    name = _metadata(literal_type, "python_class_name")
    return re.sub(r"^<class '(.*)'>$|^typing\.", r"\1", name) or "Any"


def _blob(literal_type: LiteralType) -> str:
    blob = literal_type.blob
    return "Any" if blob.format == "PythonPickle" else "Dir" if blob.dimensionality else "File"


STRUCT = _later("Typed Dict", _struct)
PICKLE = _later("FlytePickle", _pickled)
BLOB = _later("File", _blob)
FRAME = _later("DataFrame", lambda literal_type: "DataFrame")
BINARY = _later("FlytePickle", lambda literal_type: "bytes")
ERROR = _later("Error", lambda literal_type: "Error")


def _unset(literal_type: LiteralType, plan: Plan) -> Any:
    raise Misfit("its declared type is empty or not known here, so no value can be of it")


UNKNOWN = Kind(
    tag="",
    describe=lambda literal_type, plan: "(a type not known here)",
    encoder=_unset,
    decoder=_unset,
    reads=lambda literal: False,
)
