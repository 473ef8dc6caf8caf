"""How runs and actions stand, asked by the smallest answers that tell it: others carry the whole task along."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional

from flyte_lite._clock import Deadline
from flyte_lite._rpc.method import Method
from flyte_lite._session import Session
from flyte_lite.errors import CallError, Code
from flyte_lite.idl.flyteidl2.common import identifier_pb2, list_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.idl.google.protobuf import timestamp_pb2
from flyte_lite.remote._action_details import ROOT, get_details

LIST_RUNS: Method[run_service_pb2.ListRunsRequest, run_service_pb2.ListRunsResponse] = Method(
    run_service_pb2, "RunService", "ListRuns"
)
MOST = 200
"""Runs in one answer; more are refused."""

_BY_NAME = "ListRuns by run_name"
_BY_NAMES = "ListRuns by several values of run_name"
# The time in a status moves back by up to a second, as does a clock that is set.
_EARLIER = 60
_REFUSALS = (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)


def status_of(
    session: Session, action: identifier_pb2.ActionIdentifier, deadline: Deadline
) -> run_definition_pb2.ActionStatus:
    """The status of one action. Only runs can be listed by name, so for a child its details are asked for.

    RPC:
        flyteidl2.workflow.RunService/ListRuns, or flyteidl2.workflow.RunService/GetActionDetails
    """
    if action.name == ROOT and _BY_NAME not in session.refused:
        run = action.run
        try:
            found = _ask(session, place_of(run), _named([run.name]), deadline).runs
        except CallError as error:
            if error.code not in _REFUSALS:
                raise
            # Hosted servers search by other names.
            session.refused.add(_BY_NAME)
        else:
            if found and found[0].action.id.run.name == run.name:
                return found[0].action.status
    # Not there, or not seen by an overloaded server; this one's NOT_FOUND says which it is.
    return get_details(session, action, deadline).status


def listed(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    names: Sequence[str],
    since: Optional[timestamp_pb2.Timestamp],
    deadline: Deadline,
) -> list[run_definition_pb2.Run]:
    """Those of some runs that the server shows now: one question for up to 200 of them.

    Where it can't be asked for names, it is asked for all runs since the first of these began, newest first, until all
    were seen.

    Args:
        session: Whom to ask.
        place: Where the runs are.
        names: Up to 200, if `can_name_several`.
        since: When the first of them began; None if that is not known of any, which leaves no other way to ask.
        deadline: For all questions.

    RPC:
        flyteidl2.workflow.RunService/ListRuns
    """
    if _BY_NAMES not in session.refused:
        try:
            found = _until_seen(session, place, _named(names), names, deadline)
        except CallError as error:
            if error.code not in _REFUSALS:
                raise
        else:
            if all(run.action.id.run.name in names for run in found):
                return found
        # It does not know the filter: it said so, or passed over it.
        session.refused.add(_BY_NAMES)
    if since is None:
        return []
    return _until_seen(session, place, _since(since), names, deadline)


def can_name_several(session: Session) -> bool:
    """False if the server turned out not to be asked for several names, so that there is no limit to them."""
    return _BY_NAMES not in session.refused


def place_of(run: identifier_pb2.RunIdentifier) -> identifier_pb2.ProjectIdentifier:
    """The project and domain of a run."""
    return identifier_pb2.ProjectIdentifier(organization=run.org, domain=run.domain, name=run.project)


def _named(names: Sequence[str]) -> list_pb2.ListRequest:
    # With a single value the one is an error of the server's database, and with several the other.
    function = list_pb2.Filter.EQUAL if len(names) == 1 else list_pb2.Filter.VALUE_IN
    named = list_pb2.Filter(function=function, field="run_name", values=names)
    return list_pb2.ListRequest(limit=len(names), filters=[named])


def _since(start: timestamp_pb2.Timestamp) -> list_pb2.ListRequest:
    early = timestamp_pb2.Timestamp(seconds=max(0, start.seconds - _EARLIER)).ToJsonString()
    younger = list_pb2.Filter(function=list_pb2.Filter.GREATER_THAN_OR_EQUAL, field="created_at", values=[early])
    newest_first = list_pb2.Sort(key="created_at", direction=list_pb2.Sort.DESCENDING)
    return list_pb2.ListRequest(limit=MOST, filters=[younger], sort_by_fields=[newest_first])


def _until_seen(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    request: list_pb2.ListRequest,
    names: Collection[str],
    deadline: Deadline,
) -> list[run_definition_pb2.Run]:
    wanted = set(names)
    found: list[run_definition_pb2.Run] = []
    while True:
        answer = _ask(session, place, request, deadline)
        found.extend(answer.runs)
        wanted.difference_update(run.action.id.run.name for run in answer.runs)
        # Not to the end of the list, which may be long.
        if not wanted or not answer.token:
            return found
        request.token = answer.token


def _ask(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    request: list_pb2.ListRequest,
    deadline: Deadline,
) -> run_service_pb2.ListRunsResponse:
    return session.call(
        LIST_RUNS, run_service_pb2.ListRunsRequest(request=request, project_id=place), deadline=deadline
    )
