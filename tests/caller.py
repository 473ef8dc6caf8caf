"""A client of the scripted identity provider, on a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, NamedTuple, Optional, Union

from issuer import CERTIFICATES, Issuer

from flyte_lite._auth.person import Person
from flyte_lite._auth.sign_in import SignIn
from flyte_lite._clock import SYSTEM_CLOCK, Cancel, Deadline
from flyte_lite._http.origin import Origin
from flyte_lite._http.tls import TlsPolicy
from flyte_lite._http.transport import Transport
from flyte_lite._rpc.channel import Channel
from flyte_lite._rpc.method import Method
from flyte_lite._rpc.retry import RetryPolicy
from flyte_lite.idl.flyteidl2.project import project_service_pb2

GET: Method[Any, Any] = Method(project_service_pb2, "ProjectService", "GetProject")
WRITE: Method[Any, Any] = Method(project_service_pb2, "ProjectService", "GetProject", safe=False)
"""As if it changed something."""


class Place(NamedTuple):
    """A server of this machine."""

    scheme: str
    port: int


class Caller:
    """A client of the issuer, or of another server, whose person types, clicks or is not there."""

    def __init__(
        self,
        issuer: Union[Issuer, Place],
        *,
        browse: Callable[[str], bool] = lambda url: False,
        tell: Callable[[str], None] = lambda text: None,
        terminal: Callable[[], Any] = lambda: None,
        **settings: Any,
    ) -> None:
        self.told: list[str] = []

        def read(text: str) -> None:
            self.told.append(text)
            tell(text)

        self.transport = Transport(TlsPolicy(ca_file=str(CERTIFICATES / "authority.pem")), {})
        origin = Origin(issuer.scheme, "127.0.0.1", issuer.port)
        person = Person(True, {}, tell=read, browse=browse, terminal=terminal)
        sign_in = SignIn(**settings)
        self.credentials = sign_in.credentials(self.transport, origin, "", SYSTEM_CLOCK, person=person)
        self.channel = Channel(
            self.transport, origin, credentials=self.credentials, retry=RetryPolicy(retries=1, base=0.01)
        )

    def call(
        self,
        seconds: float = 20.0,
        cancel: Optional[Cancel] = None,
        method: Method[Any, Any] = GET,
        *,
        usual: bool = False,
    ) -> int:
        """How many attempts it took."""
        request = project_service_pb2.GetProjectRequest(id="flytesnacks")
        deadline = Deadline(SYSTEM_CLOCK, seconds, cancel, usual=usual)
        return self.channel.unary(method, request, deadline=deadline).attempts

    def call_in_threads(self, count: int) -> None:
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(self.call) for _ in range(count)]:
                done.result(30)


@contextlib.contextmanager
def calling(issuer: Union[Issuer, Place], **settings: Any) -> Iterator[Caller]:
    caller = Caller(issuer, **settings)
    with contextlib.closing(caller.transport):
        yield caller
