"""Defaults of fields, as they stand in a schema."""

from __future__ import annotations

import base64
import collections
import collections.abc
import dataclasses
import datetime
import enum
import os
from typing import Any

from flyte_lite._literals.classes import is_model, reference_of
from flyte_lite._literals.misfit import Misfit, show
from flyte_lite._literals.scalar_hydration import TEXT_CLASSES

_LISTS = (list, tuple, collections.abc.Set, collections.deque)


def as_json(value: Any) -> Any:
    """A value as JSON.

    Raises:
        Misfit: It can't be written so.
    """
    if isinstance(value, enum.Enum):
        return as_json(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.encodebytes(bytes(value)).decode()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (datetime.timezone, *TEXT_CLASSES)) or type(value).__module__ == "zoneinfo":
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if reference_of(type(value)) is not None:
        names = ("path", "name", "uri", "format", "hash")
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if is_model(type(value)) == 2:
        return value.model_dump(mode="json")
    if isinstance(value, collections.abc.Mapping):
        return {str(as_json(key)): as_json(item) for key, item in value.items()}
    if isinstance(value, _LISTS):
        return [as_json(item) for item in value]
    raise Misfit(f"{show(value)} can't stand in a schema as a default")
