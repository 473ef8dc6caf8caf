"""Secrets that a task is given: which, and where it finds them. Their values stay on the server."""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePath, PurePosixPath
from typing import Optional, Union

__all__ = ["Secret"]

MOUNT = "/etc/flyte/secrets"
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


@dataclasses.dataclass
class Secret:
    """A secret that a task is given, in an environment variable or in a file.

    Args:
        key: Name of the secret.
        group: Where the store keeps secrets in groups; None has none.
        mount: "/etc/flyte/secrets" puts it into a file there; None puts it into a variable.
        as_env_var: The variable; None makes it of group and key: `my-key` is in `MY_KEY`.

    Raises:
        ValueError: The key is empty, the folder is another one, or the variable's name is none.
    """

    key: str
    group: Optional[str] = None
    mount: Union[PurePath, str, None] = None
    as_env_var: Optional[str] = None

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not self.key:
            raise ValueError(f"key is {self.key!r}; give the name of a secret")
        if self.mount is not None:
            self.mount = PurePosixPath(self.mount.as_posix() if isinstance(self.mount, PurePath) else self.mount)
            if str(self.mount) != MOUNT:
                raise ValueError(f'secret {self.key}: mount is "{self.mount}"; files of secrets are only in "{MOUNT}"')
        elif self.as_env_var is None:
            self.as_env_var = (f"{self.group}_{self.key}" if self.group else self.key).replace("-", "_").upper()
        if self.as_env_var is not None and not _VARIABLE.fullmatch(self.as_env_var):
            raise ValueError(
                f"secret {self.key}: {self.as_env_var!r} can't be a variable's name, which has capital letters, digits "
                "and underscores and does not begin with a digit; give another as_env_var"
            )

    def stable_hash(self) -> str:
        """A hash of what it says, in hexadecimal, the same in each process."""
        import hashlib

        parts = (self.key, self.group or "", str(self.mount or ""), self.as_env_var or "")
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    def __hash__(self) -> int:
        return int(self.stable_hash()[:16], 16)
