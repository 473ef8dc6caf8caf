"""Members of enums inside what has fields: there they go by value in a dataclass, and in a model by name where the
official SDK follows its hints.
"""

from __future__ import annotations

import enum
from typing import Any, Callable

from flyte_lite._literals.misfit import unexpected

_NAMED = 12
# Of lists, tuples and dicts in one another that a member is looked for in.
_DEPTH = 8


def member_writer(options: list[Any], open_: bool, by_name: bool) -> Callable[[Any], Any]:
    """What writes one of these options.

    Args:
        options: What the schema lists.
        open_: It lists the names, and a value may be written as well.
        by_name: A member goes by its name, else by its value.
    """
    listed = ", ".join(map(repr, options[:_NAMED])) + (", ..." if len(options) > _NAMED else "")

    def write(value: Any) -> Any:
        member = isinstance(value, enum.Enum)
        tried = ([value.name, value.value] if by_name else [value.value, value.name]) if member else [value]
        for given in tried:
            # Of other values `==` may be anything, such as an array's.
            for option in options if isinstance(given, (str, int, float)) else ():
                if option == given and isinstance(option, bool) == isinstance(given, bool):
                    return option
        if open_ and not member and isinstance(value, (str, int, float)):
            return value
        near = [
            option
            for option in options
            if isinstance(value, str) and isinstance(option, str) and option.casefold() == value.casefold()
        ]
        raise unexpected(f"one of {listed}", value, f" (did you mean {near[0]!r}?)" if len(near) == 1 else "")

    return write


def by_value(value: Any, careful: bool = False, depth: int = 0) -> Any:
    """The value with the values of members in their place, also of those in lists, tuples, sets and dicts.

    Args:
        value: Anything.
        careful: Leave a member whose value is the name of another one, for who reads names first.
        depth: Of the value in the whole. Nothing is looked for deeper than a type goes, or in what contains itself.
    """
    if isinstance(value, enum.Enum):
        return value if careful and type(value).__members__.get(value.value, value) is not value else value.value
    if depth > _DEPTH:
        return value
    if isinstance(value, tuple):
        return tuple(by_value(item, careful, depth + 1) for item in value)
    if type(value) in (list, set, frozenset):
        return type(value)(by_value(item, careful, depth + 1) for item in value)
    if type(value) is dict:
        return {by_value(key, careful, depth + 1): by_value(item, careful, depth + 1) for key, item in value.items()}
    return value
