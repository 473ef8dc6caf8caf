"""Test a script that uses Flyte without a cluster: pytest finds this file, and it runs as it stands, too."""

from collections.abc import Iterator

import pytest

from flyte_lite import Client
from flyte_lite.devbox import Devbox


def total_of(client: Client, numbers: list) -> int:
    """The script under test: it knows a task by its name only."""
    run = client.run(client.tasks.get("numbers.total", auto_version="latest"), numbers=numbers)
    run.wait(timeout=60)
    return run.outputs()[0]


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    with Devbox() as box:

        @box.task(name="numbers.total", version="v1")
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        with Client(box.endpoint, project="flytesnacks", domain="development") as client:
            yield client


def test_the_total_is_the_sum(client: Client) -> None:
    assert total_of(client, [1, 2, 3]) == 6


if __name__ == "__main__":
    pytest.main([__file__, "-q", "-p", "no:cacheprovider"])
