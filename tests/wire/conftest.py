from __future__ import annotations

from collections.abc import Iterator

import pytest
from recorder import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()
