"""Overrides and notifications through the official SDK and through ours: the same values, the same messages."""

from __future__ import annotations

import datetime
import itertools
import json
import pathlib
import sys
import typing
from typing import Any, Callable, Optional

import flyte
import flyte._resources
import flyte.notify
import flyte.remote
from flyte._internal.runtime.notifications_serde import resolve_notification_settings
from flyteidl2.core import tasks_pb2
from flyteidl2.task import run_pb2, task_definition_pb2

import flyte_lite
from flyte_lite.idl.flyteidl2.task import run_pb2 as our_run_pb2
from flyte_lite.remote import TaskDetails
from flyte_lite.remote._notifications import set_notifications

SECOND = datetime.timedelta(seconds=1)
Made = Callable[[Any], Any]


def a_task(kind: str) -> task_definition_pb2.TaskDetails:
    """A task that has something of everything, in a container or in a pod."""
    details = task_definition_pb2.TaskDetails()
    details.task_id.name = "env.add"
    details.spec.short_name = "add"
    template = details.spec.task_template
    template.id.name = "env.add"
    template.metadata.retries.retries = 1
    template.metadata.discoverable = True
    template.metadata.discovery_version = "v0"
    template.security_context.run_as.k8s_service_account = "old"
    template.security_context.secrets.add(key="old")
    template.extended_resources.shared_memory.size_limit = "1Gi"
    if kind == "container":
        template.container.image = "img"
        template.container.env.add(key="OLD", value="1")
        template.container.resources.limits.add(name=tasks_pb2.Resources.CPU, value="4")
    else:
        template.config["primary_container_name"] = "main"
        template.k8s_pod.pod_spec.update(
            {"containers": [{"name": "side"}, {"name": "main", "resources": {"limits": {"cpu": "4"}}}]}
        )
    return details


def resources() -> list[tuple[str, Made]]:
    texts = list(typing.get_args(flyte._resources.Accelerators))
    given: list[dict[str, Any]] = [{"gpu": text} for text in texts if not text.startswith("Apple")]
    given += [{"gpu": count} for count in (0, 1, 4)] + [{"gpu": "A100 80G:2"}]
    given += [{"cpu": cpu} for cpu in (1, 0.5, "500m", (1, 2), ("100m", 4))]
    given += [{"memory": memory} for memory in ("1Gi", "2G", ("1Gi", "2Gi"))]
    given += [{"disk": "10Gi"}, {"shm": "1Gi", "cpu": 1}, {"shm": "auto", "cpu": 1}]
    given += [{"cpu": (1, 2), "memory": "1Gi", "gpu": "T4:1", "disk": "5Gi", "shm": "auto"}]
    # The official SDK can't say that a task wants nothing at all.
    made = [(f"Resources({each})", _of("Resources", each)) for each in given if each != {"gpu": 0}]
    made += [
        (f"GPU({device}, {count}, {part})", _device("GPU", device, count, part))
        for device, count, part in itertools.product(
            ("A2", "A100", "A100_80G", "H100", "H200", "L40s", "RTX_PRO_6000", "T4 shared", "X"),
            (1, 8),
            (None, "1g.5gb", "1g.10gb", "1g.18gb", "1g.24gb", "7g.141gb", "x"),
        )
    ]
    made += [
        (f"TPU({device}, {part})", _device("TPU", device, part))
        for device, part in itertools.product(("V5E", "V5P", "V6E", "V1"), (None, "1x1", "2x2x1", "16x16", "bad"))
    ]
    for name, devices in (
        ("Neuron", ("Inf1", "Trn2u", "X")),
        ("AMD_GPU", ("MI100", "MI355X", "X")),
        ("HABANA_GAUDI", ("Gaudi1", "X")),
    ):
        made += [(f"{name}({device})", _device(name, device)) for device in devices]
    return [(text, _changed("resources", each)) for text, each in made]


def others() -> list[tuple[str, Made]]:
    hour = 3600 * SECOND
    given: list[tuple[str, str, dict[str, Any]]] = [
        ("retries", "RetryStrategy", {"count": 0}),
        ("retries", "RetryStrategy", {"count": 3}),
        ("timeout", "Timeout", {"max_runtime": 5, "max_queued_time": SECOND}),
        ("timeout", "Timeout", {"max_runtime": 2.5 * SECOND, "deadline": hour}),
        ("cache", "Cache", {"behavior": "disable"}),
        ("cache", "Cache", {"behavior": "off"}),
        (
            "cache",
            "Cache",
            {"behavior": "override", "version_override": "v9", "serialize": True, "ignored_inputs": ("x", "y")},
        ),
        ("cache", "Cache", {"behavior": "override", "version_override": "v9", "max_age": 60}),
        ("secrets", "Secret", {"key": "k", "group": "g"}),
        ("secrets", "Secret", {"key": "k", "as_env_var": "TOKEN"}),
        ("secrets", "Secret", {"key": "k", "mount": pathlib.Path("/etc/flyte/secrets")}),
    ]
    plain: list[dict[str, Any]] = [
        {"timeout": 60},
        {"timeout": 2.5 * SECOND},
        {"short_name": "sn"},
        {"env_vars": {"B": "2", "A": "1"}},
        {"service_account": "sa"},
        {"produces_artifacts": False},
        {"secrets": ["my-key", "other"]},
    ]
    backoffs = ({"base": SECOND}, {"base": 1.5 * SECOND, "factor": 2.0, "cap": hour})
    return [
        *((f"{name}({values})", _changed(option, _of(name, values))) for option, name, values in given),
        *((str(each), lambda sdk, each=each: each) for each in plain),
        *(
            (str(each), lambda sdk, each=each: {"retries": sdk.RetryStrategy(2, sdk.Backoff(**each))})
            for each in backoffs
        ),
        ("all at once", _all_at_once),
    ]


