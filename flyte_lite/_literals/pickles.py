"""Values of all other classes: sets, bytes, `Any`. On the wire they are pickles.

A pickle is a program, and loading one runs it. So it is read here in two ways. One of plain data (None, numbers, texts,
bytes, lists, tuples, dicts, sets) is read by a reader that knows nothing but those, and can run nothing. Any other is
loaded only if the caller names the input or output that it is in. One that was stored elsewhere is never fetched.

Written are values of Python's own classes, with the bytes that cloudpickle gives them; never instances of the user's
own, which the task could only load if it had the same module. The official SDK stores what is larger than 10 KiB and
sends an address; here it stays in the literal, which the task reads all the same.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Set
from functools import cache
from typing import TYPE_CHECKING, Any

from flyte_lite._literals.kinds import MAX_DEPTH, Kind, Plan
from flyte_lite._literals.misfit import Misfit, clip, show, unexpected
from flyte_lite._literals.shapes import misread

if TYPE_CHECKING:
    from flyte_lite._literals.kinds import Decoder, Encoder, Reader
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.core.types_pb2 import LiteralType

# What cloudpickle writes on every Python that we run on.
_PROTOCOL = 5
_OWN = frozenset(
    [
        "builtins",
        "collections",
        "copyreg",
        "datetime",
        "decimal",
        "fractions",
        "ipaddress",
        "pathlib",
        "uuid",
        "zoneinfo",
    ]
)


@cache
def _pickler() -> Any:
    # Made when first needed: most processes that send a value send no pickle.
    import pickle
    import types

    class Pickler(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            # Asked about everything but None, numbers, texts and the built-in containers.
            named = obj if isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType)) else type(obj)
            # Since 3.13 a path is of a module inside pathlib.
            if str(named.__module__).partition(".")[0] in _OWN:
                return NotImplemented
            raise _Foreign(obj)

    return Pickler


def _dump(value: Any) -> bytes:
    stream = io.BytesIO()
    _pickler()(stream, _PROTOCOL).dump(value)
    return stream.getvalue()


class _Foreign(Exception):
    """An object of a class that is not Python's own."""


def _encoder(literal_type: LiteralType, plan: Plan) -> Encoder:
    name = pickled(literal_type)

    def encode(value: Any, into: Literal) -> None:
        if value is None and (plan.strict or name != "Any"):
            raise unexpected(name, value)
        try:
            into.scalar.binary.value = _dump(value)
        except _Foreign as foreign:
            raise unexpected(name, value, _why(value, foreign.args[0])) from None
        except Exception as error:  # noqa: BLE001  # whatever an object does when it is asked for its state
            raise unexpected(name, value, f", which can't be pickled: {clip(str(error))}") from None
        if isinstance(value, Set):
            hashed = _hash_of(value)
            if hashed:
                into.hash = hashed

    return encode


def _why(value: Any, foreign: Any) -> str:
    inside = "" if foreign is value else f" with {show(foreign)} in it"
    return f"{inside}; such values travel as pickles, and only those of Python's own classes can be sent"


def _hash_of(value: Set[Any]) -> str:
    """Stands for the set where results are kept by their inputs, as its pickle differs from process to process."""
    try:
        elements = sorted(value)
    except TypeError:
        return ""
    import hashlib
    import pickle

    # MD5 as the official SDK; nothing is kept secret or safe by it.
    return hashlib.md5(pickle.dumps(elements, _PROTOCOL)).hexdigest()  # noqa: S324


def _decoder(literal_type: LiteralType, plan: Plan) -> Decoder:
    name = pickled(literal_type)

    def decode(literal: Literal) -> Any:
        scalar = literal.scalar
        which = scalar.WhichOneof("value")
        if which == "blob" and scalar.blob.uri:
            raise Misfit(
                f"expected {name}, but its pickle is stored at {clip(scalar.blob.uri)} and is not fetched from there"
            )
        if which != "binary" or scalar.binary.tag:
            raise misread(name, literal)
        packed = scalar.binary.value
        try:
            return data(packed)
        except _NotData as why:
            if not plan.pickles:
                raise Misfit(
                    f"expected {name}, but it is a pickle of more than plain data ({why}), and to load one runs code "
                    "of whoever wrote it; name it in `pickles` if you trust them"
                ) from None
        import pickle

        try:
            return pickle.loads(packed)  # noqa: S301  # the caller asked for this one
        except Exception as error:  # noqa: BLE001  # runs what somebody wrote
            raise Misfit(f"expected {name}, but its pickle can't be loaded here: {clip(repr(error))}") from None

    return decode


def pickled(literal_type: LiteralType) -> str:
    """The class that the type was made of, as far as it says."""
    fields = literal_type.metadata.fields
    name = clip(fields["python_class_name"].string_value) if "python_class_name" in fields else ""
    if name.startswith("<class '") and name.endswith("'>"):
        name = name[8:-2]
    return name.replace("typing.", "") or "Any"


class _NotData(Exception):
    """A pickle does what the reader of plain data does not."""


def data(packed: bytes) -> Any:
    """A pickle of plain data, read without running anything.

    Raises:
        _NotData: It is a pickle of something else, or none at all.
    """
    try:
        return _Reader(packed).read()
    except _NotData:
        raise
    # Bytes that are no pickle end in the middle of something, or take from an empty stack.
    except (ValueError, IndexError, KeyError, TypeError, struct.error, OverflowError, RecursionError) as error:
        raise _NotData(f"not well-formed: {type(error).__name__}") from None


_MARK = object()


