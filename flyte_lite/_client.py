"""A client is one session with its resources as bound classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional, Union

from flyte_lite import _session
from flyte_lite._clock import Cancel
from flyte_lite._session import UNSET, Session, Timeout
from flyte_lite._version import __version__
from flyte_lite.config import Config
from flyte_lite.errors import ConfigError, InitializationError
from flyte_lite.remote._waiting import PATIENCE

if TYPE_CHECKING:
    from requests import Session as HttpSession
    from typing_extensions import Self

    from flyte_lite._auth.store import TokenStore
    from flyte_lite._launch import Deployed, RunContext
    from flyte_lite._launch import rerun as _rerun
    from flyte_lite._launch import with_runcontext as _with_runcontext
    from flyte_lite._rpc.channel import Channel
    from flyte_lite.remote import Action, Run, Task


class Client:
    """The way to one server. Safe for threads; any number of clients may be in use at once.

        with Client(endpoint="flyte.example.com", project="p", domain="development") as client:
            run = client.run(client.tasks.get("greetings.hello", auto_version="latest"), name="Ada")

    Each setting comes from the first place that has it: an argument, the environment, a file if `config` names one or
    `from_config` finds one, a default. `client.config.explain()` says which.

    Args:
        endpoint: `host`, `host:port`, `http(s)://host:port/path` or `dns:///host`.
        project: Default project.
        domain: Default domain.
        org: Organization, which only hosted servers know; None takes the API key's or the first label of the
            endpoint's name, "" is none.
        api_key: Says endpoint, organization, client id and secret in one. None reads FLYTE_API_KEY if neither an
            argument nor a file names an endpoint, and no argument says who calls.
        insecure: True for plain HTTP where the endpoint says neither http nor https.
        insecure_skip_verify: True takes any certificate.
        ca_cert_file_path: PEM file of the only authorities to trust; None takes the usual ones.
        auth_type: "Pkce", "ClientSecret", "ExternalCommand", "DeviceFlow" or "Passthrough"; None takes what is given
            of the following, and otherwise asks a person with a browser if the server wants somebody.
        command: Program and arguments that print a token.
        proxy_command: Program and arguments that print a token for a proxy before the server.
        client_id: Whom the secret is of.
        client_credentials_secret: The secret, or a function that gives it.
        scopes: What to ask the identity provider for; None takes what the server says.
        audience: Whom tokens are for; None takes what the server says.
        auth_client_config: What else is known of the identity provider: an object or dict with `token_endpoint`,
            `redirect_uri` and so on. Its `issuer` is enough where the server names no provider, and keeps the server
            from naming another one.
        headless: True never asks a person to sign in, False wherever we are, None where somebody can answer: at a
            terminal, and neither in CI nor in AWS Lambda.
        rpc_retries: Most repeats of one call; 0 never repeats, None is 3.
        http_proxy_url: Proxy for everything; "" is none, None takes what HTTPS_PROXY and the like name.
        proxies: Instead, as `requests` takes them: URLs by "http", "https", "all" or "https://host", and hosts that are
            reached without one in "no_proxy"; then nothing of the environment counts. {} is none.
        ssl_credentials: PEM, or the path of a file, with the only authorities to trust; a pair of a client's
            certificate and key, each PEM or a path, and with a third part the authorities; or an `ssl.SSLContext`, such
            as `ssl.create_default_context()` for the authorities that the system trusts.
        http_session: A `requests.Session` for all requests, as its owner configured it.
        disable_keyring: True keeps a person's tokens out of the keyring, which holds them by default but in CI and
            in AWS Lambda.
        token_store: Where tokens are kept: "memory" (of this process), "keyring" (wherever we are), "file" (below the
            user's state folder, for the user alone), the path of another folder, or an object with the methods of
            `TokenStore`. Those of a program are kept, too, if this says where. None leaves it to `disable_keyring`.
        config: A `Config`, or the path of a file, for what is not given here; None reads no file.
        timeout: Seconds of one call, retries included; None, written out, has no end. Left out, it is 30, and a person
            who is asked to sign in meanwhile has 300 beside that.
        cancel: Ends every call of this client from another thread.
        channel: What `remote.create_channel` made, which settles endpoint, TLS and who calls.

    Attributes:
        config: Every setting, and where each came from.

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
        api_key: Optional[str] = None,
        insecure: Optional[bool] = None,
        insecure_skip_verify: Optional[bool] = None,
        ca_cert_file_path: Union[str, os.PathLike[str], None] = None,
        auth_type: Optional[str] = None,
        command: Optional[Sequence[str]] = None,
        proxy_command: Optional[Sequence[str]] = None,
        client_id: Optional[str] = None,
        client_credentials_secret: Union[str, Callable[[], str], None] = None,
        scopes: Optional[Sequence[str]] = None,
        audience: Optional[str] = None,
        auth_client_config: Any = None,
        headless: Optional[bool] = None,
        rpc_retries: Optional[int] = None,
        http_proxy_url: Optional[str] = None,
        disable_keyring: Optional[bool] = None,
        token_store: Union[str, os.PathLike[str], TokenStore, None] = None,
        config: Union[Config, str, os.PathLike[str], None] = None,
        proxies: Union[str, Mapping[str, Optional[str]], None] = None,
        ssl_credentials: Any = None,
        http_session: Optional[HttpSession] = None,
        timeout: Timeout = UNSET,
        cancel: Optional[Cancel] = None,
        channel: Optional[Channel] = None,
    ) -> None:
        arguments = {
            "endpoint": endpoint,
            "project": project,
            "domain": domain,
            "org": org,
            "api_key": api_key,
            "insecure": insecure,
            "insecure_skip_verify": insecure_skip_verify,
            "ca_cert_file_path": ca_cert_file_path,
            "auth_type": auth_type,
            "command": command,
            "proxy_command": proxy_command,
            "client_id": client_id,
            "client_credentials_secret": client_credentials_secret,
            "scopes": scopes,
            "audience": audience,
            "auth_client_config": auth_client_config,
            "headless": headless,
            "rpc_retries": rpc_retries,
            "http_proxy_url": http_proxy_url,
            "disable_keyring": disable_keyring,
            "token_store": token_store,
        }
        if config is None:
            # A channel says itself who calls.
            settled = Config.load(arguments, {**os.environ, "FLYTE_API_KEY": ""} if channel else os.environ)
        elif isinstance(config, Config):
            settled = config.given(arguments)
        else:
            settled = Config.auto(config, arguments=arguments)
        own = {"proxies": proxies, "ssl_credentials": ssl_credentials, "http_session": http_session}
        said = [name for name, value in own.items() if value is not None]
        transport = None
        if said:
            if channel is not None:
                raise ConfigError(f"{said[0]} is settled where the channel is made; give one of them")
            from flyte_lite.remote._channel import transport_of

            transport = transport_of(settled, **own)
        self._session: Session = _session.connect(
            settled, timeout=timeout, cancel=cancel, channel=channel, transport=transport
        )
        self.config = settled if channel is None else settled.beside_channel(self.endpoint)

    @classmethod
    def from_config(
        cls,
        config_file: Union[Config, str, os.PathLike[str], None] = None,
        *,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        org: Optional[str] = None,
        timeout: Timeout = UNSET,
        cancel: Optional[Cancel] = None,
    ) -> Self:
        """A client by a file and the environment.

        Args:
            config_file: None looks for one, see `Config.auto`; for more arguments give it as `Client(config=...)`.
            project: Instead of the file's.
            domain: Instead of the file's.
            org: Instead of the file's.
            timeout: Seconds of one call; None, written out, has no end.
            cancel: Ends every call of this client from another thread.

        Raises:
            ConfigError: There is no endpoint, or a file or a variable can't be read. Nothing is sent here.
        """
        config = Config.auto() if config_file is None else config_file
        return cls(config=config, project=project, domain=domain, org=org, timeout=timeout, cancel=cancel)

    @classmethod
    def _over(cls, session: Session, config: Optional[Config] = None) -> Self:
        client = cls.__new__(cls)
        client._session = session
        client.config = config or Config()
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
        copy = self._session.scoped(org=org, project=project, domain=domain, timeout=timeout, cancel=cancel)
        return self._over(copy, self.config.given({"org": org, "project": project, "domain": domain}, "scoped()"))

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
