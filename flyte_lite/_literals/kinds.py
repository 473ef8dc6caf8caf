"""What there is to know about one kind of LiteralType. The kinds themselves are in the modules beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Protocol

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

    # Writes a value into an empty literal; filling in place spares a copy of each message. Raises Misfit.
    Encoder = Callable[[Any, Literal], None]
    # Reads a literal. Raises Misfit.
    Decoder = Callable[[Literal], Any]
    # Reads what was unpacked from msgpack or JSON. Raises Misfit.
    Reader = Callable[[Any], Any]

# Levels of list, dict and union in one type. Protobuf refuses messages nested deeper than 100, and a level takes up to
# three of them; what is deeper could be written but never read again.
MAX_DEPTH = 30


class Plan(Protocol):
    """What a kind is given to make the encoders and decoders of the types inside its own.

    Attributes:
        strict: Encode only what the official SDK takes for this type. Unions ask their variants strictly first, so
            what we take beyond it never makes an official choice ambiguous.
        pickles: Load pickles that are more than plain data.
    """

    @property
    def strict(self) -> bool: ...

    @property
    def pickles(self) -> bool: ...

    def inner(self, strict: bool) -> Plan:
        """The same plan, strict or not."""
        ...

    def encoder(self, literal_type: LiteralType) -> Encoder: ...

    def decoder(self, literal_type: LiteralType) -> Decoder: ...

    def reader(self, literal_type: LiteralType) -> Reader: ...

    def describe(self, literal_type: LiteralType) -> str: ...

    def kind(self, literal_type: LiteralType) -> Kind: ...


class Kind(NamedTuple):
    """One kind of LiteralType: its name, and what makes its encoder and decoder.

    Attributes:
        tag: Name of the official transformer. A union value says by it which variant it is.
        describe: How a person writes the type.
        encoder: Makes the encoder; asked once a type, not once a value.
        decoder: Makes the decoder.
        reader: Makes what reads such a value where it came as msgpack or JSON: a field that was taken out of a struct,
            or what a person typed into the console.
        exact: In a union a value of exactly this class is of this kind, whatever the others would take.
        holds: Whether a value has the outer shape of this kind; the union then tells what is wrong inside it.
        reads: Whether a literal has the outer shape of this kind.
        named: Whether a value is an instance of the class that the type was made of, by its name.
    """

    tag: str
    describe: Callable[[LiteralType, Plan], str]
    encoder: Callable[[LiteralType, Plan], Encoder]
    decoder: Callable[[LiteralType, Plan], Decoder]
    reader: Callable[[LiteralType, Plan], Reader]
    reads: Callable[[Literal], bool]
    exact: Optional[type] = None
    holds: Callable[[Any], bool] = lambda value: False
    named: Callable[[Any, LiteralType], bool] = lambda value, literal_type: False
