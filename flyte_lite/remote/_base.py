"""What every object of the model is: a protobuf message, and the session it came through."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Optional, TypeVar, cast

from flyte_lite import _session
from flyte_lite._session import Session

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from typing_extensions import Self

    PB = TypeVar("PB", bound=Message)
else:
    PB = TypeVar("PB")


class Resource(Generic[PB]):
    """Base of the model's classes.

    `Run.get("r1")` uses the session that `init` made. `client.runs` is a *bound class*: `Run` with the client's session
    fixed, and otherwise the same class, so both spellings are one implementation. What either makes is a plain `Run`,
    which keeps its session for ever. An object made by hand from a message uses the default session.

    Attributes:
        pb2: The message.
    """

    _bound: ClassVar[Optional[Session]] = None
    _plain: ClassVar[Optional[type[Any]]] = None
    _message: ClassVar[str]  # full name of the message's type
    _shown: ClassVar[tuple[str, ...]] = ("name",)  # properties in the repr
    _kept: ClassVar[tuple[str, ...]] = ()  # attributes beside the message that a pickle takes along
    _compared: ClassVar[tuple[str, ...]] = ()  # and those of them that make two objects differ

    pb2: PB

    def __init__(self, pb2: PB, session: Optional[Session] = None) -> None:
        from flyte_lite.idl import message_class, own

        self.pb2 = cast("PB", own(pb2, message_class(self._message)))
        self._own_session = session

    @classmethod
    def bind(cls, session: Session) -> type[Self]:
        """This class with its session fixed."""
        plain = cls._plain or cls
        names = {
            "_bound": session,
            "_plain": plain,
            "__module__": plain.__module__,
            "__qualname__": plain.__qualname__,
            "__doc__": plain.__doc__,
        }
        return cast("type[Self]", type(plain.__name__, (plain,), names))

    @classmethod
    def _current(cls) -> Session:
        """The session of a call that begins at this class: the bound one, else the default."""
        return cls._bound or _session.current(cls.__name__)

    @classmethod
    def _make(cls, pb2: PB, session: Session) -> Self:
        return cast("Self", (cls._plain or cls)(pb2, session))

    @property
    def _session(self) -> Session:
        return self._own_session or type(self)._current()

    def to_dict(self) -> dict[str, Any]:
        """The message as protobuf JSON, parsed: lowerCamelCase keys, 64-bit integers as text, unset fields left out."""
        from google.protobuf import json_format

        return json_format.MessageToDict(self.pb2)

    def to_json(self) -> str:
        """The message as protobuf JSON, indented by two."""
        from google.protobuf import json_format

        return json_format.MessageToJson(self.pb2, indent=2)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource) or (self._plain or type(self)) is not (other._plain or type(other)):
            return NotImplemented
        return bool(self.pb2 == other.pb2) and all(
            getattr(self, name) == getattr(other, name) for name in self._compared
        )

    __hash__ = None  # type: ignore[assignment]  # messages change

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!s}" for name in self._shown)
        return f"{type(self).__name__}({shown})"

    def _lines(self) -> Iterable[tuple[str, object]]:
        """What a notebook shows, with headings; what is None is left out."""
        return ((name.replace("_", " "), getattr(self, name)) for name in self._shown)

    def _repr_html_(self) -> str:
        """For notebooks."""
        lines = "".join(
            f"<tr><th style='text-align: left'>{_escaped(heading)}</th><td style='text-align: left'>{_cell(value)}</td>"
            "</tr>"
            for heading, value in self._lines()
            if value is not None
        )
        return f"<table><caption>{_escaped(type(self).__name__)}</caption>{lines}</table>"

    def __copy__(self) -> Self:
        made = cast("Self", object.__new__(self._plain or type(self)))
        # But for what was read of the message, and is of this one.
        made.__dict__.update(
            (name, value)
            for name, value in self.__dict__.items()
            if not isinstance(getattr(type(self), name, None), cached_property)
        )
        # A message of its own, which `sync` may change; but the same session, as this process has it.
        made.pb2 = type(self.pb2)()
        made.pb2.CopyFrom(self.pb2)
        made._own_session = self._own_session or self._bound
        return made

    def __deepcopy__(self, memo: object) -> Self:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        # The session stays behind: its sockets and secrets are this process's.
        kept = {name: getattr(self, name) for name in self._kept}
        return _revive, (self._plain or type(self), self.pb2.SerializeToString(), kept)


def _revive(cls: type[Resource[Any]], body: bytes, kept: dict[str, Any]) -> Resource[Any]:
    from flyte_lite.idl import message_class

    made = cls(message_class(cls._message).FromString(body))
    made.__dict__.update(kept)
    return made


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)


def _cell(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return _escaped(value.isoformat(sep=" ", timespec="seconds"))
    text = _escaped(str(value))
    # Only what a browser opens as a page; a name may be anything.
    return f'<a href="{text}">{text}</a>' if text.startswith(("http://", "https://")) else text
