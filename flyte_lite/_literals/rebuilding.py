"""Objects of the user's classes, made of the fields that a record or a dict has."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

from flyte_lite import io
from flyte_lite._literals.classes import UNIONS, bare, fields_of, is_model, may_be_missing, reference_of
from flyte_lite._literals.containers import is_list
from flyte_lite._literals.enums import DynamicEnum
from flyte_lite._literals.misfit import SHOWN, Misfit, unexpected
from flyte_lite._literals.records import Record
from flyte_lite._literals.scalar_hydration import refused

if TYPE_CHECKING:
    from flyte_lite._literals.hydration import Fit, Fitting

_ABSENT: Any = object()


def dataclass_fit(annotation: Any, style: str, fitting: Fitting) -> Fit:
    """What makes a dataclass of its fields; defaults are its own, and so is what `__post_init__` makes of them."""
    cls: Any = typing.get_origin(annotation) or annotation
    hints = fields_of(annotation)
    parameters = {
        name: (fitting.of(hint.type if isinstance(hint, dataclasses.InitVar) else hint, style), _has_default(field))
        for name, field, hint in (
            (name, field, hints.get(name, Any))
            for name, field in cls.__dataclass_fields__.items()
            # What is only for `__init__` has no place on the wire, but may have a default.
            if field.init and typing.get_origin(hints.get(name)) is not typing.ClassVar
        )
    }

    def fit(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        return _made(cls, _fields(_mapping(value, cls), parameters))

    return fit


def _has_default(field: Any) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _mapping(value: Any, cls: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise unexpected(cls.__name__, value)
    return value


def _fields(
    value: Mapping[Any, Any], parameters: Mapping[str, tuple[Fit, bool]], piece: Callable[[str], str] = ".{}".format
) -> dict[str, Any]:
    """The fields that are there, made to fit; what is wrong with them as one misfit, `piece` being its place."""
    made: dict[str, Any] = {}
    wrong: Optional[Misfit] = None
    for name, (fit, optional) in parameters.items():
        item = value.get(name, _ABSENT)
        try:
            if item is not _ABSENT:
                made[name] = fit(item)
            elif not optional:
                raise Misfit("is missing")
        except Misfit as misfit:
            wrong = misfit.at(piece(name)).joined(wrong)
            if wrong.full:
                break
    if wrong is not None:
        raise wrong
    return made


def _made(cls: Any, fields: dict[str, Any]) -> Any:
    try:
        return cls(**fields)
    except Exception as error:  # its `__post_init__` is the user's, and may raise anything
        raise refused(cls, error) from error


def typed_dict_fit(annotation: Any, style: str, fitting: Fitting) -> Fit:
    """What makes a typed dict: a dict of the keys that are declared."""
    cls: Any = typing.get_origin(annotation) or annotation
    parameters: dict[str, tuple[Fit, bool]] = {}
    absent: set[str] = set()
    for name, hint in fields_of(annotation).items():
        # Where annotations are texts, Python takes all keys for required.
        optional = may_be_missing(hint) or name not in cls.__required_keys__
        parameters[name] = (fitting.of(hint, style), optional)
        if optional and not _takes_none(hint):
            absent.add(name)

    def fit(value: Any) -> Any:
        given = _mapping(value, cls)
        # None stands on the wire for a key that is not there.
        return _fields({key: item for key, item in given.items() if item is not None or key not in absent}, parameters)

    return fit


def _takes_none(annotation: Any) -> bool:
    annotation = bare(annotation)
    members = typing.get_args(annotation) if typing.get_origin(annotation) in UNIONS else (annotation,)
    return any(member in (None, type(None), Any) for member in members)


def row_fit(
    name: str, make: Callable[[list[Any]], Any], fits: list[tuple[str, Fit]], defaults: Mapping[str, Any]
) -> Fit:
    """What makes a tuple, given in order or as a record.

    Args:
        name: What is made, for errors.
        make: Makes it of its items.
        fits: Name and fit of each item.
        defaults: Of the last items.
    """
    parameters = {field: (item_fit, field in defaults) for field, item_fit in fits}
    piece = ".{}".format if make is not tuple else lambda field: f"[{field[len('item_') :]}]"

    def fit(value: Any) -> Any:
        if is_list(value):
            if not len(fits) - len(defaults) <= len(value) <= len(fits):
                raise Misfit(f"expected {name}, got {len(value)} values")
            pairs: Iterable[tuple[int, Any]] = enumerate(value)
            given = {fits[number][0]: item for number, item in pairs}
        elif isinstance(value, Mapping):
            given = dict(value)
        else:
            raise unexpected(name, value)
        made = _fields(given, parameters, piece)
        return make([made.get(field, defaults.get(field)) for field, _ in fits])

    return fit


def model_fit(cls: Any) -> Fit:
    """What makes a pydantic model, by its own validation."""
    validate = cls.model_validate if is_model(cls) == 2 else cls.parse_obj
    more: dict[str, Any] = {"strict": False, "context": {"deserialize": True}} if is_model(cls) == 2 else {}
    known: _Known = {}

    def fit(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        prepared = _named_members(_mapping(value, cls), cls, known)
        try:
            return validate(prepared, **more)
        except Exception as error:  # validators are the user's own
            raise _told(cls, error) from error

    return fit


# The fields of the models that were met.
_Known = dict[Any, dict[str, Any]]


def _hints(annotation: Any, known: _Known) -> dict[str, Any]:
    if annotation not in known:
        known[annotation] = fields_of(annotation)
    return known[annotation]


def _told(cls: Any, error: Any) -> Misfit:
    """What pydantic says is wrong, each with its path."""
    try:
        said = [(tuple(one["loc"]), str(one["msg"])) for one in error.errors()[:SHOWN]]
    except Exception:  # noqa: BLE001 - it is no error of pydantic's, or one of another shape
        said = []
    wrong: Optional[Misfit] = None
    for where, text in said:
        misfit = Misfit(text)
        for piece in reversed(where):
            misfit.at(f"[{piece}]" if isinstance(piece, int) else f".{piece}")
        wrong = misfit.joined(wrong)
    return wrong or refused(cls, error)


def _named_members(value: Any, annotation: Any, known: _Known) -> Any:
    """What a model is validated from: on the wire stand names of enums' members, where pydantic wants the members."""
    if value is None or type(value) in (bool, float, int):
        return value
    annotation = bare(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    cls = origin or annotation
    if isinstance(value, io._Reference):
        return value if type(value) is cls else value._inside()
    if isinstance(value, Mapping):
        if is_model(cls):
            hints = _hints(annotation, known)
            return {key: _named_members(item, hints.get(key, Any), known) for key, item in value.items()}
        if origin in UNIONS:
            models = [member for member in args if isinstance(bare(member), type) and is_model(bare(member))]
            dicts = [member for member in args if typing.get_origin(bare(member)) is dict]
            likely = sorted(models, key=lambda member: len(set(_hints(member, known)) ^ set(value)))
            return _named_members(value, (likely or dicts or [Any])[0], known)
        key_type, item_type = (
            args if len(args) == 2 and isinstance(cls, type) and issubclass(cls, Mapping) else (Any, Any)
        )
        return {
            _named_members(key, key_type, known): _named_members(item, item_type, known) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if origin in UNIONS:
            args = next((typing.get_args(bare(member)) for member in args if typing.get_args(bare(member))), ())
        # Only in lists stand names; a tuple, which may be annotated, too, has values.
        of = args[0] if args and not (isinstance(cls, type) and issubclass(cls, tuple)) else Any
        return [_named_members(item, of, known) for item in value]
    for member in args if origin in UNIONS else (annotation,):
        if isinstance(bare(member), type) and issubclass(bare(member), enum.Enum) and isinstance(value, str):
            found: Optional[enum.Enum] = bare(member).__members__.get(str.__str__(value))
            if found is not None:
                return found
    return value.name if isinstance(value, DynamicEnum) else value


def reference_fit(annotation: Any) -> Fit:
    """What makes a File, Dir or DataFrame, ours or the official SDK's, as it is annotated."""
    ours: Any = reference_of(annotation)
    cls: Any = typing.get_origin(annotation) or annotation

    def fit(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if reference_of(type(value)) == ours:
            value = {name: getattr(value, name) for name in ours._inner}
        if not isinstance(value, Mapping):
            raise unexpected(ours.__name__, value)
        try:
            taken = ours._taken(dict(value))
        except ValueError as error:
            raise Misfit(f"{error}, got {list(value)}") from None
        return taken if issubclass(cls, io._Reference) else cls(**{name: getattr(taken, name) for name in ours._inner})

    return fit


def message_fit(cls: Any) -> Fit:
    """What makes a protobuf message of its JSON form."""

    def fit(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        from google.protobuf import json_format

        if hasattr(value, "DESCRIPTOR") and value.DESCRIPTOR.full_name == cls.DESCRIPTOR.full_name:
            return cls.FromString(value.SerializeToString())
        if not isinstance(value, (Mapping, list)):
            raise unexpected(cls.__name__, value)
        plain: Any = value.to_dict() if isinstance(value, Record) else value
        try:
            return json_format.ParseDict(plain, cls())
        except json_format.ParseError as error:
            raise refused(cls, error) from error

    return fit
