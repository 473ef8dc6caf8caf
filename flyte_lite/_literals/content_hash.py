"""The hash of a run's inputs where some of them say themselves what their content is: files, for instance."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Container
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.core.literals_pb2 import Literal
    from flyte_lite.idl.flyteidl2.task.common_pb2 import Inputs


def content_hash(inputs: Inputs, ignored: Container[str] = ()) -> Optional[str]:
    """What stands for the inputs where results are kept by them, as the official SDK computes it.

    Args:
        inputs: As they are sent.
        ignored: Names of inputs that do not count.

    Returns:
        None if no input carries a hash; then the server's own hash of the inputs is as good.
    """
    counted = [item for item in inputs.literals if item.name not in ignored]
    if not any(_carries_hash(item.value) for item in counted):
        return None
    digest = hashlib.sha256()
    for item in counted:
        digest.update(item.name.encode() + b":" + _shown(item.value) + b";")
    return base64.b64encode(digest.digest()).decode()


def _carries_hash(literal: Literal) -> bool:
    if literal.hash:
        return True
    # Inside a union nothing is looked for, as there.
    which = literal.WhichOneof("value")
    if which == "collection":
        return any(_carries_hash(item) for item in literal.collection.literals)
    return which == "map" and any(_carries_hash(item) for item in literal.map.literals.values())


def _shown(literal: Literal) -> bytes:
    if literal.hash:
        return literal.hash.encode()
    which = literal.WhichOneof("value")
    if which == "collection":
        return b"".join(_shown(item) for item in literal.collection.literals)
    if which == "map":
        literals = literal.map.literals
        return b"".join(key.encode() + _shown(literals[key]) for key in sorted(literals))
    if literal.scalar.binary.tag == "msgpack":
        sorted_bytes = _sorted(literal.scalar.binary.value)
        if sorted_bytes != literal.scalar.binary.value:
            copy = type(literal).FromString(literal.SerializeToString())
            copy.scalar.binary.value = sorted_bytes
            literal = copy
    return literal.SerializeToString(deterministic=True)


def _sorted(packed: bytes) -> bytes:
    # Two dicts of the same items in different orders are the same input.
    import msgpack  # type: ignore[import-untyped]

    def in_order(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: in_order(value[key]) for key in sorted(value, key=msgpack.packb)}
        return [in_order(item) for item in value] if isinstance(value, (list, tuple)) else value

    try:
        return bytes(msgpack.packb(in_order(msgpack.unpackb(packed, strict_map_key=False))))
    except Exception:  # noqa: BLE001 - whatever it is that is no msgpack, it is hashed as it stands
        return packed
