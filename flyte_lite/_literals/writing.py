"""Values into what msgpack holds, as the schema of their class says.

Fields of a dict are converted and filled in as the official client does it. An instance of somebody's class knows its
fields better than the schema: it is written in its own order and with nothing filled in. Either way each field must be
of its type, because the task would refuse it otherwise.
"""

from __future__ import annotations

import datetime
import enum
import numbers
from collections.abc import Set
from typing import TYPE_CHECKING, Any, Callable, Optional

from flyte_lite._literals.formats import TEXTS, plain_text
from flyte_lite._literals.given import (
    class_name,
    fields_of,
    is_dict,
    is_instance,
    is_list,
    is_reference,
    reference_fields,
    stored_fields,
    unordered,
)
from flyte_lite._literals.members import by_value, member_writer
from flyte_lite._literals.misfit import Misfit, each, first_fit, key_path, show, unexpected
from flyte_lite._literals.nesting import guarded
from flyte_lite._literals.scalars import exact_float

if TYPE_CHECKING:
    from flyte_lite._literals.schema import Shape

    Writer = Callable[[Any], Any]

_HOLDERS = frozenset(("record", "dict", "list", "tuple"))
_STORED = frozenset(("path", "name", "format", "hash"))
_TRUE = frozenset(("true", "1", "yes", "y", "on", "t"))
_FALSE = frozenset(("false", "0", "no", "n", "off", "f"))


