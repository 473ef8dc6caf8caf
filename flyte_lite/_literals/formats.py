"""Times, lengths and bytes inside a struct: where JSON has only texts and numbers, what they are written as.

A datetime keeps the offset that it has, and one without an offset has none: the class reads it as it was.
"""

from __future__ import annotations

import datetime
from typing import Any, Callable, Optional, Union

from flyte_lite._literals.given import textual


def plain_text(value: Any, pydantic: bool) -> Optional[str]:
    """The text of what is written as its `str`."""
    return textual(value)


def _datetime_text(value: Any, pydantic: bool) -> Optional[str]:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if not isinstance(value, datetime.datetime):
        return None
    text = value.isoformat()
    return text[:-6] + "Z" if pydantic and text.endswith("+00:00") else text


def _date_text(value: Any, pydantic: bool) -> Optional[str]:
    if isinstance(value, datetime.datetime):
        value = value.date()
    return value.isoformat() if isinstance(value, datetime.date) else None


def _time_text(value: Any, pydantic: bool) -> Optional[str]:
    return value.isoformat() if isinstance(value, datetime.time) else None


def _duration_text(value: Any, pydantic: bool) -> Optional[str]:
    """ISO 8601, as pydantic writes and reads it: `PT1M30S`, `-P1DT0.5S`."""
    if not isinstance(value, datetime.timedelta):
        return None
    length = abs(value)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06}".rstrip("0") if length.microseconds else ""
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction or not (time or length.days):
        time += f"{seconds}{fraction}S"
    # To pydantic a year is 365 days.
    years, days = divmod(length.days, 365)
    day = "".join(f"{number}{unit}" for number, unit in ((years, "Y"), (days, "D")) if number)
    return f"{'-' if value < datetime.timedelta(0) else ''}P{day}{'T' if time else ''}{time}"


def _binary(value: Any, pydantic: bool) -> Optional[Union[str, bytes]]:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return None
    taken = bytes(value)
    try:
        return taken.decode()
    except UnicodeDecodeError:
        # pydantic reads either, though it refuses to write these.
        return taken


def _base64(value: Any, pydantic: bool) -> Optional[Union[str, bytes]]:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return None
    if not pydantic:
        return bytes(value)
    import base64

    return base64.b64encode(value).decode()


# By the format in the schema; given the value and whether pydantic reads it. None is: not this.
TEXTS: dict[str, Callable[[Any, bool], Any]] = {
    "date-time": _datetime_text,
    "date": _date_text,
    "time": _time_text,
    "duration": _duration_text,
    "binary": _binary,
    "base64": _base64,
}
