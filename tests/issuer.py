"""A small Flyte server with an identity provider of its own, on a real socket: strict where the RFCs are."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2

CERTIFICATES = Path(__file__).parent / "chaos" / "certificates"
CLIENT_ID, CLIENT_SECRET = "app:1", "s3:cr+t /\u00e9"
PUBLIC_ID = "public"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


class Refused(Exception):
    def __init__(self, error: str, status: int = 400, description: str = "") -> None:
        super().__init__(error)
        self.fields = {"error": error, **({"error_description": description} if description else {})}
        self.status = status


class Issuer:
    """See the module.

    Attributes:
        requests: All that came, in order.
        life: Seconds of a token; None does not say.
        grace: Seconds that it is good for beyond that.
        header: The one that takes tokens.
        has_rpc: Whether it says by RPC how to sign in, or by the document of RFC 8414 only.
        proxy_token: What a proxy before all of it wants to see; None is no proxy.
        interval: Seconds between questions for a device code.
        approve: What becomes of a device code when it is asked for the nth time: None waits, or an `error`, or "" .
        before: Called with each request, from the thread that serves it; what it returns is answered instead: status,
            content type, body and, if need be, further headers.
        cluster: Where it says that its cluster is; "" knows of none.
        clients: Secret by id; "" is for one that can keep none.
        issued: All tokens, refresh tokens and codes that were ever given out.
    """

    def __init__(self, *, secure: bool = False) -> None:
        self.requests: list[Request] = []
        self.life: Optional[float] = 3600
        self.grace = 0.0
        self.header = "authorization"
        self.has_rpc = True
        self.proxy_token: Optional[str] = None
        self.interval = 0.01
        self.approve: Callable[[int], Optional[str]] = lambda nth: ""
        self.before: Callable[[Request], Optional[tuple[Any, ...]]] = lambda request: None
        self.cluster = ""
        self.redirect_uri = "http://localhost/callback"
        self.issued: list[str] = []
        self.clients = {CLIENT_ID: CLIENT_SECRET, PUBLIC_ID: ""}
        self._lock = threading.Lock()
        self._good: dict[str, float] = {}
        self._refresh: dict[str, bool] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self._devices: dict[str, int] = {}
        issuer = self

        class Handler(_Handler):
            owner = issuer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.scheme = "https" if secure else "http"
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATES / "server.pem")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self.issuer = self.url
        self.token_endpoint = f"{self.url}/token"
        self.authorization_endpoint = f"{self.url}/authorize"
        self.device_endpoint = f"{self.url}/device"
        self.verification_uri = f"{self.url}/activate"

    def __enter__(self) -> Issuer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def new_token(self, life: Optional[float] = None) -> str:
        token = self._new()
        self._good[token] = time.monotonic() + self.grace + (life if life is not None else self.life or 3600)
        return token

    def revoke(self) -> None:
        """No token is good any more."""
        self._good.clear()

    def to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    @property
    def calls(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/GetProject")]

    def _new(self) -> str:
        self.issued.append(secrets.token_urlsafe(24))
        return self.issued[-1]

    def answer(self, request: Request) -> tuple[int, str, bytes, dict[str, str]]:
        with self._lock:
            self.requests.append(request)
        instead = self.before(request)
        if instead is not None:
            status, kind, body, *further = instead
            return status, kind, body, dict(*further)
        wanted = self.proxy_token
        if wanted is not None and request.headers.get("proxy-authorization") != f"Bearer {wanted}":
            return 401, "text/html", b"<html>the proxy wants to know you", {}
        path = request.path
        if path.startswith("/flyteidl2."):
            return self._rpc(request)
        if path == "/.well-known/oauth-authorization-server":
            return 200, "application/json", json.dumps(self._metadata()).encode(), {}
        if path == "/authorize":
            return 302, "text/html", b"", {"Location": self._authorize(request)}
        try:
            with self._lock:
                fields = {"/token": self._token, "/device": self._device}[path](request)
        except KeyError:
            return 404, "text/html", b"<html>not here", {}
        except Refused as refused:
            return refused.status, "application/json", json.dumps(refused.fields).encode(), {}
        return 200, "application/json;charset=UTF-8", json.dumps(fields).encode(), {"Cache-Control": "no-store"}

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "token_endpoint": self.token_endpoint,
            "authorization_endpoint": self.authorization_endpoint,
            "device_authorization_endpoint": self.device_endpoint,
        }

    def _rpc(self, request: Request) -> tuple[int, str, bytes, dict[str, str]]:
        method = request.path.rpartition("/")[2]
        message: Any
        if method == "GetOAuth2Metadata" and self.has_rpc:
            message = auth_service_pb2.GetOAuth2MetadataResponse(**self._metadata())
        elif method == "GetPublicClientConfig":
            message = auth_service_pb2.GetPublicClientConfigResponse(
                client_id=PUBLIC_ID,
                redirect_uri=self.redirect_uri,
                scopes=["all", "offline"],
                authorization_metadata_key=self.header,
            )
        elif method == "SelectCluster" and self.cluster:
            message = payload_pb2.SelectClusterResponse(cluster_endpoint=self.cluster)
        elif method == "GetProject":
            token = request.headers.get(self.header, "").partition("Bearer ")[2]
            if self._good.get(token, 0) < time.monotonic():
                return 401, "application/json", b'{"code":"unauthenticated","message":"who are you?"}', {}
            message = project_service_pb2.GetProjectResponse()
        else:
            return 501, "application/json", b'{"code":"unimplemented"}', {}
        return 200, "application/proto", message.SerializeToString(), {}

    def _client(self, request: Request) -> str:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            # RFC 6749, 2.3.1: each of them was form-encoded first.
            name, _, secret = base64.b64decode(value).decode().partition(":")
            pair = unquote_plus(name), unquote_plus(secret)
        else:
            pair = request.form.get("client_id", ""), request.form.get("client_secret", "")
        if pair not in self.clients.items():
            raise Refused("invalid_client", 401, f"{pair[0]} is not known with {pair[1]}")
        return pair[0]

    def _token(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise Refused("invalid_request")
        client = self._client(request)
        form, grant = request.form, request.form.get("grant_type")
        if grant == "client_credentials":
            if client == PUBLIC_ID:
                raise Refused("unauthorized_client")
            return self._granted(refresh=False)
        if grant == "refresh_token":
            return self._refreshed(form.get("refresh_token", ""))
        if grant == "authorization_code":
            kept = self._codes.pop(form.get("code", ""), None)
            verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
            if kept is None or kept["code_challenge"] != challenge or kept["redirect_uri"] != form.get("redirect_uri"):
                raise Refused("invalid_grant")
            return self._granted(refresh=True)
        if grant == DEVICE_GRANT:
            code = form.get("device_code", "")
            if code not in self._devices:
                raise Refused("invalid_grant")
            self._devices[code] += 1
            said = self.approve(self._devices[code])
            if said != "":
                raise Refused(said or "authorization_pending")
            del self._devices[code]
            return self._granted(refresh=True)
        raise Refused("unsupported_grant_type")

    def _granted(self, refresh: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {"access_token": self.new_token(), "token_type": "Bearer"}
        if self.life is not None:
            fields["expires_in"] = self.life
        if refresh:
            fields["refresh_token"] = self._new()
            self._refresh[fields["refresh_token"]] = True
        return fields

    def _refreshed(self, token: str) -> dict[str, Any]:
        if not self._refresh.get(token):
            # Used twice: whoever it was stolen from loses everything with the thief.
            self._refresh.clear()
            self.revoke()
            raise Refused("invalid_grant", description="reuse detected")
        self._refresh[token] = False
        return self._granted(refresh=True)

    def _device(self, request: Request) -> dict[str, Any]:
        self._client(request)
        code = self._new()
        self._devices[code] = 0
        return {
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "verification_uri": self.verification_uri,
            "expires_in": 600,
            "interval": self.interval,
        }

    def _authorize(self, request: Request) -> str:
        form = request.form
        assert form["response_type"] == "code"
        assert form["client_id"] == PUBLIC_ID
        assert form["code_challenge_method"] == "S256"
        # RFC 8252, 7.3: the port is free, everything else is not.
        asked, registered = urlsplit(form["redirect_uri"]), urlsplit(self.redirect_uri)
        assert (asked.scheme, asked.hostname, asked.path) == (registered.scheme, registered.hostname, registered.path)
        code = self._new()
        self._codes[code] = form
        return f"{form['redirect_uri']}?{urlencode({'code': code, 'state': form['state'], 'iss': self.url})}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that hang up are a part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Issuer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path, _, query = self.path.partition("?")
        is_form = "form" in self.headers.get("content-type", "")
        form = dict(parse_qsl(query) + (parse_qsl(body.decode()) if is_form else []))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, kind, answer, further = self.owner.answer(Request(self.command, path, headers, form))
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(answer)), **further}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        pass