def _all_at_once(sdk: Any) -> dict[str, Any]:
    return {
        "short_name": "sn",
        "resources": sdk.Resources(cpu=2, gpu="L4:2"),
        "retries": sdk.RetryStrategy(2),
        "timeout": 60,
        "env_vars": {"A": "1"},
        "secrets": "s",
        "service_account": "sa",
        "queue": "q",
        "cache": sdk.Cache("disable"),
    }


def _of(name: str, given: dict[str, Any]) -> Made:
    return lambda sdk: getattr(sdk, name)(**given)


def _device(name: str, *args: Any) -> Made:
    return lambda sdk: sdk.Resources(gpu=getattr(sdk, name)(*args))


def _changed(option: str, made: Made) -> Made:
    return lambda sdk: {option: made(sdk)}


def notifications() -> list[tuple[str, Made]]:
    hook = "https://hooks.example.com/x"
    phases = ("failed", ("succeeded", "failed"), ("aborted", "timed_out"))
    made: list[tuple[str, Made]] = [("NamedRule", lambda sdk: sdk.notify.NamedRule("r"))]
    for phase in phases:
        for name, given in (
            ("NamedDelivery", {"name": "pager"}),
            ("Email", {"recipients": ["a@b.c", "d@e.f"], "cc": ["x@y.z"], "bcc": ("q@r.s",)}),
            ("Email", {"recipients": ("a@b.c",), "subject": "s", "body": "é", "html_body": "<b>é</b>"}),
            ("Slack", {"webhook_url": hook}),
            ("Slack", {"webhook_url": hook, "message": "é {{.Error}}"}),
            ("Slack", {"webhook_url": hook, "message": "m", "blocks": [{"type": "divider"}]}),
            ("Teams", {"webhook_url": hook}),
            ("Teams", {"webhook_url": hook, "title": "t", "message": "m"}),
            ("Teams", {"webhook_url": hook, "card": {"type": "AdaptiveCard"}}),
            ("Webhook", {"url": hook}),
            ("Webhook", {"url": hook, "body": {"k": ["é", 1]}, "headers": {"X-A": "b"}}),
            *(("Webhook", {"url": hook, "method": method}) for method in ("GET", "PUT", "PATCH", "TRACE", "CONNECT")),
        ):
            made.append(
                (
                    f"{name}({phase}, {sorted(given)})",
                    lambda sdk, name=name, given=given, phase=phase: getattr(sdk.notify, name)(
                        on_phase=_phases(sdk, phase), **given
                    ),
                )
            )
    return made


def _phases(sdk: Any, phase: Any) -> Any:
    return sdk.models.ActionPhase(phase) if isinstance(phase, str) else tuple(map(sdk.models.ActionPhase, phase))


def _bytes(make: Callable[[], Any]) -> Optional[bytes]:
    try:
        return make().SerializeToString(deterministic=True)
    except (ValueError, TypeError):
        return None


def main() -> None:
    same, refused, differ = 0, 0, []

    def count(text: str, theirs: Optional[bytes], ours: Optional[bytes]) -> None:
        nonlocal same, refused
        if theirs != ours:
            differ.append(text)
        elif theirs is None:
            refused += 1
        else:
            same += 1

    for kind in ("container", "pod"):
        pb2 = a_task(kind)
        for text, made in resources() + others():
            count(
                f"{kind}: {text}",
                _bytes(lambda made=made, pb2=pb2: flyte.remote.TaskDetails(pb2).override(**made(flyte)).pb2),
                _bytes(lambda made=made, pb2=pb2: TaskDetails(pb2).override(**made(flyte_lite)).pb2),  # type: ignore[arg-type]
            )
    for text, made in notifications():

        def theirs(made: Made = made) -> Any:
            name, rules = resolve_notification_settings(made(flyte))
            return run_pb2.RunSpec(notification_rule_name=name) if name else run_pb2.RunSpec(notification_rules=rules)

        def ours(made: Made = made) -> Any:
            spec = our_run_pb2.RunSpec()
            set_notifications(spec, made(flyte_lite))
            return spec

        count(text, _bytes(theirs), _bytes(ours))
    json.dump({"same": same, "refused": refused, "differ": differ}, sys.stdout)


if __name__ == "__main__":
    main()
