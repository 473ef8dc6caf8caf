"""What an attempt left in the object store: its report, and the code that it ran from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Optional, Union

from flyte_lite import errors
from flyte_lite._clock import Deadline
from flyte_lite._session import Session
from flyte_lite.errors import Code, CodeBundleError, NotFoundError
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2
from flyte_lite.models import ActionPhase, CodeBundle
from flyte_lite.remote import _attempts
from flyte_lite.remote._action_details import called, get_details
from flyte_lite.remote._code import bundle_of
from flyte_lite.remote._waiting import PATIENCE, check_lengths

if TYPE_CHECKING:
    from flyte_lite._http.answer import OpenAnswer

MOST_REPORT = 64 * 1024 * 1024
"""Bytes of a report that are taken."""
MOST_CODE = 4 * 1024 * 1024 * 1024
"""Bytes of a code bundle that are taken, packed as it comes."""


class HasArtifacts(ABC):
    """What leaves things in the object store: an action, and a run, whose things are those of its root action."""

    _session: Session

    @property
    @abstractmethod
    def _step(self) -> run_definition_pb2.Action:
        """The message of the action."""

    def get_report(self, attempt: Optional[int] = None) -> str:
        """The report that the task wrote, as HTML.

        Args:
            attempt: From 1; None is the newest one.

        Raises:
            ValueError: `attempt` is below 1.
            NotFoundError: There is none; it says why, as far as that is known.
            PermissionDeniedError: The object store does not give it out, also with a new address.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.dataproxy.DataProxyService/CreateDownloadLink
        """
        # Not everybody downloads.
        from flyte_lite.remote._downloads import REPORT, download

        _attempts.check(attempt)
        session, step = self._session, self._step
        deadline = session.deadline()
        name = called(step.id)
        if attempt is None:
            details = _attempts.ended(step) or get_details(session, step.id, deadline)
            attempt = _attempts.newest(details)
            if not attempt:
                phase = ActionPhase.from_protobuf(details.status.phase)
                raise NotFoundError(f"{name} has no report: it is {phase}, and was not begun", Code.NOT_FOUND)
        try:
            return download(session, REPORT, step.id, attempt, deadline, {"accept-encoding": "gzip"}, _text)
        except NotFoundError as error:
            error.message = (
                f"{name} has no report of attempt {attempt}: only a task with report=True writes one, when it is done "
                f"with it ({error.message})"
            )
            error.args = (error.message,)
            raise

    def download_code(
        self,
        dest: Union[str, Path, None] = None,
        extract: bool = True,
        attempt: Optional[int] = None,
        *,
        timeout: Optional[float] = 300.0,
    ) -> Path:
        """Download the code that the action ran from.

            code = run.download_code("./code")
            print((code / "main.py").read_text())

        Args:
            dest: The folder for it, made if it is not there; files that are there are replaced, others stay. None is
                one of the run's name in the working directory.
            extract: Unpack it. A pickled function is never unpacked.
            attempt: From 1; None is the newest one.
            timeout: Seconds for all of it; None has no end.

        Returns:
            The folder; the file that was downloaded, if it was not unpacked.

        Raises:
            ValueError: An argument is not what it may be.
            CodeBundleError: There is no bundle, the server does not give it out, or it can't be unpacked safely. Then
                nothing in the folder was changed.
            CallError: See `flyte_lite.errors`.

        RPC:
            flyteidl2.dataproxy.DataProxyService/CreateDownloadLink
        """
        _attempts.check(attempt)
        check_lengths(timeout, None, PATIENCE)
        session, step = self._session, self._step
        deadline = Deadline(session.clock, timeout, session.cancel)
        folder = Path(dest) if dest is not None else Path.cwd() / step.id.run.name
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"dest is {folder}, which is no folder")
        details = get_details(session, step.id, deadline)
        bundle = bundle_of(details.task)
        if bundle is None:
            raise CodeBundleError(f"{called(step.id)} has no code bundle: its code is in its image")
        attempt = attempt or max(1, _attempts.newest(details))
        there = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._fetch_code(bundle, folder, extract, attempt, deadline)
        except BaseException:
            if not there and not any(folder.iterdir()):
                folder.rmdir()
            raise

    def _fetch_code(self, bundle: CodeBundle, folder: Path, extract: bool, attempt: int, deadline: Deadline) -> Path:
        from flyte_lite.remote._archives import aside, unpack
        from flyte_lite.remote._downloads import CODE_BUNDLE, download

        uri = bundle.tgz or bundle.pkl or ""
        action = self._step.id
        with aside(folder) as made:
            packed = made / "bundle"
            try:
                # As it lies there: it is packed already, whatever the store says of its encoding.
                headers = {"accept-encoding": "identity"}
                download(self._session, CODE_BUNDLE, action, attempt, deadline, headers, partial(_save, packed))
            except (errors.InvalidArgumentError, errors.UnimplementedError, NotFoundError) as error:
                raise CodeBundleError(
                    f"the server does not give out the code of {called(action)}. It lies at {uri}, for those who may "
                    f"read the object store ({error.message})"
                ) from error
            if extract and bundle.tgz:
                unpack(packed, folder)
                return folder
            return packed.replace(folder / _name_in(uri))


def _name_in(uri: str) -> str:
    name = PurePosixPath(uri.partition("?")[0].partition("#")[0].replace("\\", "/")).name
    return name if name.strip(".") else "code"


def _text(answer: OpenAnswer) -> str:
    from flyte_lite._rpc.protocol import unpacked, unpacking

    headers = answer.headers
    body = unpacked(answer.read(MOST_REPORT), unpacking(headers, "content-encoding"), headers, MOST_REPORT)
    return body.decode("utf-8", "replace")


def _save(path: Path, answer: OpenAnswer) -> None:
    size = 0
    with path.open("wb") as file:
        while piece := answer.read_some():
            size += len(piece)
            if size > MOST_CODE:
                raise errors.AnswerTooLargeError(f"the code bundle is over the limit of {MOST_CODE} bytes")
            file.write(piece)
