"""References as literals: addresses of what is stored, and never anything else."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from flyte_lite import io
from flyte_lite._literals import from_literal, to_literal
from flyte_lite.errors import LiteralError
from flyte_lite.idl.flyteidl2.core import literals_pb2, types_pb2

FILE = types_pb2.LiteralType(blob=types_pb2.BlobType())
DIR = types_pb2.LiteralType(blob=types_pb2.BlobType(dimensionality=types_pb2.BlobType.MULTIPART))
TABLE = types_pb2.LiteralType(structured_dataset_type=types_pb2.StructuredDatasetType())


class Theirs:
    """What the official SDK's classes look like; the name is that of a parameterised one."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(format="", hash=None, name=None, **values)


TheirFile = type("File[str]", (Theirs,), {})


@pytest.mark.parametrize(
    ("value", "declared", "read"),
    [
        (io.File("s3://b/k.csv", format="csv", hash="h"), FILE, io.File("s3://b/k.csv", format="csv", hash="h")),
        (TheirFile(path="s3://b/k"), FILE, io.File("s3://b/k")),
        ("s3://b/ü", FILE, io.File("s3://b/ü")),
        ({"path": "s3://b/k", "format": "csv"}, FILE, io.File("s3://b/k", format="csv")),
        (io.Dir("s3://b/d/"), DIR, io.Dir("s3://b/d/")),
        ("gs://b/d", DIR, io.Dir("gs://b/d")),
        (
            io.DataFrame("s3://b/t", format="parquet", hash="h"),
            TABLE,
            io.DataFrame("s3://b/t", format="parquet", hash="h"),
        ),
        ("s3://b/t", TABLE, io.DataFrame("s3://b/t")),
        ({"uri": "s3://b/t"}, TABLE, io.DataFrame("s3://b/t")),
    ],
)
def test_what_is_given_is_read_as_a_reference(value: Any, declared: Any, read: Any) -> None:
    assert from_literal(to_literal(value, declared), declared) == read


@pytest.mark.parametrize(
    ("value", "declared", "text"),
    [
        ("/tmp/k", FILE, "expected File, got str '/tmp/k'; give File"),
        (pathlib.Path("/tmp/k"), FILE, "expected File, got"),
        (io.Dir("s3://b/d"), FILE, "expected File, got Dir"),
        (io.File("s3://b/d"), DIR, "expected Dir, got File"),
        (TheirFile(path="/tmp/k", lazy_uploader=print), FILE, "this File is on this machine only"),
        (TheirFile(path=5), FILE, "this File does not say where it is"),
        (io.File("s3://b/\ud800"), FILE, "which is not valid Unicode"),
        ({"path": 5}, FILE, "expected File, got"),
        ({"path": "s3://b/k", "format": 5}, FILE, "expected str, got int 5"),
        (io.DataFrame(), TABLE, "this DataFrame does not say where it is"),
        (5, TABLE, "expected DataFrame, got int 5"),
        ("/tmp/t", TABLE, "as nothing is uploaded by itself"),
    ],
)
def test_what_is_no_address_is_refused(value: Any, declared: Any, text: str) -> None:
    with pytest.raises(LiteralError, match=r"^x") as caught:
        to_literal(value, declared, "x")

    assert text in str(caught.value)


def test_columns_of_a_table_are_told() -> None:
    columns = [{"name": "age", "literal_type": {"simple": types_pb2.INTEGER}}]
    declared = types_pb2.LiteralType(structured_dataset_type={"columns": columns, "format": "parquet"})

    read = from_literal(to_literal(io.DataFrame("s3://b/t"), declared), declared)

    assert (read.columns, read.format) == ({"age": "int"}, "parquet")


def test_an_old_schema_is_a_table() -> None:
    literal = literals_pb2.Literal(scalar={"schema": {"uri": "s3://b/t"}})

    assert from_literal(literal, types_pb2.LiteralType(schema={})) == io.DataFrame("s3://b/t")


def test_a_file_is_told_from_a_folder() -> None:
    folder = to_literal(io.Dir("s3://b/d"), DIR)

    with pytest.raises(LiteralError, match=r"^x: expected File, got a folder 's3://b/d'$"):
        from_literal(folder, FILE, "x")
