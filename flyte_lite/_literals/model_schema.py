"""The JSON schema of a model, and of the references that stand in one."""

from __future__ import annotations

import enum
import functools
import inspect
import typing
from collections.abc import Iterable
from typing import Any

from flyte_lite._literals.classes import is_model, named, reference_of
from flyte_lite._literals.misfit import Misfit

Schema = dict[str, Any]


def model_schema(cls: Any) -> Schema:
    """The schema of a model, by its own words, with the names of enums' members in place of their values.

    Raises:
        Misfit: The model has no schema.
    """
    try:
        made: Schema = _second_generation(cls) if is_model(cls) == 2 else _first_generation(cls)
    except Misfit:
        raise
    except Exception as error:  # the model's class may raise whatever it likes
        raise Misfit(f"the model {cls.__name__} has no schema: {error}") from error
    return made


def _second_generation(cls: Any) -> Schema:
    parameter = inspect.signature(cls.model_json_schema).parameters.get("schema_generator")
    if parameter is None:
        return typing.cast("Schema", cls.model_json_schema())
    return typing.cast("Schema", cls.model_json_schema(schema_generator=_by_name(parameter.default)))


@functools.lru_cache(maxsize=8)
def _by_name(generator: Any) -> Any:
    class ByName(generator):  # type: ignore[misc]
        def enum_schema(self, schema: Any) -> Any:
            made = super().enum_schema(schema)
            if "enum" in made:
                made["enum"] = [member.name for member in schema["cls"]]
            return made

    return ByName


def _first_generation(cls: Any) -> Schema:
    schema: Schema = cls.schema(ref_template="#/$defs/{model}")
    definitions = schema.pop("definitions", None)
    if definitions:
        for member in _enums(cls, set()):
            if member.__name__ in definitions:
                definitions[member.__name__]["enum"] = [one.name for one in member]
        schema["$defs"] = definitions
    return schema


def _enums(cls: Any, seen: set[Any]) -> Iterable[type[enum.Enum]]:
    seen.add(cls)
    for field in cls.__fields__.values():
        kind = field.type_
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            yield kind
        elif is_model(kind) == 1 and kind not in seen:
            yield from _enums(kind, seen)


def reference_schema(annotation: Any) -> Schema:
    """The schema of a File, Dir or DataFrame inside something else."""
    cls: Any = reference_of(annotation)
    schema: Schema = cls._schema()
    # The official SDK's `File[str]` is a class of that name, ours is not.
    args = typing.get_args(annotation)
    said = f"[{named(args[0])}]" if args else "".join(annotation.__name__.partition("[")[1:])
    return {**schema, "title": schema["title"] + said}
