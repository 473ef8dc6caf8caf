"""What a literal is, in words, whatever type it should have had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from flyte_lite._literals.binary import TAG, unpack
from flyte_lite._literals.generic import from_struct
from flyte_lite._literals.misfit import Misfit, clip, show

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal


def misread(expected: str, literal: Literal) -> Misfit:
    """The literal is not what its type says, or it is of a kind that is not in it."""

    def text() -> str:
        which = _which(literal)
        if which == "offloaded_metadata":
            stored = literal.offloaded_metadata
            return (
                f"expected {expected}, but its value is stored at {clip(stored.uri)} ({stored.size_bytes} bytes) "
                "and is not fetched from there"
            )
        if which == "binary":
            return f"expected {expected}, but binary values of format {show(literal.scalar.binary.tag)} are not known"
        return f"expected {expected}, got {_SHOW[which](literal) if which in _SHOW else 'a literal without a value'}"

    return Misfit(text)


def unpacked(expected: str, literal: Literal, read: Reader) -> Any:
    """The value of a literal that is none of this type by itself, but may hold one as msgpack or as JSON.

    Raises:
        Misfit: It does not.
    """
    if literal.WhichOneof("value") == "scalar":
        scalar = literal.scalar
        which = scalar.WhichOneof("value")
        if which == "binary" and scalar.binary.tag == TAG:
            return read(unpack(scalar.binary.value))
        if which == "generic":
            return read(from_struct(scalar.generic))
    raise misread(expected, literal)


def _which(literal: Literal) -> str:
    """The innermost field that is set; of a binary also its format."""
    which: str = literal.WhichOneof("value") or ""
    if which == "scalar":
        which = literal.scalar.WhichOneof("value") or ""
    if which == "binary" and literal.scalar.binary.tag in ("", TAG):
        return "binary msgpack" if literal.scalar.binary.tag else "binary pickle"
    return which


def _primitive(literal: Literal) -> str:
    primitive = literal.scalar.primitive
    which = primitive.WhichOneof("value")
    if which in ("datetime", "duration"):
        return "a datetime" if which == "datetime" else "a timedelta"
    return show(getattr(primitive, which)) if which else "a primitive without a value"


def _blob(literal: Literal) -> str:
    blob = literal.scalar.blob
    return f"a {'folder' if blob.metadata.type.dimensionality else 'file'} {clip(blob.uri)!r}"


_SHOW: dict[str, Callable[[Literal], str]] = {
    "binary msgpack": lambda literal: "a value packed with msgpack",
    "binary pickle": lambda literal: "a pickle",
    "blob": _blob,
    "generic": lambda literal: "a JSON struct",
    "schema": lambda literal: f"a table {clip(literal.scalar.schema.uri)!r}",
    "structured_dataset": lambda literal: f"a DataFrame {clip(literal.scalar.structured_dataset.uri)!r}",
    "collection": lambda literal: f"a list of {len(literal.collection.literals)}",
    "error": lambda literal: f"an error: {clip(literal.scalar.error.message)}",
    "map": lambda literal: f"a dict of {len(literal.map.literals)}",
    "none_type": lambda literal: "None",
    "primitive": _primitive,
    "union": lambda literal: "a value of a union",
}


def is_primitive(field: str) -> Callable[[Literal], bool]:
    """Says of a literal whether it is the primitive `field`."""
    return lambda literal: literal.scalar.primitive.WhichOneof("value") == field
