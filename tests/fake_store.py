"""An object store that answers from a list; for clients over a `FakeChannel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Union

from echo import FakeAnswer
from fakes import FakeChannel

from flyte_lite._http.origin import Origin
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2

LINK = "DataProxyService/CreateDownloadLink"
SIGNATURE = "5ec7e7f00d"


class Fetched(NamedTuple):
    """One request as the store got it."""

    verb: str
    url: str
    headers: dict[str, Any]


class FakeStore:
    """The last answer is repeated for ever.

    Attributes:
        fetched: What was asked, in order.
        anonymous: Whether all of it went the way to strangers.
    """

    def __init__(self, *answers: Union[FakeAnswer, Exception]) -> None:
        self.answers = list(answers)
        self.fetched: list[Fetched] = []
        self.anonymous = False

    def for_strangers(self) -> FakeStore:
        self.anonymous = True
        return self

    def open(
        self, verb: str, origin: Origin, target: str, headers: Mapping[str, Any], body: Any, deadline: Any
    ) -> FakeAnswer:
        assert self.anonymous
        assert body is None
        self.fetched.append(Fetched(verb, f"{origin}{target}", dict(headers)))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def stored(*pieces: Any, status: int = 200, **headers: str) -> FakeAnswer:
    """An answer of a store."""
    named = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return FakeAnswer(*pieces, status=status, headers=named)


def signed(path: str = "/b/report.html", number: int = 1) -> dataproxy_service_pb2.CreateDownloadLinkResponse:
    """A server's answer with an address."""
    response = dataproxy_service_pb2.CreateDownloadLinkResponse()
    url = f"https://store.example{path}?X-Amz-Signature={SIGNATURE}{number}"
    response.pre_signed_urls.signed_url.append(url)
    return response


def with_store(
    channel: FakeChannel, *answers: Union[FakeAnswer, Exception], link: Optional[list[Any]] = None
) -> FakeStore:
    """Give a channel a store behind it, and a server that signs addresses of it."""
    channel.transport = store = FakeStore(*answers)
    channel.on(LINK, *(link or [signed()]))
    return store
