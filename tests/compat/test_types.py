"""Types and JSON schemas of annotations: those that the official SDK deploys, and one list of where ours differ."""

from __future__ import annotations

from typing import Any, Callable

DIFFERENCES = {
    "typing.Literal['A', 'a']": (
        "not the same",
        "the SDK upper-cases the texts of a Literal and loses one of two; both are declared",
    ),
    **dict.fromkeys(
        (f"a dataclass of <class '{cls}'>" for cls in ("complex", "range", "object")),
        (
            "taken there",
            "the SDK logs that it has no schema and raises when a value is written; here the deployment raises",
        ),
    ),
    "a tuple of <class '__main__.IntBox'>": (
        "not the same",
        "for the SDK, items of the generic class that it inherits from can be anything; here they are what is bound",
    ),
}


def test_annotations_have_the_official_types(compared: Callable[..., Any]) -> None:
    told = compared("compare_types.py")
    assert told["differ"] == {text: how for text, (how, _) in DIFFERENCES.items()}
    assert told["same"] > 220
    assert all(len(reason) > 40 for _, reason in DIFFERENCES.values())
