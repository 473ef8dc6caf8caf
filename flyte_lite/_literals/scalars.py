"""Numbers, texts, times and None: one value, one primitive.

What is taken beyond the official SDK: an int (or any exact number) for a float, numpy's scalars, a date for a datetime.
A bool is never a number here, and a number never a bool.
"""

from __future__ import annotations

import datetime
import math
import numbers
from typing import TYPE_CHECKING, Any, Callable

from flyte_lite._literals.kinds import Kind, Plan
from flyte_lite._literals.misfit import Misfit, unexpected
from flyte_lite._literals.shapes import is_primitive, unpacked

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

_UTC = datetime.timezone.utc
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=_UTC)
_EPOCH_DAY = _EPOCH.date().toordinal()
# What protobuf allows: the years 1 to 9999, and ten thousand years either way.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_LONGEST = 315_576_000_000


def _write_int(value: Any, into: Literal, strict: bool = False) -> None:
    if type(value) is not int:
        # numpy's integers are Integral and no int.
        whole = isinstance(value, int) or (not strict and isinstance(value, numbers.Integral))
        if not whole or isinstance(value, bool):
            raise unexpected("int", value)
        value = int(value)
    if not -0x8000_0000_0000_0000 <= value <= 0x7FFF_FFFF_FFFF_FFFF:
        raise unexpected("int", value, ", which does not fit into 64 bits")
    into.scalar.primitive.integer = value


def _read_int(literal: Literal) -> Any:
    primitive = literal.scalar.primitive
    which = primitive.WhichOneof("value")
    if which == "integer":
        return primitive.integer
    # Every number that was typed into the console is a double; the task truncates it too.
    if which == "float_value" and math.isfinite(primitive.float_value):
        return int(primitive.float_value)
    return unpacked("int", literal, _plain_int)


def _write_float(value: Any, into: Literal, strict: bool = False) -> None:
    if type(value) is not float:
        value = _float(value, strict)
    into.scalar.primitive.float_value = value


def _float(value: Any, strict: bool) -> float:
    if isinstance(value, float):
        return float(value)
    if strict or isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise unexpected("float", value)
    return exact_float(value)


def exact_float(value: Any) -> float:
    """A number as the float that it is; Misfit if none is exactly that."""
    try:
        made = float(value)
    except OverflowError:
        made = math.inf
    if made != value and not math.isnan(made):
        raise unexpected("float", value, ", which no float is exactly")
    return made


def _read_float(literal: Literal) -> Any:
    primitive = literal.scalar.primitive
    which = primitive.WhichOneof("value")
    if which == "float_value":
        return primitive.float_value
    if which == "integer":
        return float(primitive.integer)
    return unpacked("float", literal, _plain_float)


def _write_str(value: Any, into: Literal, strict: bool = False) -> None:
    if not isinstance(value, str):
        raise unexpected("str", value)
    try:
        # A member of a str enum is written as its text.
        into.scalar.primitive.string_value = value if type(value) is str else str.__str__(value)
    except ValueError:
        raise unexpected("str", value, ", which is not valid Unicode") from None


def _read_str(literal: Literal) -> Any:
    primitive = literal.scalar.primitive
    if primitive.WhichOneof("value") == "string_value":
        return primitive.string_value
    return unpacked("str", literal, _plain_str)


def _write_bool(value: Any, into: Literal, strict: bool = False) -> None:
    if type(value) is not bool:
        # numpy's own bool; numpy itself is not needed to know it.
        if strict or type(value).__module__ != "numpy" or type(value).__name__ not in ("bool", "bool_"):
            raise unexpected("bool", value)
        value = bool(value)
    into.scalar.primitive.boolean = value


def _read_bool(literal: Literal) -> Any:
    primitive = literal.scalar.primitive
    if primitive.WhichOneof("value") == "boolean":
        return primitive.boolean
    return unpacked("bool", literal, _plain_bool)


def _write_datetime(value: Any, into: Literal, strict: bool = False) -> None:
    if isinstance(value, datetime.datetime):
        # Not astimezone(UTC): that can't hold the hours around the year 9999.
        since = (value.replace(tzinfo=_UTC) if value.utcoffset() is None else value) - _EPOCH
        seconds = since.days * 86400 + since.seconds
        if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
            raise unexpected("datetime", value, ", which is not in the years 1 to 9999 in UTC")
        stamp = into.scalar.primitive.datetime
        stamp.seconds = seconds
        stamp.nanos = since.microseconds * 1000
        stamp.SetInParent()  # 1970-01-01 is not the absence of a time
    elif not strict and isinstance(value, datetime.date):
        _write_date(value, into, strict)
    else:
        raise unexpected("datetime", value)


def _read_datetime(literal: Literal) -> datetime.datetime:
    primitive = literal.scalar.primitive
    if primitive.WhichOneof("value") != "datetime":
        made: datetime.datetime = unpacked("datetime", literal, _plain_datetime)
        return made
    stamp = primitive.datetime
    try:
        return _EPOCH + datetime.timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError:
        raise Misfit(f"expected datetime, got one outside the years 1 to 9999: {stamp.seconds} s after 1970") from None