class _Reader:
    """The part of pickle's machine that makes plain data. It has no opcode that finds a class or calls anything."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 0
        self._stack: list[Any] = []
        self._memo: list[Any] = []

    def read(self) -> Any:
        while True:
            code = self._take(1)
            if code == b".":
                (made,) = self._clean(self._stack)
                return made
            step = _STEPS.get(code)
            if step is None:
                raise _NotData(_NAMES.get(code, f"opcode {code!r}"))
            step(self)

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._packed):
            raise ValueError("too short")
        taken = self._packed[self._at : end]
        self._at = end
        return taken

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _skip(self, form: str) -> None:
        self._take(struct.calcsize(form))

    def _since_mark(self) -> list[Any]:
        # From the end: the mark is an object that nothing equals but itself.
        start = len(self._stack) - 1
        while self._stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        items = self._clean(self._stack[start + 1 :])
        del self._stack[start:]
        return items

    @staticmethod
    def _clean(items: list[Any]) -> list[Any]:
        if any(item is _MARK for item in items):
            raise ValueError("a mark in place of a value")
        return items

    def _top(self, count: int) -> None:
        self._push(tuple(self._pop(count)))

    def _memoize(self) -> None:
        self._memo.extend(self._clean(self._stack[-1:]))

    @staticmethod
    def _hashable(items: list[Any]) -> list[Any]:
        # Python hashes a tuple in a tuple without a limit of depth, until its stack ends.
        level = items
        for _ in range(MAX_DEPTH):
            level = [inner for item in level if isinstance(item, (tuple, frozenset)) for inner in item]
            if not level:
                return items
        raise ValueError("a key that is nested too deep")

    def _into(self, cls: type, items: list[Any]) -> None:
        holder = self._stack[-1]
        if type(holder) is not cls:
            raise ValueError("not the right container")
        if isinstance(holder, list):
            holder.extend(items)
        elif isinstance(holder, set):
            holder.update(self._hashable(items))
        elif isinstance(holder, dict) and len(items) % 2 == 0:
            holder.update(zip(self._hashable(items[::2]), items[1::2]))
        else:
            raise ValueError("a key without a value")

    def _pop(self, count: int) -> list[Any]:
        items = self._clean(self._stack[-count:])
        if len(items) < count:
            raise ValueError("too few")
        del self._stack[-count:]
        return items


def _text(reader: _Reader, form: str) -> None:
    reader._push(reader._take(reader._number(form)).decode("utf-8", "surrogatepass"))


def _bytes(reader: _Reader, form: str) -> None:
    reader._push(reader._take(reader._number(form)))


_STEPS: dict[bytes, Any] = {
    b"\x80": lambda reader: reader._skip("<B"),  # PROTO
    b"\x95": lambda reader: reader._skip("<Q"),  # FRAME
    b"\x94": lambda reader: reader._memoize(),  # MEMOIZE
    b"N": lambda reader: reader._push(None),
    b"\x88": lambda reader: reader._push(True),
    b"\x89": lambda reader: reader._push(False),
    b"K": lambda reader: reader._push(reader._number("<B")),
    b"M": lambda reader: reader._push(reader._number("<H")),
    b"J": lambda reader: reader._push(reader._number("<i")),
    b"\x8a": lambda reader: reader._push(int.from_bytes(reader._take(reader._number("<B")), "little", signed=True)),
    b"G": lambda reader: reader._push(reader._number(">d")),
    b"\x8c": lambda reader: _text(reader, "<B"),
    b"X": lambda reader: _text(reader, "<I"),
    b"\x8d": lambda reader: _text(reader, "<Q"),
    b"C": lambda reader: _bytes(reader, "<B"),
    b"B": lambda reader: _bytes(reader, "<I"),
    b"\x8e": lambda reader: _bytes(reader, "<Q"),
    b"\x96": lambda reader: reader._push(bytearray(reader._take(reader._number("<Q")))),
    b"(": lambda reader: reader._push(_MARK),
    b"]": lambda reader: reader._push([]),
    b"}": lambda reader: reader._push({}),
    b"\x8f": lambda reader: reader._push(set()),
    b")": lambda reader: reader._push(()),
    b"\x85": lambda reader: reader._top(1),
    b"\x86": lambda reader: reader._top(2),
    b"\x87": lambda reader: reader._top(3),
    b"t": lambda reader: reader._push(tuple(reader._since_mark())),
    b"\x91": lambda reader: reader._push(frozenset(reader._hashable(reader._since_mark()))),
    b"a": lambda reader: reader._into(list, reader._pop(1)),
    b"e": lambda reader: reader._into(list, reader._since_mark()),
    b"s": lambda reader: reader._into(dict, reader._pop(2)),
    b"u": lambda reader: reader._into(dict, reader._since_mark()),
    b"\x90": lambda reader: reader._into(set, reader._since_mark()),
    b"h": lambda reader: reader._push(reader._memo[reader._number("<B")]),
    b"j": lambda reader: reader._push(reader._memo[reader._number("<I")]),
}
_NAMES = {b"c": "a class or function", b"\x93": "a class or function", b"R": "a call"}


def _reader(literal_type: LiteralType, plan: Plan) -> Reader:
    # Inside a struct nothing is pickled.
    return lambda value: value


PICKLE = Kind(
    tag="FlytePickle",
    describe=lambda literal_type, plan: pickled(literal_type),
    encoder=_encoder,
    decoder=_decoder,
    reader=_reader,
    reads=lambda literal: literal.scalar.WhichOneof("value") == "binary" and not literal.scalar.binary.tag,
)
