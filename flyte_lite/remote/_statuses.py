"""How runs and actions stand, asked by the smallest answers that tell it: others carry the whole task along."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Optional

from flyte_lite._clock import Deadline
from flyte_lite._session import Session
from flyte_lite.errors import CallError
from flyte_lite.idl.flyteidl2.common import identifier_pb2, list_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.idl.google.protobuf import timestamp_pb2
from flyte_lite.remote import _lists
from flyte_lite.remote._action_details import ROOT, get_details
from flyte_lite.remote._filters import TimeFilter, among
from flyte_lite.remote._listing import REFUSALS

_BY_NAME = "ListRuns by run_name"
_BY_NAMES = "ListRuns by several values of run_name"
# The time in a status moves back by up to a second, as does a clock that is set.
_EARLIER = 60


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
            found = _ask(session, place_of(run), [run.name], deadline)
        except CallError as error:
            if error.code not in REFUSALS:
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
            found = _ask(session, place, names, deadline)
        except CallError as error:
            if error.code not in REFUSALS:
                raise
        else:
            if all(run.action.id.run.name in names for run in found):
                return found
        # It does not know the filter: it said so, or passed over it.
        session.refused.add(_BY_NAMES)
    if since is None:
        return []
    return _since(session, place, since, names, deadline)


def can_name_several(session: Session) -> bool:
    """False if the server turned out not to be asked for several names, so that there is no limit to them."""
    return _BY_NAMES not in session.refused


def place_of(run: identifier_pb2.RunIdentifier) -> identifier_pb2.ProjectIdentifier:
    """The project and domain of a run."""
    return identifier_pb2.ProjectIdentifier(organization=run.org, domain=run.domain, name=run.project)


def _since(
    session: Session,
    place: identifier_pb2.ProjectIdentifier,
    start: timestamp_pb2.Timestamp,
    names: Sequence[str],
    deadline: Deadline,
) -> list[run_definition_pb2.Run]:
    after = datetime.datetime.fromtimestamp(max(0, start.seconds - _EARLIER), datetime.timezone.utc)
    newest_first = _lists.runs(
        session,
        place,
        in_phase=None,
        task_name=None,
        task_version=None,
        created_by_subject=None,
        sort_by=("created_at", "desc"),
        limit=None,
        created_at=TimeFilter(after=after),
        updated_at=None,
        with_labels=None,
        with_label_keys=None,
        paused_actions_only=False,
        labels_of=lambda run: run.labels,
        deadline=deadline,
    )
    wanted = set(names)
    found = []
    for run in newest_first:
        found.append(run)
        wanted.discard(run.action.id.run.name)
        if not wanted:
            # Not to the end of the list, which may be long.
            break
    return found


def _ask(
    session: Session, place: identifier_pb2.ProjectIdentifier, names: Sequence[str], deadline: Deadline
) -> list[run_definition_pb2.Run]:
    named = list_pb2.ListRequest(limit=len(names), filters=[among("run_name", list(names))])
    request = run_service_pb2.ListRunsRequest(request=named, project_id=place)
    found: list[run_definition_pb2.Run] = []
    while True:
        answer = session.call(_lists.LIST_RUNS, request, deadline=deadline)
        found.extend(answer.runs)
        # A name makes one run; a server may have pages that are smaller than what was asked for.
        if not answer.token or not answer.runs or len(found) >= len(names):
            return found
        request.request.token = answer.token
