"""What a dataclass, a model, a named tuple or a typed dict is read as, where its class is not here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Record(dict[str, Any]):
    """A dict whose items also go by attribute: `config["rate"]` and `config.rate` are the same.

    It equals a plain dict of the same items and is one, for `json` too. A field that is called as a method, such
    as `items`, only goes by key. Fields are in the order in which the schema requires them, then as they came.

    Attributes:
        class_name: What the schema calls the class; "" if it does not.
    """

    __slots__ = ("class_name",)

    class_name: str

    def __init__(self, fields: Mapping[str, Any] = {}, class_name: str = "") -> None:  # only read
        super().__init__(fields)
        object.__setattr__(self, "class_name", class_name)

    def __getattr__(self, name: str) -> Any:
        # Asked for only where there is no such attribute.
        try:
            return self[name]
        except KeyError:
            listed = ", ".join(map(str, self)) or "none"
            raise AttributeError(f"{self.class_name or 'this record'} has no field {name!r}; it has {listed}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self:
            raise AttributeError(f"{self.class_name or 'this record'} has no field {name!r}")
        self[name] = value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(str(name) for name in self)]

    def __repr__(self) -> str:
        if not all(isinstance(name, str) and name.isidentifier() for name in self):
            return f"{self.class_name or 'Record'}({dict.__repr__(self)})"
        return f"{self.class_name or 'Record'}({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Record, (dict(self), self.class_name)

    def __copy__(self) -> Record:
        return self.copy()

    def copy(self) -> Record:
        """A shallow copy that is a record, too."""
        return Record(self, self.class_name)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, with all records in it."""
        made: dict[str, Any] = plain(self)
        return made


def plain(value: Any) -> Any:
    """A value with plain dicts in place of all records in it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return value
