"""References to what is stored elsewhere: File, Dir, DataFrame. Nothing is uploaded, downloaded or looked up here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite import io
from flyte_lite._literals.given import is_dict, is_reference, stored_fields
from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, unexpected
from flyte_lite._literals.reading import stored, table
from flyte_lite._literals.shapes import misread, unpacked

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType


def _written(value: Any, name: str, address: Any) -> None:
    if getattr(value, "lazy_uploader", None) is not None:
        raise Misfit(f"this {name} is on this machine only; upload it and give what that returns")
    if not isinstance(address, str):
        raise Misfit(f"this {name} does not say where it is")
    _text(address, f"the address of a {name}")


def _text(value: Any, what: str) -> str:
    """What goes into a field for texts; None is none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unexpected(what, value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise unexpected(what, value, ", which is not valid Unicode") from None
    return str.__str__(value)


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and "://" in value


def _stored_kind(name: str, parts: int, cls: Any) -> Kind:
    hint = f'; give {name}("s3://...") of something that is stored, as nothing is uploaded by itself'

    def fields(value: Any, strict: bool) -> dict[str, Any]:
        if is_reference(value, name):
            _written(value, name, value.path)
            return {"path": value.path, "format": value.format, "hash": value.hash}
        if not strict and _is_address(value):
            _written(value, name, value)
            return stored_fields(str.__str__(value))
        if not strict and is_dict(value) and set(value) <= {"path", "name", "format", "hash"}:
            made = stored(cls, dict(value))
            _written(made, name, made.path)
            return {"path": made.path, "format": made.format, "hash": made.hash}
        raise unexpected(name, value, hint if isinstance(value, str) else "")

    def encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
        strict = plan.strict

        def encode(value: Any, into: Literal) -> None:
            found = fields(value, strict)
            blob = into.scalar.blob
            blob.uri = found["path"]
            of = blob.metadata.type
            of.format = _text(found["format"], f"the format of a {name}")
            of.dimensionality = parts  # type: ignore[assignment]  # the stub wants the enum's own type
            of.SetInParent()
            if found["hash"] is not None:
                into.hash = _text(found["hash"], f"the hash of a {name}")

        return encode

    def decode(literal: Literal) -> Any:
        if literal.scalar.WhichOneof("value") != "blob":
            return unpacked(name, literal, lambda value: stored(cls, value))
        blob = literal.scalar.blob
        if blob.metadata.type.dimensionality != parts:
            raise misread(name, literal)
        return cls(blob.uri, format=blob.metadata.type.format, hash=literal.hash or None)

    return Kind(
        tag=name,
        describe=lambda literal_type, plan: name,
        encoder=encoder,
        decoder=lambda literal_type, plan: decode,
        reader=lambda literal_type, plan: lambda value: stored(cls, value),
        reads=lambda literal: (
            literal.scalar.WhichOneof("value") == "blob" and literal.scalar.blob.metadata.type.dimensionality == parts
        ),
        holds=lambda value: is_reference(value, name),
    )


FILE = _stored_kind("File", 0, io.File)
DIR = _stored_kind("Dir", 1, io.Dir)


def _table_encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    strict = plan.strict
    declared = literal_type.structured_dataset_type

    def encode(value: Any, into: Literal) -> None:
        if not is_reference(value, "DataFrame"):
            if not strict and _is_address(value):
                value = io.DataFrame(str.__str__(value))
            elif not strict and is_dict(value) and set(value) <= {"uri", "format", "hash"}:
                value = table(dict(value))
            else:
                raise unexpected("DataFrame", value, _table_hint(value))
        _written(value, "DataFrame", value.uri or None)
        dataset = into.scalar.structured_dataset
        dataset.uri = value.uri
        of = dataset.metadata.structured_dataset_type
        of.CopyFrom(declared)
        of.format = declared.format or _text(value.format, "the format of a DataFrame")
        of.SetInParent()
        if value.hash is not None:
            into.hash = _text(value.hash, "the hash of a DataFrame")

    return encode


def _table_hint(value: Any) -> str:
    if type(value).__name__ in ("DataFrame", "Table") or isinstance(value, str):
        return '; give DataFrame("s3://...") of one that is stored, as nothing is uploaded by itself'
    return ""


def _table_decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    def decode(literal: Literal) -> Any:
        which = literal.scalar.WhichOneof("value")
        if which == "schema":
            return io.DataFrame(literal.scalar.schema.uri, hash=literal.hash or None)
        if which != "structured_dataset":
            return unpacked("DataFrame", literal, table)
        dataset = literal.scalar.structured_dataset
        of = dataset.metadata.structured_dataset_type
        columns = {column.name: plan.describe(column.literal_type) for column in of.columns}
        return io.DataFrame(dataset.uri, format=of.format, hash=literal.hash or None, columns=columns)

    return decode


FRAME = Kind(
    tag="DataFrame Transformer",
    describe=lambda literal_type, plan: "DataFrame",
    encoder=_table_encoder,
    decoder=_table_decoder,
    reader=lambda literal_type, plan: table,
    reads=lambda literal: literal.scalar.WhichOneof("value") in ("structured_dataset", "schema"),
    holds=lambda value: is_reference(value, "DataFrame"),
)
