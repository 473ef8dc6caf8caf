"""What a class of the user's is, told by what it has: none of the libraries that make such classes is imported."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterable
from typing import Any, Optional

from flyte_lite import io
from flyte_lite._literals.misfit import Misfit, clip

__all__ = [
    "UNIONS",
    "annotated",
    "bare",
    "bound",
    "constraints",
    "dataclass_of",
    "fields_of",
    "is_message",
    "is_model",
    "is_named_tuple",
    "is_typed_dict",
    "may_be_missing",
    "named",
    "own_annotations",
    "reference_of",
]

if sys.version_info >= (3, 10):
    import types as _types

    UNIONS: tuple[Any, ...] = (typing.Union, _types.UnionType)
else:
    UNIONS = (typing.Union,)

_QUALIFIERS = ("NotRequired", "ReadOnly", "Required")


def named(annotation: Any) -> str:
    """An annotation as it is written in source."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__ if annotation is not type(None) else "None"
    return clip(annotation if isinstance(annotation, str) else repr(annotation).replace("typing.", ""))


def bare(annotation: Any) -> Any:
    """The annotation without what `Annotated`, `Required` and the like say around it."""
    while True:
        if hasattr(annotation, "__metadata__"):
            annotation = annotation.__origin__
        elif _qualifier(annotation):
            (annotation,) = typing.get_args(annotation)
        else:
            return annotation


def annotated(annotation: Any, said: Iterable[Any]) -> Any:
    """The annotation with these words around it."""
    words = (annotation, *said)
    return typing.Annotated[words]


def may_be_missing(annotation: Any) -> bool:
    """A key of a typed dict that is declared `NotRequired`."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    return _qualifier(annotation) == "NotRequired"


def _qualifier(annotation: Any) -> str:
    # By name: they are of `typing` or, before Python 3.11, of `typing_extensions`.
    name = getattr(typing.get_origin(annotation) or getattr(annotation, "__origin__", None), "_name", None)
    return name if name in _QUALIFIERS else ""


def dataclass_of(annotation: Any) -> Optional[type]:
    """The dataclass that is annotated, also as `Box[int]`; None if it is none."""
    cls = typing.get_origin(annotation) or annotation
    return cls if isinstance(cls, type) and dataclasses.is_dataclass(cls) else None


def is_named_tuple(cls: Any) -> bool:
    """A class made by `typing.NamedTuple` or `collections.namedtuple`."""
    return isinstance(cls, type) and issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def is_typed_dict(cls: Any) -> bool:
    """A class made by `TypedDict`, of `typing` or of `typing_extensions`."""
    return isinstance(cls, type) and issubclass(cls, dict) and hasattr(cls, "__total__")


def is_model(cls: Any) -> int:
    """The generation of pydantic, 1 or 2, that the class is a model of; 0 if it is none."""
    if not isinstance(cls, type):
        return 0
    if hasattr(cls, "model_validate") and hasattr(cls, "model_json_schema") and hasattr(cls, "model_fields"):
        return 2
    return 1 if hasattr(cls, "parse_obj") and hasattr(cls, "schema") and hasattr(cls, "__fields__") else 0


def is_message(cls: Any) -> bool:
    """A class of protobuf messages, whichever runtime made it."""
    return isinstance(cls, type) and hasattr(cls, "DESCRIPTOR") and hasattr(cls, "FromString")


def reference_of(annotation: Any) -> Optional[type]:
    """Our class of references to stored things that is meant: by ours, by the official SDK's, with or without `[T]`."""
    cls = typing.get_origin(annotation) or annotation
    for base in getattr(cls, "__mro__", ()):
        if base in (io.File, io.Dir, io.DataFrame):
            return typing.cast("type", base)
        if base.__module__.startswith("flyte.io.") and base.__name__ in io.__all__:
            return typing.cast("type", getattr(io, base.__name__))
    return None


def fields_of(annotation: Any) -> dict[str, Any]:
    """Names and resolved annotations of a class's fields, type variables bound as in `Box[int]`.

    Raises:
        Misfit: An annotation can't be resolved.
    """
    known = _variables(annotation)
    hints = _hints(typing.get_origin(annotation) or annotation)
    return {name: bound(hint, known) for name, hint in hints.items()}


def _hints(cls: Any) -> dict[str, Any]:
    try:
        return _resolved(cls)
    except Exception as error:  # evaluates the user's own text, so anything may come
        raise Misfit(f"the annotations of {named(cls)} can't be resolved: {error}") from error


