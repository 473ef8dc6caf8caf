"""Enums and `typing.Literal`: one of a few texts. On the wire stand the names of an enum's members, not the values."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Callable

from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, clip, unexpected
from flyte_lite._literals.shapes import is_primitive, unpacked

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder, Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

_NAMED = 12


class DynamicEnum(str, enum.Enum):
    """A member of an enum whose class is not here: a text that also has `.name` and `.value`, both that text.

    The class has no members of its own, as any text may come from the wire, also one that no Python class could have as
    a member. Members are made by `member`.
    """

    @classmethod
    def member(cls, name: str) -> DynamicEnum:
        """The member of that name."""
        # What `enum.Flag` does for combinations; calling the class would look for a declared member.
        made = str.__new__(cls, name)
        made._name_ = made._value_ = name
        return made

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[[str], DynamicEnum], tuple[str]]:
        return DynamicEnum.member, (str.__str__(self),)

    # One text on every Python: they differ in what a str enum prints.
    def __str__(self) -> str:
        return str.__str__(self)

    def __format__(self, spec: str) -> str:
        return format(str.__str__(self), spec)

    # Of a shared class without members Python 3.12 would make something else than 3.9.
    def __repr__(self) -> str:
        return f"<DynamicEnum.{str.__str__(self)}: {str.__repr__(self)}>"

    def __hash__(self) -> int:
        return str.__hash__(self)


def _options(literal_type: LiteralType) -> str:
    values = literal_type.enum_type.values
    more = [f"... {len(values) - _NAMED} more"] if len(values) > _NAMED else []
    return ", ".join([clip(repr(value)) for value in values[:_NAMED]] + more)


def _encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    allowed = frozenset(literal_type.enum_type.values)

    def encode(value: Any, into: Literal) -> None:
        # A member goes by its name; of a Literal[...] there is no member, so there the member's value counts.
        tried = (value.name, value.value) if isinstance(value, enum.Enum) else (value,)
        for text in tried:
            if isinstance(text, str) and text in allowed:
                into.scalar.primitive.string_value = text if type(text) is str else str.__str__(text)
                return
        if not allowed:
            raise Misfit("expected a member of an enum, but this enum has none")
        near = [name for name in allowed if isinstance(value, str) and name.casefold() == value.casefold()]
        hint = f" (did you mean {near[0]!r}?)" if len(near) == 1 else ""
        raise unexpected(f"one of {_options(literal_type)}", value, hint)

    return encode


def _decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    read = _reader(literal_type, plan)
    expected = _expected(literal_type)

    def decode(literal: Literal) -> Any:
        primitive = literal.scalar.primitive
        if primitive.WhichOneof("value") == "string_value":
            return read(primitive.string_value)
        return unpacked(expected, literal, read)

    return decode


def _expected(literal_type: LiteralType) -> str:
    return f"one of {_options(literal_type)}" if literal_type.enum_type.values else "a member of an enum without any"


def _reader(literal_type: LiteralType, plan: Plan) -> Reader:
    members = {value: DynamicEnum.member(value) for value in literal_type.enum_type.values}
    expected = _expected(literal_type)

    def read(value: Any) -> DynamicEnum:
        found = members.get(value) if type(value) is str else None
        if found is None:
            raise unexpected(expected, value)
        return found

    return read


ENUM = Kind(
    tag="DefaultEnumTransformer",
    describe=lambda literal_type, plan: f"Literal[{_options(literal_type)}]",
    encoder=_encoder,
    decoder=_decoder,
    reader=_reader,
    reads=is_primitive("string_value"),
)
