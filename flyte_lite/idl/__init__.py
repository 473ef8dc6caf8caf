"""The wire types: Flyte's protobuf messages, made when first used.

`from flyte_lite.idl.flyteidl2.common import identifier_pb2` works as with generated code, types included, and loads no
protobuf until a name is taken from it. Everything in the folders below is written by `protos/build.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from flyte_lite.idl._pool import message_class

if TYPE_CHECKING:
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)
else:
    M = TypeVar("M")

__all__ = ["message_class", "own"]


def own(message: object, cls: type[M]) -> M:
    """`message` as an instance of our `cls`.

    A message of ours is returned as it is. One of the same protobuf type but of somebody else's class, such as the
    official `flyteidl2`, is copied by way of its bytes; fields that we do not know survive.

    Raises:
        TypeError: It is anything else.
    """
    if isinstance(message, cls):
        return message
    wanted = cls.DESCRIPTOR.full_name
    # An object without a descriptor is named by its Python type.
    came: str = getattr(getattr(type(message), "DESCRIPTOR", None), "full_name", type(message).__qualname__)
    if came != wanted:
        raise TypeError(f"expected {wanted}, got {came}")
    return cls.FromString(cast("Message", message).SerializeToString())
