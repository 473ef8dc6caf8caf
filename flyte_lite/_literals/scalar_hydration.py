"""What a single value may be written as inside something else: a datetime as a text, a timedelta as seconds.

How depends on what surrounds it. A whole input has a literal of its own kind; a dataclass is written in one piece, as
mashumaro does it; models, tuples and typed dicts are, too, as pydantic does it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import fractions
import ipaddress
import os
import re
import uuid
from typing import Any, Callable, Optional

from flyte_lite._literals.misfit import Misfit, unexpected

PLAIN, DATACLASS, MODEL = "plain", "dataclass", "model"

# A year is 365 days and a month 30, as pydantic has it.
_DURATION = re.compile(
    r"([+-]?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,9}))?S)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"UTC(?:([+-])(\d\d):(\d\d))?", re.ASCII)
_FRACTION = re.compile(r"\.(\d+)")


def scalar_reading(cls: Any, style: str) -> Optional[Callable[[Any], Any]]:
    """What makes a value one of that class, for classes of single values; None for others.

    What it makes raises Misfit for a value that is none.
    """
    if cls in _READ:
        read = _READ[cls]
        return lambda value: read(value, style)
    if cls in TEXT_CLASSES:
        return _by_text(cls)
    if issubclass(cls, os.PathLike):
        return _by_text(cls)
    if cls.__module__ == "zoneinfo" and cls.__name__ == "ZoneInfo":
        return _by_text(cls)
    for base in (int, float, str):
        # A class of the user's own, written as what it is underneath.
        if issubclass(cls, base):
            below = _READ[base]
            return lambda value: value if type(value) is cls else cls(below(value, style))
    return None


def _none(value: Any, style: str) -> None:
    if value is not None:
        raise unexpected("None", value)


def _bool(value: Any, style: str) -> bool:
    if type(value) is not bool:
        raise unexpected("bool", value)
    return value


def _int(value: Any, style: str) -> int:
    if type(value) is int:
        return value
    # JSON has only one kind of number.
    if style != PLAIN and type(value) is float and value.is_integer():
        return int(value)
    raise unexpected("int", value)


def _float(value: Any, style: str) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise unexpected("float", value) from None
    if style != PLAIN and isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise unexpected("float", value)


def _str(value: Any, style: str) -> str:
    # A member of an enum whose class is not here is a text too, but was not declared so.
    if type(value) is not str:
        raise unexpected("str", value)
    return value


def _datetime(value: Any, style: str) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.datetime.fromisoformat(_iso(value))
        except ValueError:
            pass
    raise unexpected("datetime", value)


def _iso(text: str) -> str:
    # What Python before 3.11 can't read: Z, and fractions of other lengths than three and six.
    text = text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text
    return _FRACTION.sub(lambda found: "." + found.group(1)[:6].ljust(6, "0"), text, count=1)


def _date(value: Any, style: str) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, str):
        try:
            return datetime.datetime.fromisoformat(_iso(value)).date()
        except ValueError:
            pass
    raise unexpected("date", value)


def _time(value: Any, style: str) -> datetime.time:
    if isinstance(value, datetime.time):
        return value
    if isinstance(value, str):
        try:
            return datetime.time.fromisoformat(_iso(value))
        except ValueError:
            pass
    raise unexpected("time", value)


def _timedelta(value: Any, style: str) -> datetime.timedelta:
    try:
        if isinstance(value, datetime.timedelta):
            return value
        if type(value) in (int, float):
            return datetime.timedelta(seconds=value)
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found and len(value.rstrip("T")) > 1:
            years, months, weeks, days, hours, minutes, seconds = (int(found[nth] or 0) for nth in range(2, 9))
            microseconds = int((found[9] or "0").ljust(6, "0")[:6])
            days += 365 * years + 30 * months
            made = datetime.timedelta(days, seconds, microseconds, 0, minutes, hours, weeks)
            return -made if found.group(1) == "-" else made
    except (OverflowError, ValueError):  # too long for Python, or NaN
        pass
    raise unexpected("timedelta", value)


def _timezone(value: Any, style: str) -> datetime.timezone:
    if isinstance(value, datetime.timezone):
        return value
    found = _OFFSET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise unexpected("timezone", value)
    hours, minutes = int(found.group(2) or 0), int(found.group(3) or 0)
    offset = datetime.timedelta(hours=hours, minutes=minutes)
    if not offset:
        return datetime.timezone.utc
    try:
        return datetime.timezone(-offset if found.group(1) == "-" else offset)
    except ValueError:
        raise unexpected("timezone", value) from None


def _bytes(value: Any, style: str) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str) and style == DATACLASS:
        try:
            return base64.b64decode("".join(value.split()), validate=True)
        except (ValueError, binascii.Error):
            raise unexpected("bytes as base64", value) from None
    if isinstance(value, str) and style == MODEL:
        return value.encode("utf-8", "surrogatepass")
    raise unexpected("bytes", value)


_READ: dict[Any, Callable[[Any, str], Any]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    datetime.datetime: _datetime,
    datetime.date: _date,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    datetime.timezone: _timezone,
    bytes: _bytes,
    bytearray: lambda value, style: bytearray(_bytes(value, style)),
}
# Classes of single values that are written as their `str`, and made of it.
TEXT_CLASSES = (
    decimal.Decimal,
    fractions.Fraction,
    ipaddress.IPv4Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Interface,
    ipaddress.IPv6Network,
    uuid.UUID,
)
_NUMBERS = (decimal.Decimal, fractions.Fraction)


def _by_text(cls: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        text = str(value) if cls in _NUMBERS and type(value) in (int, float) else value
        if not isinstance(text, str):
            raise unexpected(cls.__name__, value)
        try:
            return cls(text)
        except Exception:  # noqa: BLE001 - each of these has its own error, and a class of paths may be the user's
            raise unexpected(cls.__name__, value) from None

    return read


def refused(cls: Any, error: Exception) -> Misfit:
    """A class of the user's did not take the values."""
    return Misfit(f"{cls.__name__} refuses it: {error}" if str(error) else f"{cls.__name__} refuses it")
