"""What there is to know about one RPC, read from its descriptor when it is first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar

from flyte_lite.idl import message_class

if TYPE_CHECKING:
    from google.protobuf.message import Message

    Req = TypeVar("Req", bound=Message)
    Res = TypeVar("Res", bound=Message)
else:
    Req = TypeVar("Req")
    Res = TypeVar("Res")

_NO_SIDE_EFFECTS = 1  # google.protobuf.MethodOptions.IdempotencyLevel


class Method(Generic[Req, Res]):
    """One RPC.

    Args:
        file: The module of its .proto file; only looked into when the method is first called.
        service: The service's name, without package.
        name: The method's name.
        safe: Whether a repeat does no harm, where the descriptor does not say so; None leaves it to the descriptor.
        classes: Full message name to message class; ours unless the file comes from another pool.
    """

    def __init__(
        self,
        file: Any,
        service: str,
        name: str,
        *,
        safe: Optional[bool] = None,
        classes: Callable[[str], type[Any]] = message_class,
    ) -> None:
        self._file = file
        self._service = service
        self._name = name
        self._safe = safe
        self._classes = classes

    def __str__(self) -> str:
        return f"{self._service}/{self._name}"

    @cached_property
    def _descriptor(self) -> Any:
        return self._file.DESCRIPTOR.services_by_name[self._service].methods_by_name[self._name]

    @cached_property
    def path(self) -> str:
        """`/package.Service/Method`."""
        return f"/{self._descriptor.containing_service.full_name}/{self._name}"

    @cached_property
    def response(self) -> type[Res]:
        """The class of its answers."""
        kind: type[Res] = self._classes(self._descriptor.output_type.full_name)
        return kind

    @cached_property
    def safe(self) -> bool:
        """True if asking twice is as good as asking once."""
        return self.has_no_side_effects if self._safe is None else self._safe

    @cached_property
    def has_no_side_effects(self) -> bool:
        """True if the descriptor says so; then servers take it by GET too."""
        return bool(self._descriptor.GetOptions().idempotency_level == _NO_SIDE_EFFECTS)
