"""A long log over connections that are lost."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
from chaos_server import Peer
from log_server import (
    Begin,
    LogServer,
    crash,
    cut_in_an_envelope,
    end_cleanly,
    end_with_an_error,
    everything,
    hang_up,
    last_thousand,
    text,
    the_run,
)

from flyte_lite import Client, errors

MANY = 100_000


def read(server: LogServer) -> list[str]:
    with Client(f"http://127.0.0.1:{server.port}", project="p", domain="d") as client:
        return list(the_run(client.runs).get_logs(timeout=300))


@pytest.mark.parametrize(
    ("begin", "how"),
    [
        (everything, [crash, cut_in_an_envelope, end_with_an_error]),
        (everything, [end_cleanly, crash, crash]),
        (last_thousand, [hang_up, cut_in_an_envelope, end_with_an_error]),
        (last_thousand, [end_cleanly, hang_up, hang_up]),
    ],
    ids=["everything: broken", "everything: one ends", "last thousand: broken", "last thousand: one ends"],
)
def test_a_hundred_thousand_lines_arrive_once_each_in_order(begin: Begin, how: list[Callable[[Peer], None]]) -> None:
    with LogServer(MANY, [20_050, 20_150, 77_777], how, begin) as server, warnings.catch_warnings():
        warnings.simplefilter("error", errors.LogGapWarning)
        lines = read(server)

        assert lines == [text(number) for number in range(MANY)]
        # One more, which was opened after the end.
        assert server.streams == 5


def test_lines_that_were_written_while_nobody_listened_and_are_not_repeated_are_told_of() -> None:
    with LogServer(20_000, [5_000, 9_000], [hang_up, hang_up], last_thousand, ahead=3_000) as server:
        with pytest.warns(errors.LogGapWarning, match="lines may be missing here in the log of run r1") as caught:
            lines = read(server)

        assert len(caught) == 2
        missing = {*range(5_000, 7_000), *range(9_000, 11_000)}
        assert lines == [text(number) for number in range(20_000) if number not in missing]
