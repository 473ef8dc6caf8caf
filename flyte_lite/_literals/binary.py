"""The bytes of `scalar.binary` with the tag "msgpack": untyped dicts, and all that has fields."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, Optional

from flyte_lite._literals.given import packable
from flyte_lite._literals.misfit import Misfit, key_path, unexpected

TAG = "msgpack"
# What msgpack itself holds. Types have a limit of their own, see `kinds.MAX_DEPTH`.
MAX_LEVELS = 511

_UINT64 = 0xFFFF_FFFF_FFFF_FFFF
_INT64 = -0x8000_0000_0000_0000
_KEYS = (str, int, float, bytes, type(None))


def _msgpack() -> Any:
    try:
        import msgpack  # type: ignore[import-untyped]
    except ImportError:
        raise Misfit("dicts and values with fields need the package msgpack, which is not installed") from None
    return msgpack


def pack(value: Any) -> bytes:
    """A value of dicts, lists and what `given.packable` takes, as msgpack.

    Raises:
        Misfit: Something in it has no place in msgpack, is nested too deep, or contains itself.
    """
    msgpack = _msgpack()
    try:
        packed: bytes = msgpack.packb(value, default=packable)
    # msgpack says what is wrong, but not where.
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        found = _wrong(value)
        if found is None:
            raise Misfit(f"a value that msgpack can't hold: {error}") from None
        raise found from None
    if _has_odd_keys(value):
        raise _wrong(value) or Misfit("a tuple can't be a key of a dict")
    return packed


def _has_odd_keys(value: Any) -> bool:
    # msgpack packs a tuple as a key and can't read it again. What was packed has an end, so this has one.
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if any(isinstance(key, (tuple, Set)) for key in item):
                return True
            item = item.values()
        elif not isinstance(item, (list, tuple)):
            continue
        stack.extend(each for each in item if isinstance(each, (dict, list, tuple)))
    return False


def unpack(packed: bytes) -> Any:
    """What was packed; bytes stay bytes, keys are of any kind.

    Raises:
        Misfit: The bytes are not msgpack.
    """
    msgpack = _msgpack()
    try:
        return msgpack.unpackb(packed, strict_map_key=False, ext_hook=_refuse, timestamp=3)
    # A list as a key is a TypeError, and a time that Python can't hold an OverflowError.
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise Misfit(f"its bytes are not msgpack that can be read: {error or type(error).__name__}") from None


def _refuse(code: int, data: bytes) -> Any:
    raise ValueError(f"a msgpack extension of type {code}")


# A path in reverse, without copies: the last piece, and what it is in.
_Path = Optional[tuple[str, Any]]


def _wrong(value: Any) -> Optional[Misfit]:
    """What of `value` can't be packed: the first thing, with its path."""
    # A stack of our own: a recursion would end before the levels that msgpack allows.
    stack: list[tuple[Any, _Path, int]] = [(value, None, 1)]
    while stack:
        item, path, level = stack.pop()
        misfit: Optional[Misfit] = None
        if level > MAX_LEVELS:
            misfit = Misfit(f"is nested more than {MAX_LEVELS} levels deep, or contains itself")
        inner: list[tuple[str, Any]] = []
        if misfit is None:
            try:
                inner = list(_inside(item))
            except Misfit as found:
                misfit = found
        if misfit is not None:
            while path is not None:
                piece, path = path
                misfit.at(piece)
            return misfit
        # Reversed, so that what comes first is told first.
        stack.extend((each, (piece, path), level + 1) for piece, each in reversed(inner))
    return None


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    for _ in range(MAX_LEVELS):
        if isinstance(value, dict):
            for key, item in value.items():
                yield key_path(_key(key)), item
            return
        if isinstance(value, (list, tuple)):
            yield from ((f"[{nth}]", item) for nth, item in enumerate(value))
            return
        if _is_leaf(value):
            return
        try:
            value = packable(value)
        except TypeError:
            raise unexpected("what JSON or msgpack can hold", value) from None
    raise unexpected("what JSON or msgpack can hold", value)


def _key(key: Any) -> Any:
    if isinstance(key, _KEYS):
        _is_leaf(key)
    # A tuple would become a list, which no dict has as a key when it is read.
    elif isinstance(key, (tuple, Set)):
        raise unexpected("a str or a number as key", key)
    return key


def _is_leaf(value: Any) -> bool:
    if value is None or isinstance(value, (bool, float, bytes, bytearray, memoryview)):
        return True
    if isinstance(value, int):
        if not _INT64 <= value <= _UINT64:
            raise unexpected("int", value, ", which does not fit into 64 bits")
        return True
    if isinstance(value, str):
        try:
            str.encode(value)
        except UnicodeEncodeError:
            raise unexpected("str", value, ", which is not valid Unicode") from None
        return True
    return False