def _write_date(value: Any, into: Literal, strict: bool = False) -> None:
    # A datetime is a date too; its time of day is dropped, as the official SDK does.
    if not isinstance(value, datetime.date):
        raise unexpected("date", value)
    stamp = into.scalar.primitive.datetime
    stamp.seconds = (value.toordinal() - _EPOCH_DAY) * 86400
    stamp.SetInParent()


def _read_date(literal: Literal) -> datetime.date:
    return _read_datetime(literal).date()


def _write_timedelta(value: Any, into: Literal, strict: bool = False) -> None:
    if not isinstance(value, datetime.timedelta):
        raise unexpected("timedelta", value)
    microseconds = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    if seconds > _LONGEST or (seconds == _LONGEST and rest):
        raise unexpected("timedelta", value, ", which is longer than ten thousand years")
    # Seconds and nanos have the same sign.
    sign = -1 if microseconds < 0 else 1
    length = into.scalar.primitive.duration
    length.seconds = sign * seconds
    length.nanos = sign * rest * 1000
    length.SetInParent()


def _read_timedelta(literal: Literal) -> datetime.timedelta:
    primitive = literal.scalar.primitive
    if primitive.WhichOneof("value") != "duration":
        made: datetime.timedelta = unpacked("timedelta", literal, _plain_timedelta)
        return made
    length = primitive.duration
    # Towards zero, as protobuf does; `//` would go down.
    microseconds = abs(length.nanos) // 1000 * (-1 if length.nanos < 0 else 1)
    try:
        return datetime.timedelta(seconds=length.seconds, microseconds=microseconds)
    except OverflowError:
        raise Misfit(f"expected timedelta, got one that Python can't hold: {length.seconds} s") from None


def _write_none(value: Any, into: Literal, strict: bool = False) -> None:
    if value is not None:
        raise unexpected("None", value)
    into.scalar.none_type.SetInParent()


def _read_none(literal: Literal) -> None:
    if not _is_none(literal):
        unpacked("None", literal, _plain_none)


def _is_none(literal: Literal) -> bool:
    return literal.scalar.WhichOneof("value") == "none_type"


# From here on: where such a value stands as msgpack or JSON.


def _plain_int(value: Any) -> int:
    # JSON in a message has doubles only.
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value)
    raise unexpected("int", value)


def _plain_float(value: Any) -> float:
    if type(value) in (int, float):
        return float(value)
    raise unexpected("float", value)


def _plain_str(value: Any) -> str:
    if type(value) is not str:
        raise unexpected("str", value)
    return value


def _plain_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise unexpected("bool", value)
    return value


def _plain_datetime(value: Any) -> datetime.datetime:
    if type(value) is str:
        try:
            # Python before 3.11 does not know the Z.
            made = datetime.datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
            return made.replace(tzinfo=_UTC) if made.utcoffset() is None else made.astimezone(_UTC)
        except (ValueError, OverflowError):
            pass
    raise unexpected("datetime", value)


def _plain_date(value: Any) -> datetime.date:
    return _plain_datetime(value).date()


def _plain_timedelta(value: Any) -> datetime.timedelta:
    if type(value) in (int, float):
        try:
            return datetime.timedelta(seconds=value)
        except (ValueError, OverflowError):
            pass
    raise unexpected("timedelta", value)


def _plain_none(value: Any) -> None:
    if value is not None:
        raise unexpected("None", value)


def _kind(
    name: str,
    write: Callable[..., None],
    read: Callable[[Any], Any],
    plain: Callable[[Any], Any],
    reads: Callable[[Any], bool],
    exact: type,
) -> Kind:
    def encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
        return (lambda value, into: write(value, into, True)) if plan.strict else write

    def decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
        return read

    return Kind(
        # The official names of these transformers are those of the classes.
        tag=name.lower(),
        describe=lambda literal_type, plan: name,
        encoder=encoder,
        decoder=decoder,
        reader=lambda literal_type, plan: plain,
        reads=reads,
        exact=exact,
    )


INT = _kind("int", _write_int, _read_int, _plain_int, is_primitive("integer"), int)
FLOAT = _kind("float", _write_float, _read_float, _plain_float, is_primitive("float_value"), float)
STR = _kind("str", _write_str, _read_str, _plain_str, is_primitive("string_value"), str)
BOOL = _kind("bool", _write_bool, _read_bool, _plain_bool, is_primitive("boolean"), bool)
DATETIME = _kind(
    "datetime", _write_datetime, _read_datetime, _plain_datetime, is_primitive("datetime"), datetime.datetime
)
DATE = _kind("date", _write_date, _read_date, _plain_date, is_primitive("datetime"), datetime.date)
TIMEDELTA = _kind(
    "timedelta", _write_timedelta, _read_timedelta, _plain_timedelta, is_primitive("duration"), datetime.timedelta
)
NONE = _kind("None", _write_none, _read_none, _plain_none, _is_none, type(None))
