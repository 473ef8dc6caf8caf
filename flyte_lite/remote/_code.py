"""Where the code of a task lies, as its specification tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from flyte_lite.idl.flyteidl2.core import tasks_pb2
from flyte_lite.idl.flyteidl2.task import task_definition_pb2
from flyte_lite.models import CodeBundle

_PRIMARY = "primary_container_name"
# As the official SDK writes it, and as the devbox does.
_PICKLED = (".pkl.gz", ".pkl")


def bundle_of(spec: task_definition_pb2.TaskSpec) -> Optional[CodeBundle]:
    """The bundle that a task runs from; None if its code is in its image."""
    template = spec.task_template
    bundle = _of_arguments(template.container.args)
    if bundle is None and template.HasField("k8s_pod"):
        bundle = _of_arguments(_arguments(template.k8s_pod, template.config.get(_PRIMARY, "")))
    uri = template.metadata.code_bundle_uri
    if bundle is not None or not uri:
        return bundle
    pickled = uri.partition("?")[0].partition("#")[0].lower().endswith(_PICKLED)
    return CodeBundle(computed_version="", tgz=None if pickled else uri, pkl=uri if pickled else None)


def _of_arguments(arguments: Sequence[str]) -> Optional[CodeBundle]:
    # Of several, the last one counts.
    said = dict(zip(arguments, arguments[1:]))
    tgz, pkl = said.get("--tgz"), said.get("--pkl")
    if not (tgz or pkl):
        return None
    return CodeBundle(computed_version=said.get("--version", ""), destination=said.get("--dest", "."), tgz=tgz, pkl=pkl)


def _arguments(pod: tasks_pb2.K8sPod, primary: str) -> list[str]:
    """Those of the primary container; of the first one, if none is called that."""
    from google.protobuf import json_format

    containers = json_format.MessageToDict(pod.pod_spec).get("containers") or []
    name = pod.primary_container_name or primary
    for container in [*(each for each in containers if each.get("name") == name), *containers]:
        return [str(argument) for argument in container.get("args") or []]
    return []
