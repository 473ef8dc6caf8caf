"""The last step: a few bytes in the object store, by the way that inputs and files go."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from flyte_lite import errors
from flyte_lite._clusters import Route
from flyte_lite._doctor.finding import Cause, Finding, Trouble
from flyte_lite._rpc.method import Method
from flyte_lite.errors import CallError
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.remote._downloads import SignedUrl, refusal

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline
    from flyte_lite._session import Session

_CREATE_UPLOAD_LOCATION: Method[
    dataproxy_service_pb2.CreateUploadLocationRequest, dataproxy_service_pb2.CreateUploadLocationResponse
] = Method(dataproxy_service_pb2, "DataProxyService", "CreateUploadLocation", safe=True)
_OPERATION_CREATE_UPLOAD_LOCATION = 1

CONTENT = b"flyte-lite doctor was here\n"
"""Always the same, so that it is one object however often it is stored."""
FILENAME = "flyte-lite-doctor.txt"
_EXPIRES_IN = 300


def uploads(session: Session, deadline: Deadline) -> Finding:
    """Whether the object store takes what is sent to an address that the server signs.

    Raises:
        Trouble: It does not.
    """
    scope = session.scope
    if not scope.project or not scope.domain:
        return Finding("upload", "skipped", "no project and domain are set, where it would go")
    digest = hashlib.md5(CONTENT).digest()  # noqa: S324 - what stores check what they got by
    request = dataproxy_service_pb2.CreateUploadLocationRequest(
        project=scope.project,
        domain=scope.domain,
        org=scope.org,
        filename=FILENAME,
        content_md5=digest,
        content_length=len(CONTENT),
        add_content_md5_metadata=True,
    )
    request.expires_in.seconds = _EXPIRES_IN
    route = Route(_OPERATION_CREATE_UPLOAD_LOCATION, scope.project, scope.domain)
    try:
        place = session.call(_CREATE_UPLOAD_LOCATION, request, deadline=deadline, route=route)
        url = SignedUrl.parse(place.signed_url)
    except errors.UnimplementedError:
        return Finding("upload", "skipped", "this server offers no upload (CreateUploadLocation)")
    except CallError as error:
        raise Trouble(
            f"no address to upload to: {error}", "May you write to this project? Ask who runs the server.", Cause.UPLOAD
        ) from None
    headers = {name: value for name, value in place.headers.items() if name.lower() != "content-length"}
    if not any(name.lower() == "content-md5" for name in headers):
        headers["Content-MD5"] = base64.b64encode(digest).decode()
    if place.native_url.startswith("abfs"):
        headers.setdefault("x-ms-blob-type", "BlockBlob")
    _put(session, url, headers, deadline)
    return Finding("upload", "ok", f"{len(CONTENT)} bytes are in {url.origin}; they stay there, as {place.native_url}")


def _put(session: Session, url: SignedUrl, headers: dict[str, str], deadline: Deadline) -> None:
    transport = session.channel.transport.for_strangers()
    target = f"{url.path}?{url.query}" if url.query else url.path
    store = f"the object store {url.origin}"
    try:
        answer = transport.open("PUT", url.origin, target, headers, CONTENT, deadline)
        try:
            if answer.status not in (200, 201, 204):
                raise refusal(url, answer)
        finally:
            answer.close()
    except ValueError as error:
        # A header that the server wants to be sent along.
        raise Trouble(f"{store}: {error}", "Ask who runs the server.", Cause.UPLOAD) from None
    except errors.PermissionDeniedError as error:
        remedy = (
            "Is this machine's clock right, and does nothing on the way change requests? Else the server signs badly."
        )
        raise Trouble(f"{store}: {url.without_signature(error.message)}", remedy, Cause.UPLOAD) from None
    except CallError as error:
        # What the layers below say may have the whole address in it.
        remedy = (
            "The server answers, and its object store is another host, which this machine must reach as well: name, "
            "firewall, proxy (HTTPS_PROXY, NO_PROXY) and certificate (ca_cert_file_path)."
        )
        raise Trouble(f"{store}: {url.without_signature(error.message)}", remedy, Cause.UPLOAD) from None
