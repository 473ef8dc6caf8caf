"""Messages out of JSON by the rules of Go's protojson, which differ from those of Python's protobuf.

Go ignores names of fields and of enum values that it does not know, at any depth; it refuses a field that comes twice,
also under its two names, and anything but an object for a message. Python's protobuf is looser, and differs by version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from flyte_lite.idl._pool import pool

if TYPE_CHECKING:
    from google.protobuf.message import Message

_INTEGERS = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)
# Leaves out all numbers that are too long for any field.
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]{0,25}))(?:\.([0-9]{1,25}))?(?:[eE]([+-]?[0-9]{1,2}))?", re.ASCII)
_OWN_FORM = "google.protobuf."
_LEFT_OUT = object()


def read(data: bytes, kind: type[Message]) -> Message:
    """A new message.

    Raises:
        ValueError: The bytes are not one.
    """
    try:
        parsed = json.loads(data.decode(), object_pairs_hook=_Object, parse_constant=_no_constant)
        # Halves of characters can be written as escapes, and some may have found their other halves.
        json.dumps(parsed, ensure_ascii=False).encode()
        cleaned = _message(parsed, kind.DESCRIPTOR)
        return json_format.ParseDict(cleaned, kind(), ignore_unknown_fields=True)
    except (json_format.ParseError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


class _Object(dict[str, Any]):
    """A JSON object that remembers which names came more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = {name for name in names if names.count(name) > 1} if len(self) < len(pairs) else set()


def _no_constant(name: str) -> None:
    raise ValueError(f"syntax error: invalid value {name}")


@cache
def _fields(message: str) -> Mapping[str, FieldDescriptor]:
    """A message's fields by either of their names."""
    fields = pool().FindMessageTypeByName(message).fields
    return {**{field.name: field for field in fields}, **{field.json_name: field for field in fields}}


def _message(value: Any, descriptor: Any) -> Any:
    if descriptor.full_name.startswith(_OWN_FORM):
        return value
    if not isinstance(value, _Object):
        raise ValueError(f"syntax error: unexpected token {json.dumps(value)[:20]}")
    known = _fields(descriptor.full_name)
    made: dict[str, Any] = {}
    seen = set()
    for name, given in value.items():
        field = known.get(name)
        if field is None:
            continue
        if field.number in seen or name in value.twice:
            raise ValueError(f'duplicate field "{name}"')
        seen.add(field.number)
        cleaned = _field(given, field)
        if cleaned is not _LEFT_OUT:
            made[field.json_name] = cleaned
    return made


def _field(value: Any, field: FieldDescriptor) -> Any:
    if value is None:
        # Only of a Value is it one; there Python knows that too.
        own = field.message_type is not None and field.message_type.full_name == "google.protobuf.Value"
        return None if own else _LEFT_OUT
    if not _repeated(field):
        return _single(value, field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if not isinstance(value, _Object):
            raise ValueError(f"syntax error: unexpected token {json.dumps(value)[:20]}")
        if value.twice:
            raise ValueError(f'duplicate map key "{min(value.twice)}"')
        entry = field.message_type.fields_by_name["value"]
        cleaned = {key: _single(item, entry) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item is not _LEFT_OUT}
    if not isinstance(value, list):
        raise ValueError(f"syntax error: unexpected token {json.dumps(value)[:20]}")
    return [item for item in (_single(each, field) for each in value) if item is not _LEFT_OUT]


def _single(value: Any, field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        return _message(value, field.message_type)
    if field.enum_type is not None and isinstance(value, str):
        return value if value in field.enum_type.values_by_name.keys() else _LEFT_OUT  # noqa: SIM118 - protobuf 4.21
    if field.cpp_type in _INTEGERS and isinstance(value, str):
        return _integer(value)
    return value


def _integer(text: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(f'invalid value for an integer: "{text[:30]}"')
    whole, fraction, exponent = found[1], found[2] or "", int(found[3] or 0)
    digits, point = whole + fraction, exponent - len(fraction)
    number = int(digits)
    if point >= 0:
        return int(number * 10**point)
    if number % 10**-point:
        raise ValueError(f'invalid value for an integer: "{text[:30]}"')
    return int(number // 10**-point)


def _repeated(field: FieldDescriptor) -> bool:
    # The newer attribute first: the older one warns.
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED)
