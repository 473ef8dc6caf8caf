"""What a literal is, in words, whatever type it should have had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from flyte_lite._literals.misfit import Misfit, clip, show

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal


def misread(expected: str, literal: Literal) -> Misfit:
    """The literal is not what its type says, or it is of a kind that can't be read yet."""

    def text() -> str:
        which = _which(literal)
        if which in _LATER:
            return f"expected {expected}, but {_LATER[which]} can't be read yet"
        if which == "binary":
            return f"expected {expected}, but binary values of format {show(literal.scalar.binary.tag)} are not known"
        return f"expected {expected}, got {_SHOW[which](literal) if which in _SHOW else 'a literal without a value'}"

    return Misfit(text)


def _which(literal: Literal) -> str:
    """The innermost field that is set; of a binary also its format."""
    which: str = literal.WhichOneof("value") or ""
    if which == "scalar":
        which = literal.scalar.WhichOneof("value") or ""
    if which == "binary" and literal.scalar.binary.tag in ("", "msgpack"):
        return "binary msgpack" if literal.scalar.binary.tag else "binary pickle"
    return which


def _primitive(literal: Literal) -> str:
    primitive = literal.scalar.primitive
    which = primitive.WhichOneof("value")
    if which in ("datetime", "duration"):
        return "a datetime" if which == "datetime" else "a timedelta"
    return show(getattr(primitive, which)) if which else "a primitive without a value"


_LATER = {
    "binary msgpack": "binary msgpack values",
    "binary pickle": "pickled values",
    "blob": "files and folders",
    "generic": "JSON struct values",
    "offloaded_metadata": "offloaded values",
    "schema": "schema values",
    "structured_dataset": "DataFrames",
}
_SHOW: dict[str, Callable[[Literal], str]] = {
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
