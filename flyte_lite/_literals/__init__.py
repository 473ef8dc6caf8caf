"""Python values to and from Flyte Literals, straight from the LiteralType; user classes are never rebuilt.

    to_literal(value, literal_type)      what a launch sends
    from_literal(literal, literal_type)  plain values: what a client reads
    hydrate(value, annotation)           those plain values as a function so annotated expects them
    describe(literal_type)               how a person writes the type

Types of annotations are in `types`, interfaces of functions in `signatures`. Nothing here does I/O, and importing it
loads no protobuf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite._literals.enums import DynamicEnum
from flyte_lite._literals.values import describe, from_literal, to_literal

if TYPE_CHECKING:
    from flyte_lite._literals.hydration import hydrate as hydrate

__all__ = ["DynamicEnum", "describe", "from_literal", "hydrate", "to_literal"]


def __getattr__(name: str) -> Any:
    # Whoever launches a task needs none of what makes classes again.
    if name != "hydrate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flyte_lite._literals import hydration

    globals()[name] = hydration.hydrate
    return hydration.hydrate
