"""Values as users give them: instances of their own classes, known by their looks; nothing is imported for it."""

from __future__ import annotations

import datetime
import enum
import numbers
import sys
import typing
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, NamedTuple, Optional

# Classes whose text says all that there is: what mashumaro and pydantic write as their `str`. By name, as a value of a
# class that nobody has imported can't be here, and to import them all takes longer than the call.
_TEXTUAL = (("uuid", "UUID"), ("pathlib", "PurePath"), ("decimal", "Decimal"))
_TEXTUAL_MODULES = ("ipaddress", "fractions")


class Fields(NamedTuple):
    """An instance with fields, taken apart.

    Attributes:
        class_name: The name of its class, without parameters.
        values: Its fields in their order.
    """

    class_name: str
    values: dict[str, Any]


def is_list(value: Any) -> bool:
    """An ordered thing of elements that are not letters or bytes."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def is_dict(value: Any) -> bool:
    """Something with keys and values."""
    return isinstance(value, Mapping)


def class_name(value: Any) -> str:
    """The name of its class: `Box` for an instance of `Box[int]`, too; of a record, what it was read as."""
    # In the instance first: that is where a record has it.
    name: str = getattr(value, "class_name", "") if isinstance(value, dict) else ""
    return name or type(value).__name__.partition("[")[0]


def is_instance(value: Any) -> bool:
    """An instance of a dataclass, a pydantic model or a named tuple."""
    cls = type(value)
    if hasattr(cls, "__dataclass_fields__"):
        return True
    if isinstance(value, tuple):
        return hasattr(cls, "_fields")
    return _is_model(cls)


def _is_model(cls: type) -> bool:
    return hasattr(cls, "model_dump") or (hasattr(cls, "__fields__") and hasattr(cls, "json") and hasattr(cls, "dict"))


def fields_of(value: Any, needed: Sequence[str] = ()) -> Optional[Fields]:
    """The fields of an instance of a dataclass, a pydantic model or a named tuple; None for anything else.

    Args:
        value: Anything.
        needed: Names that must be there; a model is asked for its aliases if they are not.
    """
    cls = type(value)
    name = class_name(value)
    if hasattr(cls, "__dataclass_fields__"):
        import dataclasses

        return Fields(name, {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)})
    if isinstance(value, tuple):
        return Fields(name, dict(zip(cls._fields, value))) if hasattr(cls, "_fields") else None
    if not _is_model(cls):
        return None
    values = _dumped(value, False)
    if any(each not in values for each in needed):
        aliased = _dumped(value, True)
        if all(each in aliased for each in needed):
            values = aliased
    return Fields(name, values)


def _dumped(model: Any, by_alias: bool) -> dict[str, Any]:
    """A model as the JSON that it is written as, but members of enums are still members where their names are written.

    That is where the official SDK follows the hints of models: Optional, lists, dicts, models in models. Anywhere else,
    such as in a tuple or a dataclass, stand the values of members, and only those are read there.
    """
    made: dict[str, Any]
    if hasattr(type(model), "model_dump"):
        live = model.model_dump(by_alias=by_alias)
        try:
            made = _merged(model.model_dump(mode="json", by_alias=by_alias), live, type(model))
        except ValueError:
            # Bytes that are no text have no JSON; what is written then goes by the schema.
            made = live
    else:
        import json

        made = _merged(json.loads(model.json(by_alias=by_alias)), model.dict(by_alias=by_alias), _EVERYWHERE)
    return made


# In place of a hint: names wherever there is a member. The official SDK knows no models of pydantic's first generation.
_EVERYWHERE: Any = object()


def _merged(dumped: Any, live: Any, hint: Any) -> Any:
    args = typing.get_args(hint)
    # Only what is written `Optional`, or `Union`: the SDK takes `Color | None` for it where Python does.
    if typing.get_origin(hint) is typing.Union and len(args) == 2 and type(None) in args:
        hint = args[0] if args[1] is type(None) else args[1]
        args = typing.get_args(hint)
    if isinstance(live, enum.Enum):
        return live if hint is _EVERYWHERE or isinstance(live, hint if isinstance(hint, type) else ()) else dumped
    if isinstance(dumped, dict) and isinstance(live, dict) and len(dumped) == len(live):
        # Side by side: JSON has made the keys texts.
        pairs = zip(dumped.items(), live)
        if isinstance(hint, type) and _is_model(hint):
            hints = _hints_of(hint)
            return {key: _merged(item, live[was], hints.get(key, _EVERYWHERE)) for (key, item), was in pairs}
        keys, items = args if typing.get_origin(hint) is dict and len(args) == 2 else (hint, hint)
        if hint is not _EVERYWHERE and keys is hint:
            return dumped
        return {_merged(key, was, keys): _merged(item, live[was], items) for (key, item), was in pairs}
    if isinstance(dumped, list) and isinstance(live, (list, tuple)) and len(dumped) == len(live):
        if typing.get_origin(hint) is list and args:
            return [_merged(item, was, args[0]) for item, was in zip(dumped, live)]
        return [_merged(item, was, hint) for item, was in zip(dumped, live)] if hint is _EVERYWHERE else dumped
    return dumped


@lru_cache(maxsize=256)
def _hints_of(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception:  # noqa: BLE001 - evaluates the user's own text
        return {}


def unordered(value: Set[Any]) -> list[Any]:
    """The elements of a set; sorted if they can be, so that the same set gives the same bytes."""
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def textual(value: Any) -> Optional[str]:
    """The text of a value whose text says all: a UUID, a path, a Decimal, a Fraction, an IP address; else None."""
    if type(value).__module__ in _TEXTUAL_MODULES:
        return str(value)
    for module, name in _TEXTUAL:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None and isinstance(value, cls):
            return str(value)
    return None


def packable(value: Any) -> Any:
    """One step towards what msgpack holds, as mashumaro takes it where no schema says otherwise.

    Raises:
        TypeError: There is no such step.
    """
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, enum.Enum):
        return value.value
    text = textual(value)
    if text is not None:
        return text
    if isinstance(value, Set):
        return unordered(value)
    stored = reference_fields(value)
    if stored is not None:
        return stored
    fields = fields_of(value)
    if fields is not None:
        return fields.values
    if isinstance(value, Mapping):
        return dict(value)
    if is_list(value):
        return list(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError(type(value).__qualname__)


def is_reference(value: Any, name: str) -> bool:
    """An instance of a class called `File`, `Dir` or `DataFrame`, ours or the official SDK's, that says where it is."""
    for cls in type(value).__mro__:
        if cls.__name__.partition("[")[0] == name and hasattr(value, "uri" if name == "DataFrame" else "path"):
            return True
    return False


def reference_fields(value: Any) -> Optional[dict[str, Any]]:
    """A reference as it stands inside a struct; None for anything else."""
    if is_reference(value, "File") or is_reference(value, "Dir"):
        return stored_fields(value.path, getattr(value, "name", None), value.format, value.hash)
    if is_reference(value, "DataFrame"):
        return {"uri": value.uri, "format": value.format or ""}
    return None


def stored_fields(path: str, name: Any = None, format: Any = "", hash: Any = None) -> dict[str, Any]:
    """A file or folder as it stands inside a struct."""
    if name is None:
        name = path.rstrip("/").rpartition("/")[2]
    return {"path": path, "name": name, "format": format or "", "hash": hash or None}
