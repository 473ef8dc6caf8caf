"""Secrets that are planted, and every form in which one could come out again."""

from __future__ import annotations

import base64
import gc
import json
import pickle
import traceback
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus


def forms(secret: str) -> Iterator[bytes]:
    """How a secret may look in a text: as it is, escaped, and in base64 whatever stands before it."""
    raw = secret.encode()
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], raw.hex()}
    plain |= {repr(secret)[1:-1], secret[::-1]}
    yield from (form.encode() for form in plain)
    for before in range(3):
        packed = base64.b64encode(b"x" * before + raw)
        # The first and the last characters depend on what stands beside it.
        middle = packed[(before * 8 + 5) // 6 : len(packed) - 4]
        yield middle
        yield middle.replace(b"+", b"-").replace(b"/", b"_")


def found(secrets: Iterable[str], *outputs: Any) -> list[str]:
    """Which of the secrets are in what came out, each with what stands around it."""
    data = [output if isinstance(output, bytes) else str(output).encode("utf-8", "replace") for output in outputs]
    told = []
    for secret in secrets:
        for form in forms(secret):
            for each in data:
                at = each.find(form)
                if at >= 0:
                    told.append(f"{secret} in {each[max(0, at - 200) : at + 60]!r}")
    return told


def told_by(error: BaseException) -> str:
    """All that an exception tells: itself, its causes and contexts, its arguments, its pickle."""
    parts = ["".join(traceback.format_exception(type(error), error, error.__traceback__))]
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        parts += [str(one), repr(one), repr(one.args), repr(vars(one))]
        pending += [one.__cause__, one.__context__]
        pending += [part for part in one.args if isinstance(part, BaseException)]
    return "\n".join([*parts, pickled(error)])


def pickled(thing: Any) -> str:
    """A pickle as text; "" of what is not pickled."""
    try:
        return pickle.dumps(thing).decode("latin-1")
    except Exception:  # noqa: BLE001 - whatever it is that can't be pickled
        return ""


def ours() -> list[Any]:
    """Every object of this package that is alive."""
    gc.collect()
    return [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith("flyte_lite")]
