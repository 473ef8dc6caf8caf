"""Python values to and from Flyte Literals, straight from the LiteralType; user classes are never rebuilt.

    to_literal(value, literal_type)      what a launch sends
    from_literal(literal, literal_type)  plain values: what a client reads
    hydrate(value, annotation)           those plain values as a function so annotated expects them
    describe(literal_type)               how a person writes the type

Types of annotations are in `types`, interfaces of functions in `signatures`. Nothing here does I/O, and importing it
loads no protobuf.
"""

from __future__ import annotations

from flyte_lite._literals.enums import DynamicEnum
from flyte_lite._literals.hydration import hydrate
from flyte_lite._literals.values import describe, from_literal, to_literal

__all__ = ["DynamicEnum", "describe", "from_literal", "hydrate", "to_literal"]
