"""A client is one session with its resources as bound classes; `init` makes one the process's default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional, Union

from flyte_lite import _session
from flyte_lite._clock import Cancel
from flyte_lite._session import UNSET, Session, Timeout
from flyte_lite._version import __version__
from flyte_lite.config import Config
from flyte_lite.errors import InitializationError
from flyte_lite.remote._waiting import PATIENCE

if TYPE_CHECKING:
    from typing_extensions import Self

    from flyte_lite._launch import Deployed, RunContext
    from flyte_lite._launch import rerun as _rerun
    from flyte_lite._launch import with_runcontext as _with_runcontext
    from flyte_lite._rpc.channel import Channel
    from flyte_lite.remote import Action, Run, Task


class Client:
    """The way to one server. Safe for threads; any number of clients may be in use at once.

        with Client(endpoint="flyte.example.com", project="p", domain="development") as client:
            run = client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada")

    Args:
        endpoint: `host`, `host:port`, `http(s)://host:port/path` or `dns:///host`; None reads FLYTE_ADMIN_ENDPOINT.
        project: Default project; None reads FLYTE_TASK_PROJECT.
        domain: Default domain; None reads FLYTE_TASK_DOMAIN.
        org: Organization, which only hosted servers know; None reads FLYTE_TASK_ORG, then takes the first label of
            the endpoint's name.
        insecure: True for plain HTTP where the endpoint says neither http nor https; None reads FLYTE_ADMIN_INSECURE.
        insecure_skip_verify: True takes any certificate; None reads FLYTE_ADMIN_INSECURESKIPVERIFY.
        ca_cert_file_path: PEM file of the only authorities to trust; None reads FLYTE_ADMIN_CACERTFILEPATH, then takes
            the usual ones.
        timeout: Seconds of one call, retries included; None, written out, has no end.
        cancel: Ends every call of this client from another thread.
        channel: What `remote.create_channel` made, which settles endpoint, TLS and who calls.

    Raises:
        ConfigError: There is no endpoint, or a setting can't be read. Nothing is sent here.
    """

    def __init__(
        self,
        endpoint: Optional[str] = None,
        *,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        org: Optional[str] = None,
        insecure: Optional[bool] = None,
        insecure_skip_verify: Optional[bool] = None,
        ca_cert_file_path: Optional[str] = None,
        timeout: Timeout = UNSET,
        cancel: Optional[Cancel] = None,
        channel: Optional[Channel] = None,
    ) -> None:
        config = Config.load(
            {
                "endpoint": endpoint,
                "project": project,
                "domain": domain,
                "org": org,
                "insecure": insecure,
                "insecure_skip_verify": insecure_skip_verify,
                "ca_cert_file_path": ca_cert_file_path,
            }
        )
        self._session: Session = _session.connect(config, timeout=timeout, cancel=cancel, channel=channel)

    @classmethod
    def _over(cls, session: Session) -> Self:
        client = cls.__new__(cls)
        client._session = session
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        scope = self._session.scope
        return f"Client({self.endpoint}, project={scope.project or None}, domain={scope.domain or None})"

    def close(self) -> None:
        """Close idle connections, of this client and of its scoped copies. A call made later opens new ones."""
        self._session.channel.transport.close()

    @property
    def endpoint(self) -> str:
        """The server, as scheme, host and port, with the path if there is one."""
        channel = self._session.channel
        return f"{channel.origin}{channel.prefix}"

    def scoped(
        self,
        *,
        org: Optional[str] = None,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        timeout: Timeout = UNSET,
        cancel: Optional[Cancel] = None,
    ) -> Self:
        """A copy with other defaults, over the same connections; what is not given stays.

        Args:
            org: Organization.
            project: Default project.
            domain: Default domain.
            timeout: Seconds of one call; None has no end.
            cancel: Ends every call of the copy from another thread.

        Raises:
            ConfigError: The timeout is not above 0.
        """
        return self._over(self._session.scoped(org=org, project=project, domain=domain, timeout=timeout, cancel=cancel))

    @cached_property
    def runs(self) -> type[Run]:
        """`remote.Run`, over this client."""
        from flyte_lite.remote import Run

        return Run.bind(self._session)

    @cached_property
    def actions(self) -> type[Action]:
        """`remote.Action`, over this client."""
        from flyte_lite.remote import Action

        return Action.bind(self._session)

    @cached_property
    def tasks(self) -> type[Task]:
        """`remote.Task`, over this client."""
        from flyte_lite.remote import Task

        return Task.bind(self._session)

    def run(self, task: Deployed, /, *args: Any, **inputs: Any) -> Run:
        """`flyte_lite.run`, over this client."""
        from flyte_lite._launch.context import RunContext
        from flyte_lite._launch.options import Options

        return RunContext(self._session, Options()).run(task, *args, **inputs)

    if TYPE_CHECKING:
        # The same arguments, without writing them all a second time.
        rerun = staticmethod(_rerun)
    else:

        def rerun(self, *args: Any, **inputs: Any) -> Run:
            """`flyte_lite.rerun`, over this client."""
            from flyte_lite._launch.context import RunContext
            from flyte_lite._launch.options import Options

            return RunContext(self._session, Options()).rerun(*args, **inputs)

    def wait_all(
        self,
        runs: Iterable[Union[Run, str]],
        *,
        timeout: Optional[float] = None,
        quiet: Optional[bool] = None,
        interval: Optional[float] = None,
        patience: float = PATIENCE,
    ) -> list[Run]:
        """`flyte_lite.wait_all`; names are looked up over this client."""
        from flyte_lite.remote._completion import Completion

        return Completion(self._session, runs, timeout, interval, patience, "wait_all").all(quiet)

    def as_completed(
        self,
        runs: Iterable[Union[Run, str]],
        *,
        timeout: Optional[float] = None,
        interval: Optional[float] = None,
        patience: float = PATIENCE,
    ) -> Iterator[Run]:
        """`flyte_lite.as_completed`; names are looked up over this client."""
        from flyte_lite.remote._completion import Completion

        return Completion(self._session, runs, timeout, interval, patience, "as_completed").each()

    if TYPE_CHECKING:
        # The same options, without writing them all a second time.
        with_runcontext = staticmethod(_with_runcontext)
    else:

        def with_runcontext(self, *args: Any, **options: Any) -> RunContext:
            """`flyte_lite.with_runcontext`, over this client."""
            from flyte_lite._launch import with_runcontext

            return with_runcontext(*args, **options).over(self._session)


def init(
    org: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    *,
    endpoint: Optional[str] = None,
    insecure: Optional[bool] = None,
    insecure_skip_verify: Optional[bool] = None,
    ca_cert_file_path: Optional[str] = None,
    timeout: Timeout = UNSET,
    channel: Optional[Channel] = None,
) -> Client:
    """Set whom the whole process talks to by default, and return it as a client.

    Args:
        org: See `Client`, as for all the others.
        project: Default project.
        domain: Default domain.
        endpoint: The server.
        insecure: True for plain HTTP where the endpoint says neither http nor https.
        insecure_skip_verify: True takes any certificate.
        ca_cert_file_path: PEM file of the only authorities to trust.
        timeout: Seconds of one call; None, written out, has no end.
        channel: What `remote.create_channel` made.

    Raises:
        ConfigError: There is no endpoint, or a setting can't be read. Nothing is sent here.
    """
    client = Client(
        endpoint,
        project=project,
        domain=domain,
        org=org,
        insecure=insecure,
        insecure_skip_verify=insecure_skip_verify,
        ca_cert_file_path=ca_cert_file_path,
        timeout=timeout,
        channel=channel,
    )
    _session.set_default(client._session)
    return client


def current_project() -> str:
    """The project that `init` set.

    Raises:
        NotInitializedError: `init` was not called.
        InitializationError: It set none.
    """
    return _of_default("project")


def current_domain() -> str:
    """The domain that `init` set.

    Raises:
        NotInitializedError: `init` was not called.
        InitializationError: It set none.
    """
    return _of_default("domain")


def _of_default(what: str) -> str:
    value: str = getattr(_session.current(f"current_{what}").scope, what)
    if not value:
        raise InitializationError(
            f"{what.capitalize()}NotInitializedError",
            "user",
            f"init was called without a {what}: give init({what}=...), or set FLYTE_TASK_{what.upper()}",
        )
    return value


def is_control_plane_available() -> bool:
    """True if `init` was called, so that there is a server to talk to; whether it answers is not asked."""
    return _session.has_default()


def version() -> str:
    """Version of flyte_lite."""
    return __version__
