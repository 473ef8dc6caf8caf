"""References to files, folders and tables in a store: what tasks take and give in place of their bytes.

    flyte_lite.run(task, data=flyte_lite.io.File("s3://bucket/data.csv"))

A reference is a value: it can't be changed, is equal to another one that says the same, and may be a key of a dict. To
make one reads and writes nothing.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Optional, TypeVar, Union

__all__ = ["DataFrame", "Dir", "File"]

T = TypeVar("T")
_Self = TypeVar("_Self", bound="_Reference")

# What the official SDK writes as the path of a folder that was not made.
_EMPTY = "::flyte-empty-dir::"
_OPTIONAL_TEXT = [{"type": "string"}, {"type": "null"}]


class _Reference:
    __slots__ = ()
    # What makes the value, in the order in which it is shown; and what of it stands inside a dataclass or a model.
    _fields: ClassVar[tuple[str, ...]] = ()
    _inner: ClassVar[tuple[str, ...]] = ()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} can't be changed; make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} can't be changed; make another one")

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Reference) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self._values()) if value)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), dict(zip(self._fields, self._values())))

    # What can't be changed needs no copy.
    def __copy__(self: _Self) -> _Self:
        return self

    def __deepcopy__(self: _Self, memo: object) -> _Self:
        return self

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return dict(zip(self._fields, self._values()))

    def _inside(self) -> dict[str, Any]:
        """As it stands inside a dataclass or a model."""
        return {name: value for name, value in self.to_dict().items() if name in self._inner}

    if TYPE_CHECKING:

        @classmethod
        def _schema(cls) -> dict[str, Any]:
            """The JSON schema of that."""
            ...

    # pydantic asks for these where a model has a field of this class; its own schemas are plain dicts.
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        return {
            "type": "function-plain",
            "ref": f"{cls.__module__}.{cls.__name__}",
            "function": {"type": "no-info", "function": cls._taken},
            "serialization": {"type": "function-plain", "function": cls._inside},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return cls._schema()

    @classmethod
    def _taken(cls: type[_Self], value: Any) -> _Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping) and set(value) <= {*cls._inner, "hash_method"}:
            with suppress(TypeError):
                return cls(**{name: item for name, item in value.items() if name in cls._inner})
        raise ValueError(f"expected a {cls.__name__}, or a dict of {', '.join(cls._inner)}")


def _revive(cls: type[_Self], values: dict[str, Any]) -> _Self:
    return cls(**values)


class _Stored(_Reference):
    __slots__ = ("format", "hash", "name", "path")
    _fields = _inner = ("path", "name", "format", "hash")
    _kind: ClassVar[tuple[str, str]]

    path: str
    name: str
    format: str
    hash: Optional[str]

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        name: Optional[str] = None,
        format: str = "",
        hash: Optional[str] = None,
    ) -> None:
        path = os.fspath(path)
        if not isinstance(path, str):
            raise TypeError(f"the path of a {type(self).__name__} is a str, not {type(path).__name__}")
        last = posixpath.basename(path.rstrip("/"))
        self._set(path=path, name=last if name is None else name, format=format or "", hash=hash or None)

    @classmethod
    def _schema(cls) -> dict[str, Any]:
        kind, what = cls._kind
        return {
            "type": "object",
            "title": cls.__name__,
            "description": f"A {what} reference with an optional format type.",
            "x-flyte-type": kind,
            "required": ["path"],
            "properties": {
                "path": {"title": "Path", "type": "string"},
                "name": {"title": "Name", "default": None, "anyOf": _OPTIONAL_TEXT},
                "format": {"title": "Format", "default": "", "type": "string"},
                "hash": {"title": "Hash", "default": None, "anyOf": _OPTIONAL_TEXT},
            },
        }


class File(_Stored, Generic[T]):
    """A file in a store. `File[T]` says what is in it, for people; on the wire it is the same.

    Attributes:
        path: Where it is, such as "s3://bucket/dir/data.csv".
        name: The last part of the path, unless another one was given.
        format: What the task calls its format; "" if it doesn't.
        hash: Stands for the content where results are kept by their inputs; None is the path itself.
    """

    __slots__ = ()
    _kind = ("file", "file")

    @classmethod
    def from_existing_remote(cls, remote_path: str, file_cache_key: Optional[str] = None) -> File[T]:
        """The reference to a file that is there already; `file_cache_key` becomes its `hash`."""
        return cls(remote_path, hash=file_cache_key)


class Dir(_Stored, Generic[T]):
    """A folder in a store.

    Attributes:
        path: Where it is, such as "s3://bucket/dir".
        name: The last part of the path, unless another one was given.
        format: What the task calls its format; "" if it doesn't.
        hash: Stands for the content where results are kept by their inputs; None is the path itself.
    """

    __slots__ = ()
    _kind = ("dir", "directory")

    @classmethod
    def from_existing_remote(cls, remote_path: str, dir_cache_key: Optional[str] = None) -> Dir[T]:
        """The reference to a folder that is there already; `dir_cache_key` becomes its `hash`."""
        return cls(remote_path, hash=dir_cache_key)

    @classmethod
    def empty(cls) -> Dir[T]:
        """What a task gives in place of a folder that it did not make."""
        return cls(_EMPTY)

    @property
    def is_empty(self) -> bool:
        """It stands for no folder at all."""
        return self.path == _EMPTY


class DataFrame(_Reference):
    """A table in a store.

    Attributes:
        uri: Where it is, such as "s3://bucket/table"; None if it is not known.
        format: Such as "parquet"; "" if it is not known.
        hash: Stands for the content where results are kept by their inputs; None is the uri itself.
        columns: The type of each column by its name, as far as the task told them, such as `{"age": "int"}`.
    """

    __slots__ = ("_columns", "format", "hash", "uri")
    _fields = ("uri", "format", "hash", "columns")
    _inner = ("uri", "format", "hash")

    uri: Optional[str]
    format: str
    hash: Optional[str]
    _columns: tuple[tuple[str, str], ...]

    def __init__(
        self,
        uri: Optional[Union[str, os.PathLike[str]]] = None,
        *,
        format: Optional[str] = "",
        hash: Optional[str] = None,
        columns: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._set(
            uri=None if uri is None else os.fspath(uri),
            format=format or "",
            hash=hash or None,
            _columns=tuple((columns or {}).items()),
        )

    @classmethod
    def from_existing_remote(cls, remote_path: str, format: Optional[str] = None) -> DataFrame:
        """The reference to a table that is there already."""
        return cls(remote_path, format=format)

    @classmethod
    def _schema(cls) -> dict[str, Any]:
        return {
            "type": "object",
            "title": "DataFrame",
            "description": "A tabular data reference backed by a remote file.",
            "x-flyte-type": "dataframe",
            "properties": {
                "uri": {"title": "Uri", "default": None, "anyOf": _OPTIONAL_TEXT},
                "format": {"title": "Format", "default": "", "anyOf": _OPTIONAL_TEXT},
                "hash": {"title": "Hash", "default": None, "anyOf": _OPTIONAL_TEXT},
            },
        }

    def _inside(self) -> dict[str, Any]:
        # As the official SDK writes it; its hash is one of whole inputs.
        return {"uri": self.uri, "format": self.format}

    @property
    def columns(self) -> dict[str, str]:
        """The type of each column by its name."""
        return dict(self._columns)

    # Columns are a dict; equal references are still equal without them.
    def __hash__(self) -> int:
        return hash((self.uri, self.format, self.hash))
