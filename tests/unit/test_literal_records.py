"""Records: dicts whose items also go by attribute."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from flyte_lite._literals.records import Record

POINT = Record({"x": 1, "y": [Record({"z": 2}, "Inner")]}, "Point")


def test_a_record_is_a_plain_dict_that_also_goes_by_attribute() -> None:
    assert POINT == {"x": 1, "y": [{"z": 2}]}
    assert POINT["x"] == POINT.x == 1
    assert POINT.y[0].z == 2
    assert json.loads(json.dumps(POINT)) == {"x": 1, "y": [{"z": 2}]}
    assert {"x", "y"} <= set(dir(POINT))


def test_to_dict_leaves_no_record_inside() -> None:
    plain = POINT.to_dict()

    assert type(plain) is dict
    assert type(plain["y"][0]) is dict


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"^Point has no field 'w'; it has x, y$"):
        _ = POINT.w
    with pytest.raises(AttributeError, match=r"^this record has no field 'w'; it has none$"):
        _ = Record().w


def test_a_field_can_be_set_by_attribute_but_not_made() -> None:
    point = POINT.copy()

    point.x = 5

    assert point["x"] == 5
    assert POINT.x == 1
    with pytest.raises(AttributeError, match="has no field 'w'"):
        point.w = 1


def test_a_field_called_as_a_method_goes_by_key() -> None:
    assert Record({"items": 3})["items"] == 3


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (POINT, "Point(x=1, y=[Inner(z=2)])"),
        (Record({"a": 1}), "Record(a=1)"),
        (Record({"a b": 1}, "Odd"), "Odd({'a b': 1})"),
        (Record({}, "Empty"), "Empty()"),
    ],
)
def test_repr_looks_like_the_class(record: Record, text: str) -> None:
    assert repr(record) == text


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies_are_records(copied: object) -> None:
    made = copied(POINT)  # type: ignore[operator]

    assert made == POINT
    assert (type(made), made.class_name, type(made.y[0])) == (Record, "Point", Record)
