"""`init_in_cluster` beside the official one, in one process with one environment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# What each side was made with, and gives back to whoever makes the tasks' controller.
CONTAINERS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"endpoint": "h:1"}, {"_U_EP_OVERRIDE": "x:1"}),
    ({}, {"_U_EP_OVERRIDE": "x:1", "FLYTE_ADMIN_ENDPOINT": "y:1"}),
    ({}, {"FLYTE_ADMIN_ENDPOINT": "localhost:8090"}),
    ({"insecure": True}, {"_U_EP_OVERRIDE": "x:1"}),
    ({}, {"_U_EP_OVERRIDE": "x:1", "_U_INSECURE": "true"}),
    ({}, {"_U_EP_OVERRIDE": "x:1", "FLYTE_AUTH_TYPE": "ExternalCommand", "FLYTE_AUTH_COMMAND": "mint 'it all'"}),
    ({}, {"_U_EP_OVERRIDE": "x:1", "FLYTE_AUTH_TYPE": "Passthrough", "EAGER_API_KEY": "KEY"}),
    ({}, {"_U_EP_OVERRIDE": "x:1", "EAGER_API_KEY": "KEY"}),
    ({"api_key": "KEY"}, {"_U_EP_OVERRIDE": "x:1"}),
    ({"org": "o", "project": "p"}, {"_U_ORG_NAME": "o2", "FLYTE_INTERNAL_EXECUTION_DOMAIN": "d"}),
    ({"domain": "d2"}, {"FLYTECTL_CONFIG": "mounted.yaml", "_U_EP_OVERRIDE": "x:1"}),
    ({}, {"UCTL_CONFIG": "mounted.yaml", "FLYTECTL_CONFIG": "other.yaml"}),
]

IN_CLUSTER = """
import json, os, sys
from pathlib import Path
import flyte, flyte_lite
from flyte import _initialize
Path("secret").write_text("s3cret\\n")
Path("mounted.yaml").write_text(
    "admin: {endpoint: h.example.com, clientId: me, clientSecretLocation: secret, scopes: [a]}\\n"
    "task: {org: o, project: p, domain: d}\\n"
)
kept, found = dict(os.environ), []
for arguments, environ in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update({**kept, **environ})
    theirs = flyte.init_in_cluster(**arguments)
    made = _initialize._init_config
    ours = flyte_lite.init_in_cluster(**arguments)
    scope = flyte_lite._session.current().scope
    found.append([theirs, [made.org, made.project, made.domain], ours, [part or None for part in scope]])
print(json.dumps(found))
"""


def test_a_container_is_told_the_same(tmp_path: Path) -> None:
    key = base64.b64encode(b"acme.flyte.example:me:s3cret:acme").decode()
    cases = json.loads(json.dumps(CONTAINERS).replace("KEY", key).replace(f"EAGER_API_{key}", "EAGER_API_KEY"))
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("FLYTE", "_U_"))}
    done = subprocess.run(
        [sys.executable, "-c", IN_CLUSTER, json.dumps(cases)],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for case, (theirs, their_scope, ours, our_scope) in zip(CONTAINERS, json.loads(done.stdout.splitlines()[-1])):
        if "UCTL_CONFIG" in case[1] or "FLYTECTL_CONFIG" in case[1]:
            # Their defaults are told as well; ours leave them to what they are.
            assert theirs.pop("rpc_retries") == 3
        elif case[0].get("api_key") or ("EAGER_API_KEY" in case[1] and "FLYTE_AUTH_TYPE" not in case[1]):
            # They forget the organization that the key names, and send none.
            assert their_scope[0] is None
            their_scope[0] = "acme"
        assert (ours, our_scope) == (theirs, their_scope), case
