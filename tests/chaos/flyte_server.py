"""As much of Flyte as a doctor asks for, on a chaos server: each method answers, or does what a test wants."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any, Optional, Union

from chaos_server import ChaosServer, Peer, Request, answer

from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2

Answer = Union[bytes, Callable[[Request], bytes]]


def message(of: Any) -> bytes:
    return answer(of.SerializeToString(), headers="Content-Type: application/proto\r\n")


def refused(code: str, status: int, text: str = "") -> bytes:
    body = json.dumps({"code": code, "message": text or code}).encode()
    return answer(body, status=f"{status} Refused", headers="Content-Type: application/json\r\n")


def page(status: str, body: bytes = b"<html><title>Sign in</title></html>", headers: str = "") -> bytes:
    return answer(body, status=status, headers=f"Content-Type: text/html\r\n{headers}")


class FlyteServer(ChaosServer):
    """Answers by the last part of a path; what is not known there is as if nobody had heard of it.

    Attributes:
        answers: By that part; assign others.
        stored: What was put into its object store.
    """

    def __init__(self, *, tls: Optional[ssl.SSLContext] = None) -> None:
        super().__init__(self._serve_flyte, tls=tls)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        domains = [project_service_pb2.Domain(id=name) for name in ("development", "production")]
        project = project_service_pb2.Project(id="p", domains=domains)
        self.stored: list[Request] = []
        self.answers: dict[str, Answer] = {
            "GetPublicClientConfig": message(auth_service_pb2.GetPublicClientConfigResponse()),
            "GetOAuth2Metadata": message(
                auth_service_pb2.GetOAuth2MetadataResponse(token_endpoint=f"{self.url}/token")
            ),
            "GetProject": message(project_service_pb2.GetProjectResponse(project=project)),
            "ListRuns": message(run_service_pb2.ListRunsResponse()),
            "SelectCluster": message(payload_pb2.SelectClusterResponse()),
            "CreateUploadLocation": self.upload_to(f"{self.url}/store/flyte-lite-doctor.txt?X-Sig=5ignature"),
            "flyte-lite-doctor.txt": self._store,
        }

    @staticmethod
    def upload_to(url: str) -> bytes:
        return message(
            dataproxy_service_pb2.CreateUploadLocationResponse(
                signed_url=url, native_url="s3://bucket/doctor", headers={"x-amz-meta-a": "b", "Content-Length": "24"}
            )
        )

    def _store(self, request: Request) -> bytes:
        self.stored.append(request)
        return answer(b"")

    def _serve_flyte(self, peer: Peer) -> None:
        while True:
            request = peer.read_request()
            name = request.target.partition("?")[0].rpartition("/")[2]
            said = self.answers.get(name, answer(b"404 page not found", status="404 Not Found", headers=_TEXT))
            peer.send(said(request) if callable(said) else said)


_TEXT = "Content-Type: text/plain\r\n"
