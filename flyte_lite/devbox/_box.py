"""`Devbox`: the state, the services, the executor and the HTTP server, put together."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

try:
    import cheroot  # noqa: F401 - only to tell at once that it is missing
    import cloudpickle  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("cheroot", "cloudpickle"):
        raise
    raise ModuleNotFoundError(
        f"the devbox needs {error.name}: pip install 'flyte_lite[devbox]'", name=error.name
    ) from error

from flyte_lite.devbox._declare import Declaration, declared_in, loaded
from flyte_lite.devbox._deployments import Deployments
from flyte_lite.devbox.calls import Calls
from flyte_lite.devbox.clock import DevboxClock
from flyte_lite.devbox.defects import Defects
from flyte_lite.devbox.executor import Executor
from flyte_lite.devbox.faults import Faults
from flyte_lite.devbox.guard import DEFAULT_HEADER, Authority, Guard, checked_header
from flyte_lite.devbox.issuer.issuer import Issuer
from flyte_lite.devbox.limits import Limits
from flyte_lite.devbox.notifications import Notification, Notifier, recorded
from flyte_lite.devbox.object_store import ObjectStore
from flyte_lite.devbox.server import HttpServer
from flyte_lite.devbox.services import rpcs
from flyte_lite.devbox.state import State
from flyte_lite.devbox.state.actions import ROOT, ActionKey
from flyte_lite.devbox.state.tasks import TaskKey
from flyte_lite.devbox.tls import server_context
from flyte_lite.devbox.wsgi import Application

if TYPE_CHECKING:
    from flyte_lite.idl.flyteidl2.task import task_definition_pb2

    F = TypeVar("F", bound=Callable[..., Any])

PROJECT = "flytesnacks"
DOMAIN = "development"


class Devbox:
    """A Flyte server in this process, with real runs of Python functions.

        with Devbox() as box:
            @box.task(name="greetings.hello", version="v1")
            def hello(name: str) -> str:
                return f"hello {name}"

            client = flyte_lite.Client(endpoint=box.endpoint, project="flytesnacks", domain="development")

    It starts as the real one does, with the project `flytesnacks` and the domains development, staging and production.
    Everything is in memory and gone when it is closed, unless `state` names a folder. Each attempt of a task runs in an
    interpreter of its own, which gets the function by value, with what it uses of its module; other modules are
    imported there from the same path. Its environment tells it `RUN_NAME`, `ACTION_NAME` and `FLYTE_ATTEMPT_NUMBER`
    (from 0). Nobody has to sign in, so keep it on an address that only you can reach.

    With `auth=True` nobody calls without a token, and the devbox gives them out itself, at `issuer`: to a program that
    has its secret, and to people, who say who they are on a page of it (that is not checked). So it shows whether a
    client signs in as it should; it still is no place for what others must not see. With `auth=ExternalIssuer(...)` it
    takes the tokens of an identity provider of yours.

    A task writes its report with `flyte_lite.devbox.report`. Links to reports name the host that the caller used, and
    are signed as S3's are. Notifications are never sent; `notifications` shows them.

    With a folder, whatever was answered is there again for the next devbox, also if this one is killed: projects, tasks
    with their functions, runs, outputs, logs, what is cached. (If the machine itself loses power, the last seconds may
    be missing.) Runs that waited are taken up in their order. An attempt that was interrupted is repeated if the task
    allows retries, with a log of its own; otherwise the run FAILED, by fault of the system, with the reason, and what
    it had called and had not ended is ABORTED. One devbox at a time can have a folder, on a disk of this machine;
    workers run the functions that are kept there, so let nobody else write to it.

    What a task starts ends with its attempt, and with the devbox however that ends, unless it leaves the task's process
    group (`setsid`, a daemon): such a process lives on, and its output is no longer read a second after the attempt.

    Args:
        host: The address to listen on, and no other.
        port: 0 is any free one.
        workers: How many attempts may run at a time, beside those that wait for tasks they have called; None is the
            number of processors, but at least 2.
        state: The folder to keep everything in; it is made if it is not there. None keeps it in memory.
        certificate: The PEM file of the certificate to speak TLS with, and nothing else on this port; with those
            between it and its root. None speaks plain http. `mkcert 127.0.0.1 localhost` makes both; the official SDK
            takes none that vouches for itself.
        private_key: The PEM file of its key, not encrypted; None if it is in the same file.
        auth: Whose tokens callers need: True is the devbox's own, False is nobody's, or an `ExternalIssuer`.
        auth_header: The header that brings them, such as "flyte-authorization". The others are not looked at.

    Attributes:
        clock: The time that it tells and measures limits in; a test may stop it and move it on.
        defects: What is wrong with the real server's executor; a test may switch it on.
        faults: What is to go wrong with calls: `box.faults.on("RunService/CreateRun").fail("unavailable", times=2)`.
        calls: What was asked and answered: `box.calls.of("RunService/CreateRun")[-1].request`.

    Raises:
        DevboxStateError: The folder can't be used, or another devbox has it.
        TypeError: `auth` is something else.
        ValueError: `workers` is less than 1, `auth_header` is none, or the certificate and its key can't be used.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        workers: Optional[int] = None,
        state: Optional[Union[str, Path]] = None,
        certificate: Optional[Union[str, Path]] = None,
        private_key: Optional[Union[str, Path]] = None,
        auth: Union[bool, Authority] = False,
        auth_header: str = DEFAULT_HEADER,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        checked_header(auth_header)
        if not (isinstance(auth, bool) or hasattr(auth, "identity")):
            raise TypeError(f"auth must be True, False or an ExternalIssuer, not {type(auth).__name__}")
        self._tls = server_context(certificate, private_key)
        self.clock = DevboxClock()
        self.defects = Defects()
        self._state = State(self.clock, None if state is None else Path(state).expanduser().absolute())
        self._executor = Executor(self._state, self.clock, workers or max(2, os.cpu_count() or 2), self.defects)
        self._state.actions.listen(Notifier(self._state).reached)
        store = ObjectStore(self._state)
        self._issuer = Issuer(self._state, lambda: self.endpoint) if auth is True else None
        authority = self._issuer if isinstance(auth, bool) else auth
        guard = None if authority is None else Guard(authority, auth_header)
        served = rpcs(self._state, self._executor, store, guard)
        self.faults = Faults(served)
        self.calls = Calls({rpc.name for rpc in served.values()})
        self._application = Application(served, self.faults, self.calls, store, guard)
        self._server = HttpServer(host, port, self._application, self._tls)
        self._address: Optional[tuple[str, int]] = None
        self._closed = False
        self._early: list[Callable[[], object]] = []
        self._deployments = Deployments(self._state)

    @property
    def endpoint(self) -> str:
        """Where it listens, such as "http://127.0.0.1:41234", or https:// with a certificate.

        Raises:
            RuntimeError: It was not started, or is closed.
        """
        if self._address is None:
            raise RuntimeError("this devbox is not running: use it in a `with`, or call start() first")
        host, port = self._address
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def issuer(self) -> Issuer:
        """Who gives tokens for it.

        Raises:
            RuntimeError: It was not made with `auth=True`.
        """
        if self._issuer is None:
            raise RuntimeError("this devbox gives no tokens: make it with Devbox(auth=True)")
        return self._issuer

    def start(self) -> None:
        """Listen from now on.

        Raises:
            OSError: The address can't be had.
            RuntimeError: It was started before.
        """
        if self._address is not None or self._closed:
            raise RuntimeError("a devbox can be started only once")
        # What tasks use may have been defined below them; by now it is.
        for deploy in self._early:
            deploy()
        self._early.clear()
        self._address = self._server.start()
        # Not before: it may cost attempts, and the address may be taken.
        self._executor.restart()
        if self._state.folder is not None:
            self._state.folder.tell(f"process {os.getpid()}, which listens at {self.endpoint}")

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Be out of reach: nobody listens at the endpoint meanwhile, and connections that are open are closed.

            with box.outage():
                time.sleep(5)   # whoever waits for a run has to come back

        All else goes on: tasks run, their lines are kept, the clock shows the time. (A devbox that is closed and made
        again on its folder and port is another matter: that ends the attempts that run, see above.)

        Raises:
            OSError: Afterwards, if the port was given to somebody else meanwhile.
            RuntimeError: It was not started, or is closed.
        """
        if self._address is None:
            raise RuntimeError("this devbox is not running")
        self._server.stop()
        try:
            yield
        finally:
            if not self._closed:
                self._server = HttpServer(*self._address, self._application, self._tls)
                self._server.start()

    def reset(self) -> None:
        """Begin anew, as between two tests: what runs is killed, and everything that came over the wire is forgotten.

        Tasks that were deployed from Python, by `task` and `deploy`, are there again, as if just deployed; so is the
        project. The clock shows the real time, no defect and no fault is on, `calls` is empty, no token is good and the
        terms of `issuer` are as at first; its program has the same secret. The server goes on, with the same endpoint
        and connections; streams end within half a second, for what they watched is gone.

        Raises:
            RuntimeError: It was not started, or is closed.
        """
        if self._address is None:
            raise RuntimeError("this devbox is not running")
        self._executor.reset(self._begin)
        self._application.end_streams()

    def close(self) -> None:
        """Stop listening, kill what runs, forget what is in memory: two seconds at most. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._address is not None:
            self._address = None
            self._server.stop()
        self._executor.close()
        self._state.close()

    def __enter__(self) -> Devbox:
        """Start it; if that fails, it is closed."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Close it."""
        self.close()

    def task(
        self,
        *,
        name: str = "",
        version: str = "",
        retries: int = 0,
        timeout: Optional[Union[float, timedelta]] = None,
        queued_timeout: Optional[Union[float, timedelta]] = None,
        deadline: Optional[Union[float, timedelta]] = None,
        memory: Optional[Union[int, str]] = None,
        cache: Union[bool, str] = False,
        project: str = PROJECT,
        domain: str = DOMAIN,
    ) -> Callable[[F], F]:
        """Deploy a function as a task; the function itself stays as it is. A version that is there is overwritten.

        Where the function of another task calls this one, that is an action of the run; see `flyte_lite.devbox`.

        Args:
            name: Such as "greetings.hello"; by default the last part of the module's name, a dot, and the function's
                name.
            version: By default "v" and eight hexadecimal digits made of the function's source.
            retries: Attempts beside the first one.
            timeout: Seconds, or a timedelta, for each attempt; None is no limit.
            queued_timeout: Seconds, or a timedelta, that it may wait for a free worker.
            deadline: Seconds, or a timedelta, from being queued to the end, for all attempts together.
            memory: What it may take beside what Python itself needs, such as "512Mi" or a number of bytes; beyond that
                is a MemoryError in the task. Only where the system can limit it (not on macOS).
            cache: True keeps outputs by version and inputs; a text does so by that text, for all versions that name it.
            project: Where to; it must exist.
            domain: Where to.

        Raises:
            LiteralError: The interface can't be told from the annotations.
            TypeError: The function can't be sent to another process.
            ValueError: `retries` is negative, a limit is not above 0, or there is no such project.
        """
        limits = Limits.declared(timeout, queued_timeout, deadline, memory)
        declared = Declaration.of(name, version, retries, limits, cache)

        def deploy(function: F) -> F:
            self._deployments.deploy(function, declared, project, domain)
            if self._address is None:
                self._early.append(lambda: self._deployments.deploy(function, declared, project, domain))
            return function

        return deploy

    def deploy(self, what: Union[ModuleType, str, Path], *, project: str = PROJECT, domain: str = DOMAIN) -> list[str]:
        """Deploy the tasks that a module or a file declares with `@flyte_lite.devbox.task(...)`.

        Args:
            what: A module, the name of one, or the path of a Python file. A file is run here; the modules beside it
                can be imported, here and in workers.
            project: Where to; it must exist.
            domain: Where to.

        Returns:
            Name and version of each, as "greetings.hello:v1".

        Raises:
            FileNotFoundError: There is no such file.
            LiteralError: An interface can't be told from the annotations.
            TypeError: A function can't be sent to another process.
            ValueError: No tasks are declared there, or there is no such project.
        """
        if isinstance(what, str) and not what.endswith(".py") and os.sep not in what:
            what = importlib.import_module(what)
        if isinstance(what, ModuleType):
            return [
                _called(self._deployments.deploy(function, declared, project, domain))
                for function, declared in declared_in(what)
            ]
        file = Path(what)
        with loaded(file) as module:
            folder = str(file.parent.resolve())
            return [
                _called(self._deployments.deploy(function, declared, project, domain, file.stem, folder))
                for function, declared in declared_in(module)
            ]

    def spec(self, task: str, *, project: str = PROJECT, domain: str = DOMAIN) -> task_definition_pb2.TaskSpec:
        """What clients are told of a task that was deployed from Python: its interface, its defaults, its limits.

        Args:
            task: Name and version, as `deploy` gives them: "greetings.hello:v1".
            project: Of the task.
            domain: Of the task.

        Raises:
            KeyError: Nothing was deployed by that name.
        """
        name, _, version = task.rpartition(":")
        return self._deployments.spec(TaskKey(project, domain, name, version))

    def logs(
        self,
        run_name: str,
        action: str = ROOT,
        attempt: Optional[int] = None,
        *,
        project: str = PROJECT,
        domain: str = DOMAIN,
    ) -> list[str]:
        """What an action has written to stdout and stderr so far, line by line.

        Args:
            run_name: The run.
            action: The action; by default the run's root.
            attempt: Which attempt, from 1; None is all of them, in order.
            project: Of the run.
            domain: Of the run.
        """
        return [line.text for line in self._state.logs.of(ActionKey(project, domain, run_name, action), attempt)]

    @property
    def notifications(self) -> list[Notification]:
        """What a Flyte that sends notifications would have sent, oldest first. Nothing is sent from here."""
        return recorded(self._state)

    def _begin(self) -> None:
        self.clock.reset()
        self.defects.reset()
        self.faults.clear()
        self.calls.clear()
        with self._state.database.transaction():
            self._state.clear()
            self._deployments.restore()
            if self._issuer is not None:
                self._issuer.reset()


def _called(key: TaskKey) -> str:
    return f"{key.name}:{key.version}"
