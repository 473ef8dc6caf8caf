"""What can be said of a launch, and what can't."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from flyte_lite._launch.names import LONGEST, NAME
from flyte_lite._literals.misfit import show
from flyte_lite.errors import OptionError

if TYPE_CHECKING:
    from flyte_lite.notify import NamedRule, Notification

    Notifications = Union[NamedRule, Notification, tuple[Notification, ...], list[Notification]]

CACHE_SCOPES = {"global": 1, "project-domain": 2}

_TEXTS = (
    "name",
    "idempotency_key",
    "project",
    "domain",
    "service_account",
    "queue",
    "raw_data_path",
    "run_base_dir",
    "log_format",
)
_FLAGS = ("interruptible", "overwrite_cache", "reset_root_logger", "debug", "dry_run")
_LEVELS = ("log_level", "user_log_level")
_PAIRS = ("labels", "annotations", "env_vars", "custom_context")

_COPY_STYLES = ("loaded_modules", "all", "none")


class Options(NamedTuple):
    """Options of a launch; see `with_runcontext`."""

    name: Optional[str] = None
    idempotency_key: Optional[str] = None
    project: Optional[str] = None
    domain: Optional[str] = None
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    env_vars: Mapping[str, str] = {}
    interruptible: Optional[bool] = None
    overwrite_cache: bool = False
    cache_lookup_scope: str = "global"
    service_account: Optional[str] = None
    queue: Optional[str] = None
    raw_data_path: Optional[str] = None
    run_base_dir: Optional[str] = None
    max_action_concurrency: Optional[int] = None
    custom_context: Mapping[str, str] = {}
    log_level: Optional[int] = None
    log_format: str = "console"
    user_log_level: Optional[int] = None
    reset_root_logger: bool = False
    debug: bool = False
    notifications: Optional[Notifications] = None
    dry_run: bool = False

    def __repr__(self) -> str:
        """Which are set. Values of variables and of notifications may be secrets, so only their names are told."""
        defaults = Options()
        told = []
        for option, default, value in zip(self._fields, defaults, self):
            if value == default:
                continue
            if option == "notifications":
                told.append(option)
            elif isinstance(value, Mapping):
                told.append(f"{option}: {', '.join(map(str, value))}")
            else:
                told.append(f"{option}={value!r}")
        return "; ".join(told)

    def check(self) -> None:
        """Find what the server would refuse, or take for something else, before anything is sent.

        Raises:
            OptionError: An option is not what it must be.
        """
        self._check_kinds()
        if self.name is not None and self.idempotency_key is not None:
            raise OptionError("give name= or idempotency_key=, not both: the key makes the name")
        if self.name is not None and (len(self.name) > LONGEST or not NAME.fullmatch(self.name)):
            raise OptionError(
                f"run name {self.name[:60]!r} ({len(self.name)} characters) is not one: it needs 1 to {LONGEST} "
                "lower-case letters, digits and dashes, a letter first and no dash last"
            )
        if self.idempotency_key is not None and not self.idempotency_key:
            raise OptionError("idempotency_key is empty; give a text that is the same for each try of the same launch")
        if self.cache_lookup_scope not in CACHE_SCOPES:
            raise OptionError(
                f"cache_lookup_scope is {self.cache_lookup_scope!r}; it is one of {', '.join(CACHE_SCOPES)}"
            )
        if self.max_action_concurrency == 1 or not 0 <= (self.max_action_concurrency or 0) < 2**32:
            raise OptionError("max_action_concurrency counts parents too, so it must be 2 or more; None sets no limit")

    def _check_kinds(self) -> None:
        for option in _TEXTS:
            text = getattr(self, option)
            if text is not None and not _is_text(text):
                raise OptionError(f"{option} is {show(text)}; give a text")
        for option in _FLAGS:
            if getattr(self, option) not in (True, False, None):
                raise OptionError(f"{option} is {show(getattr(self, option))}; give True or False")
        for option in (*_LEVELS, "max_action_concurrency"):
            if not isinstance(getattr(self, option), (int, type(None))):
                raise OptionError(f"{option} is {show(getattr(self, option))}; give an int")
        for option in _PAIRS:
            pairs = getattr(self, option)
            if not isinstance(pairs, Mapping):
                raise OptionError(f"{option} is {type(pairs).__name__}; give a dict of texts")
            for key, value in pairs.items():
                if not _is_text(key) or not _is_text(value):
                    # The value of a variable may be a password.
                    what = "no text that can be sent" if isinstance(value, str) else type(value).__name__
                    raise OptionError(f"{option}[{key!r}] is {what}; names and values are text")


def check_unused(
    *,
    mode: Optional[str],
    version: Optional[str],
    copy_style: str,
    copy_bundle_to: object,
    run_start_time: object,
    preserve_original_types: bool,
) -> None:
    """Look at options that say nothing of a deployed task: refuse those whose silence would surprise.

    Raises:
        OptionError: One of them can't be had here, or is not what it must be.
    """
    if mode not in (None, "remote"):
        raise OptionError(f'mode is {mode!r}; flyte_lite only launches deployed tasks, so only "remote" is known')
    if version is not None and not isinstance(version, str):
        raise OptionError(f"version is {show(version)}; give a text")
    if copy_style not in _COPY_STYLES:
        raise OptionError(f"copy_style is {copy_style!r}; it is one of {', '.join(_COPY_STYLES)}, and has no effect")
    if copy_bundle_to is not None:
        raise OptionError("copy_bundle_to is given, but a deployed task has its code on the server: no bundle is made")
    if run_start_time is not None and not isinstance(run_start_time, datetime.datetime):
        raise OptionError(f"run_start_time is {show(run_start_time)}; give a datetime.datetime")
    if preserve_original_types:
        raise OptionError(
            "preserve_original_types is True, but outputs() gives data frames as references; leave it out, and ask for "
            "your own classes with typed_outputs()"
        )


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character, as undecodable file names have
        return False
    return True