class Writers:
    """Makes the writers of one schema; each class in it is looked at once.

    Args:
        pydantic: Texts and members of enums are as pydantic writes them, and it converts more.
        strict: Take only what the official SDK takes.
        exact: The value comes from an instance: an int in a float's place stays one, as mashumaro leaves it.
    """

    def __init__(self, pydantic: bool, strict: bool, exact: bool = False) -> None:
        self._pydantic = pydantic
        self._strict = strict
        self._exact = exact
        self._made: dict[int, Writer] = {}
        self._top: Optional[Shape] = None
        self._kin: dict[tuple[bool, bool], Writers] = {(strict, exact): self}

    def _other(self, strict: bool, exact: bool) -> Writers:
        """The makers for the same schema with other rules; one of each kind, or unions in unions would be made anew."""
        key = (strict, exact)
        if key not in self._kin:
            self._kin[key] = made = Writers(self._pydantic, strict, exact)
            made._kin, made._top = self._kin, self._top
        return self._kin[key]

    def of(self, shape: Shape) -> Writer:
        """The writer of a shape. It raises Misfit."""
        self._top = self._top or shape
        # By identity: a shape that is in itself comes back to itself.
        key = id(shape)
        if key not in self._made:
            later: list[Writer] = []
            self._made[key] = guarded(later)
            later.append(self._writer(shape))
            self._made[key] = later[0]
        return self._made[key]

    def _writer(self, shape: Shape) -> Writer:
        make = getattr(self, f"_{shape.what}", None)
        if make is not None:
            made: Writer = make(shape)
            return made
        known: dict[str, Writer] = {"null": _null, "any": lambda value: value, "DataFrame": self._table}
        return known.get(shape.what) or self._stored(shape)

    def _int(self, shape: Shape) -> Writer:
        pydantic = self._pydantic

        def write(value: Any) -> Any:
            if type(value) is int:
                return value
            if type(value) is bool:
                raise unexpected("int", value)
            if isinstance(value, numbers.Integral):
                return int(value)
            if pydantic:
                if isinstance(value, float) and value.is_integer():
                    return int(value)
                if isinstance(value, str) and _is_number(value):
                    return int(value)
            raise unexpected("int", value)

        return write

    def _float(self, shape: Shape) -> Writer:
        exact, strict, pydantic = self._exact, self._strict, self._pydantic
        seconds, word = shape.format == "time-delta", shape.word()

        def write(value: Any) -> Any:
            if type(value) is float or (exact and type(value) is int):
                return value
            if seconds and isinstance(value, datetime.timedelta):
                return value.total_seconds()
            if type(value) is bool:
                raise unexpected(word, value)
            if isinstance(value, numbers.Real) and (pydantic or not strict or seconds):
                return exact_float(value)
            if pydantic and isinstance(value, str):
                try:
                    return float(value)
                except ValueError:
                    pass
            raise unexpected(word, value)

        return write

    def _bool(self, shape: Shape) -> Writer:
        pydantic = self._pydantic

        def write(value: Any) -> Any:
            if type(value) is bool:
                return value
            if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
                return bool(value)
            if pydantic and isinstance(value, str):
                text = value.casefold()
                if text in _TRUE or text in _FALSE:
                    return text in _TRUE
            raise unexpected("bool", value)

        return write

    def _str(self, shape: Shape) -> Writer:
        convert: Callable[[Any, bool], Any] = TEXTS.get(shape.format, plain_text)
        pydantic, word = self._pydantic, shape.word()
        # A dataclass has its bytes as bytes on the wire, which a text never becomes.
        texts = shape.format != "base64" or pydantic

        def write(value: Any) -> Any:
            if type(value) is str and texts:
                return value
            if isinstance(value, str) and texts:
                return str.__str__(value)
            made = convert(value, pydantic)
            if made is None:
                raise unexpected(word, value)
            return made

        return write

    def _enum(self, shape: Shape) -> Writer:
        return member_writer(shape.options, shape.open, self._pydantic)

    def _list(self, shape: Shape) -> Writer:
        write_item = self.of(shape.items)
        bare = shape.items.what == "any"

        def write(value: Any) -> Any:
            if isinstance(value, Set):
                value = unordered(value)
            elif not is_list(value):
                raise unexpected("list", value)
            return list(value) if bare else _each_of(value, write_item)

        return write

    def _tuple(self, shape: Shape) -> Writer:
        writers = [self.of(part) for part in shape.parts]
        pydantic = self._pydantic

        def write(value: Any) -> Any:
            if not is_list(value) or len(value) != len(writers):
                raise unexpected(shape.word(), value)
            if pydantic:
                value = by_value(tuple(value))
            made: list[Any] = []
            each(enumerate(value), lambda nth, item: made.append(writers[nth](item)))
            return made

        return write

    def _dict(self, shape: Shape) -> Writer:
        write_item = self.of(shape.items)
        write_key = self._key(shape.keys)

        def write(value: Any) -> Any:
            if not is_dict(value):
                raise unexpected("dict", value)
            made: dict[Any, Any] = {}
            each(value.items(), lambda key, item: made.__setitem__(write_key(key), write_item(item)))
            return made

        return write

    def _key(self, shape: Shape) -> Writer:
        pydantic, numbered, write = self._pydantic, shape.what == "int", self.of(shape)

        def write_key(key: Any) -> Any:
            if type(key) is str and (pydantic or shape.what in ("str", "any")):
                return key
            # JSON has only texts as keys; what comes from it may stand for a number.
            if pydantic and type(key) in (int, float):
                return str(key)
            return int(key) if numbered and type(key) is str and _is_number(key) else write(key)

        return write_key

    def _record(self, shape: Shape) -> Writer:
        exact = self._other(self._strict, True).fields(shape)
        # What an instance holds as a dict is an instance too, and was dumped with it.
        whole = shape.whole and not self._exact
        converted = self.fields(shape) if whole else exact
        needed = shape.required
        by_position = shape.wrapper in ("Tuple", "NamedTuple")
        inside = self._pydantic and self._top is not None and shape is not self._top
        # A dict in place of a class: a model reads names and values, any other class only values. What was
        # dumped is exact.
        loose = inside and not self._exact
        wrapped = self._top is not None and self._top.wrapper != ""

        def write(value: Any) -> dict[str, Any]:
            if isinstance(value, dict) or (is_dict(value) and not is_instance(value)):
                given = by_value(dict(value), not wrapped) if loose else dict(value)
                made = _fields(shape, given, converted)
                return _in_order(shape, made) if whole else made
            # The official SDK's File is a model by itself.
            stored = shape.name != class_name(value) and reference_fields(value) is not None
            taken = None if stored else fields_of(value, needed)
            if taken is not None:
                values = by_value(taken.values) if inside and not hasattr(value, "model_dump") else taken.values
                # Only a tuple holds what nobody has looked at.
                return _fields(shape, values, converted if isinstance(value, tuple) else exact)
            if by_position and is_list(value):
                if len(value) != len(shape.fields):
                    raise unexpected(f"{shape.name or 'tuple'} of {len(shape.fields)} values", value)
                return _fields(shape, dict(zip(shape.fields, value)), converted)
            raise unexpected(shape.word(), value)

        return write

    def fields(self, shape: Shape) -> dict[str, Writer]:
        """The writer of each field of a record."""
        return {name: self.of(field) for name, field in shape.fields.items()}

    def _union(self, shape: Shape) -> Writer:
        parts = [(part, self.of(part)) for part in shape.parts]
        strict = self._other(True, self._exact)
        strictly = [(part, strict.of(part)) for part in shape.parts]
        tags = {tag: self.of(part) for tag, part in shape.tags.items()}

        def write(value: Any) -> Any:
            if value is None:
                if any(part.what in ("null", "any") for part in shape.parts):
                    return None
                raise unexpected(shape.word(), value)
            if tags:
                held = value.get(shape.tag) if is_dict(value) else getattr(value, shape.tag, None)
                told = tags.get(str(held.value if isinstance(held, enum.Enum) else held))
                if told is not None:
                    return told(value)
            likely = [(part, writer) for part, writer in strictly if part.fits(value)]
            if is_instance(value) or hasattr(value, "class_name"):
                likely.sort(key=lambda pair: pair[0].name != class_name(value))
            # Each way once: what is in itself would double them on each level.
            ways = dict.fromkeys([writer for _, writer in likely] + [writer for _, writer in parts])
            try:
                return first_fit(ways, value)
            except Misfit as misfit:
                # What is wrong inside is worth telling if only one could have been meant.
                if misfit.hopeless or (len(likely) == 1 and likely[0][0].what in _HOLDERS):
                    raise
            raise unexpected(shape.word(), value)

        return write

    def _stored(self, shape: Shape) -> Writer:
        name, strict = shape.what, self._strict

        def write(value: Any) -> Any:
            if is_reference(value, name):
                return reference_fields(value)
            if not strict and isinstance(value, str) and "://" in value:
                return stored_fields(str.__str__(value))
            if (
                is_dict(value)
                and isinstance(value.get("path"), str)
                and set(value) <= {"path", "name", "format", "hash"}
            ):
                return stored_fields(**value)
            raise unexpected(name, value)

        return write

    def _table(self, value: Any) -> Any:
        if is_reference(value, "DataFrame"):
            return reference_fields(value)
        if is_dict(value) and isinstance(value.get("uri"), str) and set(value) <= {"uri", "format", "hash"}:
            return {"uri": value["uri"], "format": value.get("format") or ""}
        if not self._strict and isinstance(value, str) and "://" in value:
            return {"uri": str.__str__(value), "format": ""}
        raise unexpected("DataFrame", value)


