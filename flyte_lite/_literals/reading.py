"""What msgpack or JSON held, as plain values and records, as the schema of their class says.

Inside a struct a value stays what stands there: a date is its text, a member of an enum its value or name. What JSON
lost is mended: an int that came as a float, a key that came as a text.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Optional

from flyte_lite import io
from flyte_lite._literals.misfit import Misfit, each, first_fit, unexpected
from flyte_lite._literals.nesting import guarded
from flyte_lite._literals.records import Record
from flyte_lite._literals.schema import mended

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Reader
    from flyte_lite._literals.schema import Shape


class Readers:
    """Makes the readers of one schema; each class in it is looked at once.

    Args:
        pydantic: A field that the class does not have is kept, and a number must be exact.
    """

    def __init__(self, pydantic: bool) -> None:
        self._pydantic = pydantic
        self._made: dict[int, Reader] = {}

    def of(self, shape: Shape) -> Reader:
        """The reader of a shape. It raises Misfit."""
        key = id(shape)
        if key not in self._made:
            later: list[Reader] = []
            self._made[key] = guarded(later)
            later.append(self._reader(shape))
            self._made[key] = later[0]
        return self._made[key]

    def _reader(self, shape: Shape) -> Reader:
        simple: Optional[Reader] = _SIMPLE.get(shape.what)
        if simple is not None:
            return simple
        made: Reader = getattr(self, f"_{shape.what}")(shape)
        return made

    def _int(self, shape: Shape) -> Reader:
        pydantic = self._pydantic

        def read(value: Any) -> Any:
            if type(value) is int:
                return value
            # The class would do the same: mashumaro calls int, pydantic takes what is exactly one.
            if type(value) is float and math.isfinite(value) and (value.is_integer() or not pydantic):
                return int(value)
            if type(value) is str and len(value) < 40:
                try:
                    return int(value)
                except ValueError:
                    pass
            raise unexpected("int", value)

        return read

    def _float(self, shape: Shape) -> Reader:
        word = shape.word()

        def read(value: Any) -> Any:
            if type(value) is float:
                return value
            if type(value) is int:
                return float(value)
            if type(value) is str:
                try:
                    return float(value)
                except ValueError:
                    pass
            raise unexpected(word, value)

        return read

    def _str(self, shape: Shape) -> Reader:
        # In place of these formats stand also bytes and numbers, as the class itself wrote them.
        formatted, word, pydantic = shape.format != "", shape.word(), self._pydantic

        def read(value: Any) -> Any:
            if type(value) is str or (formatted and not isinstance(value, (list, dict, type(None)))):
                return value
            # mashumaro calls str on whatever it finds.
            if type(value) in (int, float, bool) and not pydantic:
                return str(value)
            raise unexpected(word, value)

        return read

    def _enum(self, shape: Shape) -> Reader:
        def read(value: Any) -> Any:
            if isinstance(value, (list, dict)):
                raise unexpected("a member of an enum", value)
            return mended(value)

        return read

    def _list(self, shape: Shape) -> Reader:
        read_item = self.of(shape.items)

        def read(value: Any) -> Any:
            if type(value) is not list:
                raise unexpected("list", value)
            made: list[Any] = []
            append = made.append
            each(enumerate(value), lambda _, item: append(read_item(item)))
            return made

        return read

    def _tuple(self, shape: Shape) -> Reader:
        readers = [self.of(part) for part in shape.parts]

        def read(value: Any) -> Any:
            if type(value) is not list or len(value) != len(readers):
                raise unexpected(shape.word(), value)
            made: list[Any] = []
            each(enumerate(value), lambda nth, item: made.append(readers[nth](item)))
            return tuple(made)

        return read

    def _dict(self, shape: Shape) -> Reader:
        read_item, key_shape = self.of(shape.items), shape.keys

        def read(value: Any) -> Any:
            if type(value) is not dict:
                raise unexpected("dict", value)
            made: dict[Any, Any] = {}
            each(value.items(), lambda key, item: made.__setitem__(_key(key_shape, key), read_item(item)))
            return made

        return read

    def _record(self, shape: Shape) -> Reader:
        readers = {name: self.of(field) for name, field in shape.fields.items()}
        required, whole, name = shape.required, shape.whole, shape.name
        in_order = [(field, readers[field]) for field in required]
        optional = {field: shape.defaults.get(field) for field in shape.fields if field not in required}
        keep = not shape.closed
        as_tuple = shape.wrapper == "Tuple"

        def read(value: Any) -> Any:
            if type(value) is not dict:
                raise unexpected(shape.word(), value)
            made: dict[str, Any] = {}
            wrong: Optional[Misfit] = None
            for field, read_field in in_order:
                if field not in value:
                    wrong = Misfit(f"expected {name or 'a dict'}, but {field} is missing").joined(wrong)
                    continue
                try:
                    made[field] = read_field(value[field])
                except Misfit as misfit:
                    wrong = misfit.at(f".{field}").joined(wrong)
                    if wrong.full or wrong.hopeless:
                        raise wrong from None
            # The others in the order in which they came: that of the class, if an instance of it was written.
            for field, item in value.items():
                if field in made or field in required:
                    continue
                read_other = readers.get(field)
                if read_other is None:
                    if keep:
                        made[field] = item
                    continue
                try:
                    made[field] = read_other(item)
                except Misfit as misfit:
                    wrong = misfit.at(f".{field}").joined(wrong)
                    if wrong.full or wrong.hopeless:
                        raise wrong from None
            if wrong is not None:
                raise wrong
            if whole and not optional.keys() <= made.keys():
                for field, default in optional.items():
                    if field not in made:
                        made[field] = _default(readers[field], default)
            return tuple(made.values()) if as_tuple else Record(made, name)

        return read

    def _union(self, shape: Shape) -> Reader:
        parts = [(part, self.of(part)) for part in shape.parts]
        tags = {tag: self.of(part) for tag, part in shape.tags.items()}

        def read(value: Any) -> Any:
            if tags and type(value) is dict:
                told = tags.get(str(value.get(shape.tag)))
                if told is not None:
                    return told(value)
            likely = [reader for part, reader in parts if _is(part, value)]
            # Each way once: what is in itself would double them on each level.
            ways = dict.fromkeys(likely + [reader for _, reader in parts])
            try:
                return first_fit(ways, value)
            except Misfit as misfit:
                if misfit.hopeless or (len(likely) == 1 and type(value) in (dict, list)):
                    raise
            raise unexpected(shape.word(), value)

        return read


def _is(shape: Shape, value: Any) -> bool:
    """Whether a value has the outer shape, with no conversion at all."""
    if shape.what == "float" and type(value) is int:
        return False
    if shape.what == "enum":
        return value in shape.options and isinstance(value, bool) == any(option is value for option in shape.options)
    if shape.what in ("record", "dict", "File", "Dir", "DataFrame"):
        return type(value) is dict and all(name in value for name in shape.required)
    return type(value) is _OF.get(shape.what)


_OF = {"int": int, "float": float, "bool": bool, "str": str, "null": type(None), "list": list, "tuple": list}


def _default(read: Reader, default: Any) -> Any:
    try:
        return read(default)
    except Misfit:
        # None, where the class makes its default itself.
        return default


def _key(shape: Shape, key: Any) -> Any:
    # JSON has only texts as keys, and msgpack any.
    if shape.what in ("int", "float") and type(key) is str:
        try:
            return int(key) if shape.what == "int" else float(key)
        except ValueError:
            raise unexpected(f"{shape.what} as key", key) from None
    return key


def _bool(value: Any) -> Any:
    if type(value) is not bool:
        raise unexpected("bool", value)
    return value


def _null(value: Any) -> Any:
    if value is not None:
        raise unexpected("None", value)


def _text(value: Any, field: str) -> str:
    held = value.get(field)
    if held is None or type(held) is str:
        return held or ""
    raise unexpected("str", held).at(f".{field}")


def stored(cls: Any, value: Any) -> Any:
    """A file or folder from the fields in which it stands inside a struct.

    Raises:
        Misfit: These are not its fields.
    """
    if type(value) is not dict or type(value.get("path")) is not str:
        raise unexpected(cls.__name__, value)
    name = _text(value, "name") if value.get("name") is not None else None
    return cls(value["path"], name=name, format=_text(value, "format"), hash=_text(value, "hash") or None)


def table(value: Any) -> io.DataFrame:
    """A table from the fields in which it stands inside a struct.

    Raises:
        Misfit: These are not its fields.
    """
    if type(value) is not dict or "uri" not in value:
        raise unexpected("DataFrame", value)
    uri = _text(value, "uri") or None
    return io.DataFrame(uri, format=_text(value, "format"), hash=_text(value, "hash") or None)


_SIMPLE: dict[str, Any] = {
    "any": lambda value: value,
    "null": _null,
    "bool": _bool,
    "File": lambda value: stored(io.File, value),
    "Dir": lambda value: stored(io.Dir, value),
    "DataFrame": table,
}
