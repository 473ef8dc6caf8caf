"""What a run takes over from the run that it recovers.

The open-source server that was recorded knows nothing of this, Union alone does. So it is built from what the wire
types and the documents promise: an action that succeeded in the other run under the same name, or was recovered there,
is not run again but takes its outputs, also if its inputs are others now, unless its name is in `force_rerun_actions`.
That goes for the root too. Names of children follow from their inputs, so one that is called with others is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from flyte_lite.devbox.services.details import identify
from flyte_lite.devbox.services.run import data_uris
from flyte_lite.devbox.state.actions import ActionKey
from flyte_lite.errors import NotFoundError
from flyte_lite.idl.flyteidl2.common import identifier_pb2, run_pb2

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State
    from flyte_lite.idl.flyteidl2.task.run_pb2 import RunSpec


class Source(NamedTuple):
    """What an action takes over.

    Attributes:
        id: From which one.
        outputs: Its `Outputs`.
    """

    id: identifier_pb2.ActionIdentifier
    outputs: bytes


def recovered_from(state: State, key: ActionKey, run_spec: RunSpec) -> Optional[Source]:
    """What an action takes over instead of being run; None if it has to run.

    Args:
        state: Where both runs are.
        key: The action that is about to run.
        run_spec: Of its run.
    """
    relation = run_spec.relation
    if relation.relation_type != run_pb2.RELATION_TYPE_RECOVER or key.name in run_spec.recover.force_rerun_actions:
        return None
    other = relation.related_to
    source = ActionKey(other.project or key.project, other.domain or key.domain, other.name, key.name)
    try:
        _, uri = data_uris(state, source)
    except NotFoundError:
        return None
    outputs = state.objects.get(uri) if uri else None
    if outputs is None:
        # It did not succeed, or what it gave is there no more.
        return None
    id = identifier_pb2.ActionIdentifier()
    identify(id, source)
    return Source(id, outputs)
