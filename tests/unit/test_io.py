"""References to stored things are values."""

from __future__ import annotations

import copy
import pickle
from pathlib import PurePosixPath
from typing import Any

import pytest

from flyte_lite.io import DataFrame, Dir, File

REFERENCES: list[Any] = [
    File("s3://b/d/f.csv"),
    File(path="s3://b/f", name="n", format="csv", hash="h"),
    File[str]("s3://b/f"),
    Dir("s3://b/d/"),
    Dir.empty(),
    DataFrame("s3://b/t", format="parquet", hash="h", columns={"b": "str", "a": "int"}),
    DataFrame(),
]


@pytest.mark.parametrize("reference", REFERENCES, ids=repr)
def test_a_copy_is_equal_and_found_in_a_set(reference: Any) -> None:
    for again in (
        copy.copy(reference),
        copy.deepcopy(reference),
        pickle.loads(pickle.dumps(reference)),
        type(reference)(**reference.to_dict()),
    ):
        assert again == reference
        assert hash(again) == hash(reference)
        assert type(again) is type(reference)


@pytest.mark.parametrize("reference", REFERENCES, ids=repr)
def test_it_is_not_changed(reference: Any) -> None:
    with pytest.raises(AttributeError, match="can't be changed"):
        reference.hash = "other"
    with pytest.raises(AttributeError, match="can't be changed"):
        del reference.hash


def test_what_is_not_said_comes_from_the_path() -> None:
    assert File("s3://b/d/f.csv").name == "f.csv"
    assert Dir("s3://b/d/").name == "d"
    assert File("f.csv", name="").name == ""
    assert File(PurePosixPath("/data/f.csv")).path == "/data/f.csv"


def test_other_kinds_and_other_values_differ() -> None:
    assert File("s3://b/x") != Dir("s3://b/x")
    assert File("s3://b/x") != File("s3://b/x", hash="h")
    assert File("s3://b/x") != "s3://b/x"
    assert DataFrame("u", columns={"a": "int"}) != DataFrame("u", columns={"a": "str"})
    assert DataFrame("u", columns={"a": "int", "b": "str"}) == DataFrame("u", columns={"b": "str", "a": "int"})
    assert hash(DataFrame("u", columns={"a": "int", "b": "str"})) == hash(
        DataFrame("u", columns={"b": "str", "a": "int"})
    )


def test_a_cache_key_is_its_hash() -> None:
    assert File.from_existing_remote("s3://b/f", file_cache_key="k") == File("s3://b/f", hash="k")
    assert Dir.from_existing_remote("s3://b/d", dir_cache_key="k") == Dir("s3://b/d", hash="k")
    assert DataFrame.from_existing_remote("s3://b/t", format="csv") == DataFrame("s3://b/t", format="csv")


def test_an_empty_dir_says_so() -> None:
    assert Dir.empty().is_empty
    assert not Dir("s3://b/d").is_empty


def test_it_shows_what_was_said() -> None:
    assert repr(File("s3://b/f.csv")) == "File(path='s3://b/f.csv', name='f.csv')"
    assert repr(DataFrame("u", columns={"a": "int"})) == "DataFrame(uri='u', columns={'a': 'int'})"


def test_a_path_is_a_text() -> None:
    with pytest.raises(TypeError, match="the path of a File is a str, not bytes"):
        File(b"s3://b/f")  # type: ignore[arg-type]
