"""`flyte-lite whoami`: who this machine is to a server, and how that is known."""

from __future__ import annotations

import argparse
import json
from typing import Any, Optional

from flyte_lite import _session, errors
from flyte_lite._clock import Clock, Deadline
from flyte_lite._console import say
from flyte_lite._doctor.identity import Proof, proof_of, seconds_left, who
from flyte_lite.config import Config
from flyte_lite.idl.flyteidl2.auth import identity_pb2

SIGNED_IN, NOT_SIGNED_IN = 0, 7
"""Exit statuses; the second is the doctor's for signing in."""


def run(options: argparse.Namespace) -> int:
    """Ask the server who calls, and say it.

    Returns:
        0 if somebody is signed in, 7 if nobody is.

    Raises:
        FlyteLiteError: Nobody can say.
    """
    arguments = {"endpoint": options.endpoint, "token_store": options.token_store, "headless": True}
    config = Config.auto(options.config, arguments=arguments)
    session = _session.connect(config)
    try:
        deadline = Deadline(session.clock, options.timeout)
        user, problem = None, ""
        try:
            user = who(session, deadline)
        except errors.UnauthenticatedError as error:
            problem = error.message.partition("\n")[0]
        proof = proof_of(session.channel, config, deadline)
        if not problem and user is None and proof.token is None:
            problem = "the server lets everybody in, and does not say who calls"
        elif problem and proof.token is None and proof.a_persons and session.channel.credentials is not None:
            problem = "nothing is set that says who calls, and no login is kept; `flyte-lite login` makes one"
        rows = _rows(config, proof, user, session.clock)
    finally:
        session.channel.transport.close()
    if options.json:
        say(json.dumps({"signed_in": not problem, **rows, "problem": problem}, indent=2))
    else:
        _show(rows, proof, user, problem, session.clock)
    return NOT_SIGNED_IN if problem else SIGNED_IN


def _rows(config: Config, proof: Proof, user: Optional[identity_pb2.UserInfoResponse], clock: Clock) -> dict[str, Any]:
    endpoint = next(setting for setting in config.settings() if setting.name == "endpoint")
    return {
        "endpoint": {"value": endpoint.value, "source": endpoint.source},
        "sign_in": {"value": proof.kind, "source": proof.source},
        "user": None if user is None else {"subject": user.subject, "name": user.name, "email": user.email},
        "token": None
        if proof.token is None
        else {
            "kept_in": proof.where or None,
            "seconds_left": seconds_left(proof.token, clock),
            "renewable": proof.renewable,
        },
    }


def _show(
    rows: dict[str, Any], proof: Proof, user: Optional[identity_pb2.UserInfoResponse], problem: str, clock: Clock
) -> None:
    say(f"endpoint  {rows['endpoint']['value']} ({rows['endpoint']['source']})")
    kept = "a login that is kept" if proof.token is not None else "a person, when the server wants somebody"
    how = proof.kind or kept
    say(f"sign-in   {how} ({proof.source})")
    say(f"who       {f'nobody: {problem}' if problem else named(user)}")
    if proof.token is not None:
        kept = f"in {proof.where}" if proof.where else "in the memory of each process"
        say(f"token     {kept}; {proof.life(clock)}")
    elif proof.where:
        say(f"token     none in {proof.where}")


def named(user: Optional[identity_pb2.UserInfoResponse]) -> str:
    """Whom the server takes us for, on one line."""
    if user is None:
        return "the server takes the token, and does not say whose it is"
    parts = [user.name, f"<{user.email}>" if user.email else "", f"(subject {user.subject})"]
    # It is a stranger's text.
    text = " ".join(part for part in parts if part)
    return "".join(char if char.isprintable() else " " for char in text)
