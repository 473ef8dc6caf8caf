"""The steps of Flyte itself: whether it answers, who we are to it, and what it lets us read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from flyte_lite import errors
from flyte_lite._doctor.finding import Cause, Finding, Trouble
from flyte_lite._doctor.identity import proof_of, shows
from flyte_lite._rpc.method import Method
from flyte_lite.errors import CallError, Code
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2
from flyte_lite.idl.flyteidl2.common import list_pb2
from flyte_lite.idl.flyteidl2.project import project_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_service_pb2
from flyte_lite.remote._lists import LIST_RUNS

if TYPE_CHECKING:
    from flyte_lite._clock import Deadline
    from flyte_lite._rpc.channel import Channel
    from flyte_lite._rpc.interceptors import Credentials
    from flyte_lite._session import Session
    from flyte_lite.config import Config

_ASK: Method[auth_service_pb2.GetPublicClientConfigRequest, auth_service_pb2.GetPublicClientConfigResponse] = Method(
    auth_service_pb2, "AuthMetadataService", "GetPublicClientConfig", safe=True
)
_GET_PROJECT: Method[project_service_pb2.GetProjectRequest, project_service_pb2.GetProjectResponse] = Method(
    project_service_pb2, "ProjectService", "GetProject", safe=True
)
_MOST_SKEW = 300.0
_WHO_CALLS = (
    "Say who calls: an API key (FLYTE_API_KEY), admin.clientId with a secret, or admin.command in the config file "
    "(`flyte-lite get config` shows what is set)."
)


def answers(channel: Channel, deadline: Deadline) -> Finding:
    """Whether Flyte answers, without showing it who we are.

    Raises:
        Trouble: Something else does, or nothing.
    """
    # Where something before the server wants credentials of its own, only those get an answer of Flyte's.
    tries: list[Optional[Credentials]] = [None]
    if channel.credentials is not None:
        tries.append(channel.credentials)
    for credentials in tries:
        try:
            reply = channel.once(credentials).unary(
                _ASK, auth_service_pb2.GetPublicClientConfigRequest(), deadline=deadline
            )
        except errors.FlyteLiteError as error:
            problem = error
            if _is_flytes(problem):
                return Finding("Connect", "ok", f"it answers, though it refuses this question ({_code(problem)})")
            if not isinstance(problem, CallError) or problem.code not in _WANT_CREDENTIALS:
                break
        else:
            return _on_time(reply.headers, deadline)
    if _is_unknown(problem):
        # Its question is not known everywhere; that of the main job is.
        return _by_runs(channel, deadline)
    raise _strange(problem, channel)


_WANT_CREDENTIALS = (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)


def _is_flytes(problem: errors.FlyteLiteError) -> bool:
    """Whether an error came from a server that speaks Connect."""
    if not isinstance(problem, errors.RpcError) or problem.code is Code.UNAVAILABLE:
        return False
    return problem.headers.get("content-type", [""])[0].startswith("application/json")


def _is_unknown(problem: errors.FlyteLiteError) -> bool:
    return isinstance(problem, errors.UnimplementedError)


def _code(problem: errors.FlyteLiteError) -> str:
    return str(getattr(problem, "code", ""))


def _by_runs(channel: Channel, deadline: Deadline) -> Finding:
    request = run_service_pb2.ListRunsRequest(request=list_pb2.ListRequest(limit=1))
    try:
        channel.once(channel.credentials).unary(LIST_RUNS, request, deadline=deadline)
    except errors.FlyteLiteError as error:
        if not _is_flytes(error):
            raise _strange(error, channel) from error
    return Finding("Connect", "ok", "it answers")


def _on_time(headers: dict[str, list[str]], deadline: Deadline) -> Finding:
    said = headers.get("date", [""])[0]
    skew = _skew(said, deadline.clock.time())
    if abs(skew) < _MOST_SKEW:
        return Finding("Connect", "ok", "it answers")
    return Finding(
        "Connect",
        "warning",
        f"it answers, and its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
        "Tokens and signed addresses may be taken for expired: set this machine's clock.",
    )


def _skew(date: str, now: float) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0.0


def _strange(problem: errors.FlyteLiteError, channel: Channel) -> Trouble:
    """What answered is not Flyte, or not now."""
    text = getattr(problem, "message", str(problem))
    proxy = channel.transport.proxy(channel.origin)
    if proxy is not None and isinstance(problem, errors.TransportError) and not problem.sent:
        return Trouble(text, f"Mend what {proxy.source} says, or set NO_PROXY to the server's host.", Cause.PROXY)
    through = f" It may also be {proxy} itself that says so; NO_PROXY goes round it." if proxy is not None else ""
    if isinstance(problem, errors.TlsError):
        return Trouble(
            text, "Give the client certificate that it wants (create_channel(ssl_credentials=...)).", Cause.TLS
        )
    if isinstance(problem, errors.ConfigError):
        return Trouble(text, _WHO_CALLS, Cause.SIGN_IN)
    if isinstance(problem, errors.UnauthenticatedError):
        remedy = "Something before the server wants to know who calls; admin.proxyCommand shows a token to it, too."
        return Trouble(text, remedy + through, Cause.SIGN_IN)
    if isinstance(problem, errors.CallTimeoutError):
        return Trouble(
            text,
            f"It takes connections and does not answer: is it the right port, and is it up?{through}",
            Cause.NOT_FLYTE,
        )
    remedies: dict[Any, str] = {
        Code.UNAVAILABLE: "The server behind it is down or not ready; ask who runs it.",
        Code.PERMISSION_DENIED: "Something before the server lets nobody in from here; ask who runs it.",
        Code.UNIMPLEMENTED: "Is the path of the endpoint right? It ends where /flyteidl2... begins.",
    }
    remedy = remedies.get(
        getattr(problem, "code", None), "Are host, port and path those of the API, not of the console?"
    )
    return Trouble(text, remedy + through, Cause.NOT_FLYTE)


def signs_in(channel: Channel, config: Config, deadline: Deadline) -> Finding:
    """What proves who calls.

    Raises:
        Trouble: It can't be had.
    """
    credentials = channel.credentials
    if credentials is None:
        return Finding("sign-in", "skipped", _nothing_shown(channel, config))
    try:
        shown = credentials.headers(deadline)
    except errors.FlyteLiteError as error:
        raise Trouble(_message(error), _WHO_CALLS, Cause.SIGN_IN) from error
    try:
        proof = proof_of(channel, config, deadline)
    except errors.FlyteLiteError as error:
        remedy = "Take away what can't be read, or keep tokens somewhere else (FLYTE_LITE_TOKEN_STORE)."
        raise Trouble(_message(error), remedy, Cause.SIGN_IN) from error
    said = "nothing is set" if proof.source == "default" else f"{proof.kind} from {proof.source}"
    if not shown:
        kept = f"; then the login in {proof.where}, {proof.life(deadline.clock)}" if proof.token else ""
        return Finding("sign-in", "skipped", f"nothing is shown until the server asks who calls ({said}){kept}")
    name = " and ".join(sorted(shown))
    if proof.token is None:
        return Finding("sign-in", "ok", f"there is something to show, in the header {name}")
    kept = f", kept in {proof.where}" if proof.where else ""
    return Finding("sign-in", "ok", f"a token ({said}){kept}, in the header {name}: {proof.life(deadline.clock)}")


def _nothing_shown(channel: Channel, config: Config) -> str:
    said = [name for name in ("client_credentials_secret", "command", "auth_type") if getattr(config, name) is not None]
    if channel.origin.scheme == "http" and said:
        source = config.sources.get(said[0], "default")
        return f"by plain http nothing is shown of what a file or the environment says ({said[0]} from {source})"
    return "nothing is set that says who calls"


def reads(session: Session, config: Config, deadline: Deadline) -> Finding:
    """What the server lets us read: the project, if one is set, and a run.

    Raises:
        Trouble: It does not.
    """
    scope = session.scope
    try:
        project = _project(session, deadline) if scope.project else None
        _check_domain(project, scope.project, scope.domain)
        request = run_service_pb2.ListRunsRequest(request=list_pb2.ListRequest(limit=1))
        if scope.project and scope.domain:
            request.project_id.CopyFrom(scope.project_id())
        else:
            request.org = scope.org
        found = session.call(LIST_RUNS, request, deadline=deadline)
    except CallError as error:
        raise _unreadable(error, session, config, deadline) from error
    where = f"project {scope.project}, domain {scope.domain}" if scope.project and scope.domain else "the server"
    return Finding("read", "ok", f"{where}: {'a run was read' if found.runs else 'there are no runs yet'}")


def _project(session: Session, deadline: Deadline) -> Any:
    request = project_service_pb2.GetProjectRequest(id=session.scope.project, org=session.scope.org)
    try:
        return session.call(_GET_PROJECT, request, deadline=deadline).project
    except (errors.UnimplementedError, errors.PermissionDeniedError):
        return None  # who may read the runs of a project need not be allowed to look at the project


def _check_domain(project: Any, name: str, domain: str) -> None:
    domains = [each.id for each in project.domains] if project is not None else []
    if domain and domains and domain not in domains:
        raise Trouble(
            f"project {name} has no domain {domain}; it has {', '.join(domains)}",
            "Set the domain (FLYTE_TASK_DOMAIN, task.domain, domain=).",
            Cause.READ,
        )


def _unreadable(error: CallError, session: Session, config: Config, deadline: Deadline) -> Trouble:
    text = _message(error)
    scope, channel = session.scope, session.channel
    if isinstance(error, errors.CallTimeoutError) and error.message.startswith("nobody "):
        remedy = f"Sign in while it waits, and give it longer with --timeout; without a person: {_WHO_CALLS}"
        return Trouble(text, remedy, Cause.SIGN_IN)
    if isinstance(error, errors.UnauthenticatedError):
        if channel.credentials is None:
            remedy = f"The server wants to know who calls, and {_nothing_shown(channel, config)}. {_WHO_CALLS}"
        # Not where a sign-in failed: that would ask a person once more.
        elif _is_flytes(error) and shows(channel.credentials, deadline):
            remedy = f"The server does not take what it is shown. {_WHO_CALLS}"
        else:
            remedy = f"The server wants to know who calls. {_WHO_CALLS}"
        return Trouble(text, remedy, Cause.SIGN_IN)
    if isinstance(error, errors.NotFoundError):
        remedy = f"Is project {scope.project!r} right (FLYTE_TASK_PROJECT, task.project, project=), and may you see it?"
        return Trouble(text, remedy, Cause.READ)
    if isinstance(error, errors.PermissionDeniedError):
        return Trouble(text, "You are known, and may not read this: ask for the right to it.", Cause.READ)
    return Trouble(text, "It answers other questions: its operators find this one by its request id.", Cause.READ)


def _message(error: errors.FlyteLiteError) -> str:
    text = str(error) if isinstance(error, CallError) and error.method else getattr(error, "message", str(error))
    return text.partition("\n")[0]  # without the settings, which `flyte-lite get config` shows
