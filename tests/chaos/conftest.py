from __future__ import annotations

from collections.abc import Iterator

import pytest
from chaos_network import WAYS, Network, network_of


@pytest.fixture(params=WAYS)
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    with network_of(request.param) as network:
        yield network


@pytest.fixture
def plain() -> Iterator[Network]:
    with network_of("plain") as network:
        yield network


@pytest.fixture
def secure() -> Iterator[Network]:
    with network_of("tls") as network:
        yield network
