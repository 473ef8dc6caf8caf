"""ERROR: why a node failed, as its handler gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite._literals.given import is_dict
from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import unexpected
from flyte_lite._literals.records import Record
from flyte_lite._literals.shapes import misread

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Encoder
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

_FIELDS = ("failed_node_id", "message")


def _encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    def encode(value: Any, into: Literal) -> None:
        if not is_dict(value) or set(value) != set(_FIELDS) or not all(isinstance(value[key], str) for key in _FIELDS):
            raise unexpected("an error that a run gave: a dict of failed_node_id and message", value)
        error = into.scalar.error
        try:
            error.failed_node_id, error.message = value["failed_node_id"], value["message"]
        except ValueError:
            raise unexpected("an error", value, ", which is not valid Unicode") from None
        error.SetInParent()

    return encode


def _decode(literal: Literal) -> Any:
    if literal.scalar.WhichOneof("value") != "error":
        raise misread("Error", literal)
    return Record({name: getattr(literal.scalar.error, name) for name in _FIELDS}, "Error")


def _read(value: Any) -> Any:
    raise unexpected("Error", value)


ERROR = Kind(
    tag="Error",
    describe=lambda literal_type, plan: "Error",
    encoder=_encoder,
    decoder=lambda literal_type, plan: _decode,
    reader=lambda literal_type, plan: _read,
    reads=lambda literal: literal.scalar.WhichOneof("value") == "error",
)
