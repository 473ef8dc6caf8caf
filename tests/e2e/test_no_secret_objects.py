"""No object of the model takes a secret along, in a text or in a pickle, however its client signs in."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from planted import found, ours, pickled, told_by

import flyte_lite
from flyte_lite import _session, errors
from flyte_lite.devbox import Devbox
from flyte_lite.remote import auth_metadata, create_channel
from flyte_lite.union.remote import Run as UnionRun

PROJECT, DOMAIN = "flytesnacks", "development"
TOKEN = "pl4nted-object-t0ken~"
PRINTED = "pl4nted.printed.by-a-command"
METADATA = "pl4nted-metadata-of-a-call"
SECRETS = (TOKEN, PRINTED, METADATA)
WAYS: dict[str, dict[str, Any]] = {
    "token": {"token": TOKEN},
    "function": {"token": lambda: TOKEN, "protocol": "grpc-web"},
    "commands": {
        "command": [sys.executable, "-c", "import os; print(os.environ['PRINTED'])"],
        "proxy_command": [sys.executable, "-c", "import os; print(os.environ['PRINTED'])"],
    },
    "passthrough": {"auth_type": "Passthrough"},
}


@pytest.fixture(params=WAYS)
def client(request: pytest.FixtureRequest, box: Devbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[flyte_lite.Client]:
    monkeypatch.setenv("PRINTED", PRINTED)
    channel = create_channel(box.endpoint, **WAYS[request.param])
    in_passthrough = auth_metadata(("authorization", f"Bearer {METADATA}"))
    with flyte_lite.init(channel=channel, project=PROJECT, domain=DOMAIN) as client, in_passthrough:
        yield client
    _session.set_default(None)


def objects(client: flyte_lite.Client) -> Iterator[Any]:
    """One of each kind, and what it gives."""
    lazy = client.tasks.get("greetings.hello", auto_version="latest")
    yield lazy
    yield lazy.fetch()
    run = client.run(lazy, name="Ada")
    yield run
    run.wait(timeout=60)
    yield from (run, run.details(), run.action, run.action.details(), run.inputs(), run.outputs())
    yield from run.get_logs()
    yield from (client.runs.get(run.name), client.actions.get(run_name=run.name, name="a0"))
    yield from (client.runs.listall(limit=2), client.actions.listall(for_run_name=run.name))
    yield from client.runs.listall(limit=2)
    yield from client.tasks.listall(limit=2)
    yield client.with_runcontext(name="x")
    yield client.scoped(project="other")
    broken = client.run(client.tasks.get("greetings.crash", auto_version="latest"))
    broken.wait(timeout=60)
    yield from (broken, broken.details(), broken.action.details())
    union = UnionRun.get(name=run.name)
    yield from (union, union.outputs, union.is_running)


FAILURES = [
    lambda client: client.runs.get("no-such-run").phase,
    lambda client: client.tasks.get("no.such.task", version="v1").fetch(),
    lambda client: client.run(client.tasks.get("greetings.hello", auto_version="latest"), nobody=1),
    lambda client: client.runs.get("no-such-run").get_report(),
    lambda client: client.scoped(timeout=1e-6).runs.get("r"),
]


def test_nothing_takes_a_secret_along(
    client: flyte_lite.Client, box: Devbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    box.calls.clear()
    caplog.set_level(logging.DEBUG)
    said: list[Any] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for thing in objects(client):
            said += [str(thing), repr(thing), pickled(thing)]
        for fail in FAILURES:
            with pytest.raises(errors.FlyteLiteError) as caught:
                fail(client)  # type: ignore[no-untyped-call]
            said.append(told_by(caught.value))
    said += [str(each.message) for each in warned]
    # The devbox is the other side, whose tests look into the headers that came.
    said += [repr(thing) for thing in ours() if not type(thing).__module__.startswith("flyte_lite.devbox")]
    said += [record.getMessage() + repr(record.args) for record in caplog.records]

    assert found(SECRETS, *said, *capfd.readouterr()) == []
    assert len(said) > 100
    shown = {value for call in box.calls for name, value in call.headers.items() if "authorization" in name}
    assert found(SECRETS, *shown), "it was not even sent"
