"""What becomes of all literals and types of the data, a line each, and the protobuf that it ran on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from google.protobuf import json_format
from google.protobuf.internal import api_implementation
from literal_fuzz import corpus

from flyte_lite._literals import describe, from_literal, to_literal
from flyte_lite.errors import LiteralError


def told(convert: Any, *args: Any) -> str:
    """What is made, or what is wrong."""
    try:
        made = convert(*args)
    except LiteralError as error:
        return f"refused: {error}"
    if hasattr(made, "SerializeToString"):
        # Not its bytes: both are free to put the entries of a map in any order, and do.
        return json.dumps(json_format.MessageToDict(made), sort_keys=True)
    return f"{type(made).__name__} {made!r}"


def again(literal: Any, literal_type: Any) -> Any:
    """The literal of what is read."""
    return to_literal(from_literal(literal, literal_type), literal_type, "x")


if __name__ == "__main__":
    found = corpus()
    print(api_implementation.Type())
    for literal_type in found.types:
        print(describe(literal_type))
        # Nothing fits everything: what is told of it names the type.
        print(told(to_literal, object, literal_type, "x"))
    for literal, literal_type in found.literals:
        print(told(from_literal, literal, literal_type, "x"))
        print(told(again, literal, literal_type))