def _resolved(cls: Any) -> dict[str, Any]:
    # The class by its own name, too: one that was made in a function is not among its module's names.
    names = {cls.__name__: cls}
    if sys.version_info >= (3, 11):
        return typing.get_type_hints(cls, None, names, include_extras=True)
    # Before that, Python does not resolve an `InitVar`; what is only for `__init__` is left out.
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        own = {name: said for name, said in vars(base).get("__annotations__", {}).items() if "InitVar" not in str(said)}
        home = base.__module__ if base.__module__ in sys.modules else "builtins"
        stand_in = type(base.__name__, (), {"__annotations__": own, "__module__": home})
        hints.update(typing.get_type_hints(stand_in, None, names, include_extras=True))
    return hints


def own_annotations(annotations: Iterable[Any]) -> dict[type, dict[str, Any]]:
    """Resolved annotations of the classes that are named in these, and in theirs, where they stand as texts.

    A text means something only in the module that it was written in, and a class may travel without it. A class whose
    annotations can't be resolved even there is left out: it may be one that is only pickled, and needs them nowhere.
    """
    found: dict[type, dict[str, Any]] = {}
    waiting = list(annotations)
    while waiting:
        annotation = bare(waiting.pop())
        waiting.extend(typing.get_args(annotation))
        cls = typing.get_origin(annotation) or annotation
        if cls in found or not _has_fields(cls):
            continue
        found[cls] = {}
        try:
            hints = _hints(cls)
        except Misfit:
            continue
        for base in cls.__mro__:
            own = _own(base)
            if any(isinstance(said, (str, typing.ForwardRef)) for said in own.values()):
                found[base] = {name: hints.get(name, said) for name, said in own.items()}
        waiting.extend(hints.values())
    return {cls: own for cls, own in found.items() if own}


def _has_fields(cls: Any) -> bool:
    return isinstance(cls, type) and (
        dataclass_of(cls) is not None or bool(is_model(cls)) or is_named_tuple(cls) or is_typed_dict(cls)
    )


def _own(cls: type) -> dict[str, Any]:
    # In Python 3.14 they are made when they are asked for, and then are no texts.
    return dict(vars(cls).get("__annotations__") or {})


def _variables(annotation: Any) -> dict[Any, Any]:
    cls = typing.get_origin(annotation) or annotation
    known: dict[Any, Any] = {}
    for base in getattr(cls, "__orig_bases__", ()):
        known.update(_variables(base))
    parameters = getattr(cls, "__parameters__", ())
    known.update(zip(parameters, typing.get_args(annotation)))
    return known


def bound(annotation: Any, known: dict[Any, Any]) -> Any:
    """The annotation with these type variables filled in; an unknown one is what it is bound to, or Any."""
    if isinstance(annotation, typing.TypeVar):
        if annotation in known:
            return known[annotation]
        if annotation.__constraints__:
            return typing.Union[annotation.__constraints__]
        return annotation.__bound__ or Any
    free = getattr(annotation, "__parameters__", ())
    if free and typing.get_origin(annotation) is not None:
        return annotation[tuple(bound(variable, known) for variable in free)]
    return annotation


# What pydantic says of a type that its LiteralType says, too.
_STRUCTURE = frozenset(
    [
        "type",
        "anyOf",
        "oneOf",
        "allOf",
        "$defs",
        "$ref",
        "items",
        "prefixItems",
        "properties",
        "additionalProperties",
        "required",
        "discriminator",
        "default",
    ]
)


def constraints(annotation: Any) -> dict[str, Any]:
    """What pydantic's `Field(...)` in an `Annotated` adds to the schema, such as `{"minimum": 0}`.

    pydantic itself tells, if it is loaded; if it is not, there is nobody who could have made a `Field`.
    """
    said = [each for each in getattr(annotation, "__metadata__", ()) if _is_pydantic(each)]
    pydantic = sys.modules.get("pydantic")
    if not said or not hasattr(pydantic, "TypeAdapter"):
        return {}
    plain = annotation.__origin__
    try:
        before = pydantic.TypeAdapter(plain).json_schema()  # type: ignore[union-attr]
        after = pydantic.TypeAdapter(annotated(plain, said)).json_schema()  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 - of a type that pydantic does not know there is nothing to add
        return {}
    return {key: value for key, value in after.items() if key not in _STRUCTURE and before.get(key, ...) != value}


def _is_pydantic(said: Any) -> bool:
    return any(base.__module__.partition(".")[0] in ("annotated_types", "pydantic") for base in type(said).__mro__)
