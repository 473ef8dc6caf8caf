"""Cron expressions: what is one, and what is said of what is not."""

from __future__ import annotations

import pytest

from flyte_lite.devbox._refusal import ConnectionDropped
from flyte_lite.devbox.services.cron import check


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "0 5 * * MON-FRI",
        "*/5 0-12/3 1,15 jan,DEC ?",
        "  0   5 * * *  ",
        "5/10 * * * *",
        "0 0 , * *",
        "@daily",
        "@every 5m",
        "@every 1h30m0.5s",
        "@every -0",
        "TZ=Europe/Paris 0 5 * * *",
        "CRON_TZ=UTC @hourly",
        "TZ= 0 5 * * *",
    ],
)
def test_what_is_one(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "empty spec string"),
        ("nonsense", "expected exactly 5 fields, found 1: [nonsense]"),
        ("cron(0 5 * * ? *)", "expected exactly 5 fields, found 6: [cron(0 5 * * ? *)]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("30-10 * * * *", "beginning of range (30) beyond end of range (10): 30-10"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("-1 * * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("*/-2 * * * *", "negative number (-2) not allowed: -2"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("@dayly", "unrecognized descriptor: @dayly"),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 5d", 'failed to parse duration @every 5d: time: unknown unit "d" in duration "5d"'),
        ("@every .", 'failed to parse duration @every .: time: invalid duration "."'),
        ("@every +", 'failed to parse duration @every +: time: invalid duration "+"'),
        ("CRON_TZ=Mars/Base 0 5 * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
        ("TZ=../etc 0 5 * * *", "provided bad location ../etc: time: invalid location name"),
        ("TZ=Europe 0 5 * * *", "provided bad location Europe: unknown time zone Europe"),
    ],
)
def test_what_is_none(expression: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        check(expression)

    assert str(caught.value) == problem


def test_a_time_zone_and_nothing_else_is_what_the_real_server_falls_over() -> None:
    with pytest.raises(ConnectionDropped):
        check("TZ=Europe/Paris")
