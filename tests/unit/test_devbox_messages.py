"""What workers and the devbox say to each other, as bytes."""

from __future__ import annotations

import pytest

from flyte_lite.devbox import group
from flyte_lite.devbox._group import present
from flyte_lite.devbox.messages import ANSWER, CALL, OUTPUTS, Messages, message, parted, with_header

TOLD = [(CALL, with_header({"number": 1, "group": "ü"}, b"\n\x00bytes\n")), (OUTPUTS, b""), (ANSWER, b"x" * 300)]


@pytest.mark.parametrize("size", [1, 2, 5, 7, 1000])
def test_messages_come_out_whole_however_they_are_cut(size: int) -> None:
    data = b"".join(message(kind, body) for kind, body in TOLD)
    messages = Messages()

    found = [each for start in range(0, len(data), size) for each in messages.of(data[start : start + size])]

    assert found == TOLD


def test_a_header_and_bytes_part_again() -> None:
    assert parted(TOLD[0][1]) == ({"number": 1, "group": "ü"}, b"\n\x00bytes\n")


def test_groups_are_one_in_another() -> None:
    assert present() == ""
    with group("outer"):
        with group("inner"):
            assert present() == "inner"
        assert present() == "outer"
    assert present() == ""


def test_a_group_has_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"), group(""):
        pass