def _fields(shape: Shape, values: dict[str, Any], writers: dict[str, Writer]) -> dict[str, Any]:
    wrong: Optional[Misfit] = None
    missing = [name for name in shape.required if name not in values]
    if missing:
        listed = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        wrong = Misfit(f"expected {shape.signature()}, but {listed}")
    unknown = [name for name in values if name not in writers] if shape.closed or shape.wrapper else []
    for name in unknown:
        import difflib

        near = difflib.get_close_matches(name, writers, n=1) if isinstance(name, str) else []
        hint = f" (did you mean {near[0]}?)" if near else ""
        called = repr(name) if isinstance(name, str) else show(name)
        wrong = Misfit(f"expected {shape.signature()}, which has no field {called}{hint}").joined(wrong)
    made: dict[str, Any] = {}
    # Not `each`: its pieces of a path are those of keys.
    for name, value in values.items():
        writer = writers.get(name)
        try:
            made[name] = value if writer is None else writer(value)
        except Misfit as misfit:
            wrong = misfit.at(f".{name}" if isinstance(name, str) else key_path(name)).joined(wrong)
            if wrong.full or wrong.hopeless:
                break
    if wrong is not None:
        raise wrong
    return made


def _in_order(shape: Shape, values: dict[str, Any]) -> dict[str, Any]:
    filled = {**shape.defaults, **values}
    made = {name: filled.pop(name) for name in shape.fields if name in filled}
    made.update(filled)
    return made


def _each_of(values: Any, write: Writer) -> list[Any]:
    made: list[Any] = []
    append = made.append
    each(enumerate(values), lambda _, item: append(write(item)))
    return made


def _null(value: Any) -> None:
    if value is not None:
        raise unexpected("None", value)


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal() and len(text) < 40
