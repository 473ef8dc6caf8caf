"""A Flyte server inside the package: for demos, for your tests and for ours.

    from flyte_lite.devbox import Devbox

    with Devbox() as box:
        @box.task(name="greetings.hello", version="v1")
        def hello(name: str) -> str:
            return f"hello {name}"

        ...  # any Flyte client, at box.endpoint

Where the function of one task calls that of another, both of them deployed, each call is an action of the run, with its
own inputs, outputs, attempts, limits and log: one after the other, from threads, or awaited if it is an `async def`.

        @box.task(name="greetings.all", version="v1")
        def everybody(names: list[str]) -> list[str]:
            with group("greetings"), ThreadPoolExecutor(10) as pool:
                return list(pool.map(hello, names))

A call that fails raises the class of `flyte_lite.errors` that tells why, and the caller may catch it. What is still
running when its caller has ended, or was aborted, is aborted. An attempt that is repeated finds what the one before it
had called: results are taken over, what runs is waited for, and what has failed gets one more attempt. A task that is
deployed to a devbox already running can call what is defined above it, and itself. `trace` tells steps that need no
process of their own. Outside a run all of these are the functions they always were.

`Devbox(auth=True)` lets nobody in without a token, and gives tokens out itself. `box.issuer` is there for tests:

    with Devbox(auth=True) as box:
        client = flyte_lite.Client(api_key=box.issuer.api_key)          # a program, by client credentials
        by_hand = create_channel(box.endpoint, token=box.issuer.token("ada"))

        box.issuer.automatic_user = "ada"   # a browser or a device code signs her in at once, and nobody sees a page
        box.issuer.allow(code, as_user="ada")               # or a single device code, as a person does who types it in
        box.issuer.users = [User("bob", email="bob@example.com")]               # who can be picked on the page
        box.issuer.token_seconds = 2                        # tokens that are soon over
        box.issuer.expire_tokens()                          # as if those that there are had come to their end
        box.issuer.revoke_all()                             # refresh tokens too
        assert box.issuer.issued()["refresh_token"] == 1    # how many tokens were given, for what

It needs `pip install 'flyte_lite[devbox]'`. Everything is loaded when first used, because each worker process imports
this package too and should start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_lite.devbox._box import Devbox
    from flyte_lite.devbox._declare import task
    from flyte_lite.devbox._group import group
    from flyte_lite.devbox._trace import trace
    from flyte_lite.devbox.issuer.external import ExternalIssuer
    from flyte_lite.devbox.issuer.issuer import Issuer
    from flyte_lite.devbox.issuer.terms import User

__all__ = ["Devbox", "ExternalIssuer", "Issuer", "User", "group", "task", "trace"]

_HOME = {
    "Devbox": "flyte_lite.devbox._box",
    "ExternalIssuer": "flyte_lite.devbox.issuer.external",
    "Issuer": "flyte_lite.devbox.issuer.issuer",
    "User": "flyte_lite.devbox.issuer.terms",
    "group": "flyte_lite.devbox._group",
    "task": "flyte_lite.devbox._declare",
    "trace": "flyte_lite.devbox._trace",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
