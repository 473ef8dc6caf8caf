"""Values of generated types: what the official SDK writes we read, and what we write its tasks receive.

Each family of types is judged by a program of its own, see `compare_values.py`. The drawn types are the same each time;
`COMPAT_EXAMPLES=20000 COMPAT_SEED=1 tox -e compat -- tests/compat/test_values.py` draws more and others.
"""

from __future__ import annotations

import os
from typing import Any, Callable

import pytest

# Annotations of a family; of each there are up to five values.
EXAMPLES = int(os.environ.get("COMPAT_EXAMPLES") or 300)
SEED = os.environ.get("COMPAT_SEED", "")


@pytest.mark.parametrize(
    "family", ["scalars", "pickles", "references", "containers", "unions", "dataclasses", "models", "tuples"]
)
def test_generated_values_pass_both_ways(family: str, compared: Callable[..., Any]) -> None:
    told = compared("compare_values.py", family, str(EXAMPLES), *SEED.split())
    print(f"{family}: {told}")
    # Drawing what both refuse would show nothing.
    assert told["types"] >= 0.9 * EXAMPLES
    assert told["taken by both"] >= 2 * EXAMPLES
