"""What the devbox's issuer has given out. Of codes and refresh tokens only hashes are kept, of access tokens a number.

Whatever comes of one sign-in belongs to it, and goes with it when it is revoked.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from flyte_lite.devbox.state.database import Database

WAITING, ALLOWED, DENIED, USED = range(4)


class SignIn(NamedTuple):
    """Somebody has signed in, or a program has.

    Attributes:
        number: Which one.
        client: What it was done with.
        subject: Who did.
        scope: What was allowed, with spaces between.
        grant: The `grant_type` of its first token.
        revoked: Whether it has been ended.
    """

    number: int
    client: str
    subject: str
    scope: str
    grant: str
    revoked: bool


class Access(NamedTuple):
    """An access token.

    Attributes:
        sign_in: Which one it comes of.
        expires_at: When it is over.
        revoked: Whether it has been ended, or its sign-in.
    """

    sign_in: int
    expires_at: int
    revoked: bool


class Refresh(NamedTuple):
    """A refresh token.

    Attributes:
        sign_in: Which one it comes of.
        expires_at: When it is over.
        used_at: When it was exchanged; None if it was not.
    """

    sign_in: int
    expires_at: int
    used_at: Optional[int]


class Code(NamedTuple):
    """An authorization code.

    Attributes:
        sign_in: Which one it stands for.
        redirect_uri: Where it was sent to.
        challenge: The hash of what its client must know.
        expires_at: When it is over.
        used: Whether it was exchanged.
    """

    sign_in: int
    redirect_uri: str
    challenge: str
    expires_at: int
    used: bool


class Device(NamedTuple):
    """A device code.

    Attributes:
        user_code: What a person types in.
        client: Who asked for it.
        scope: What for.
        expires_at: When it is over.
        decision: WAITING, ALLOWED, DENIED or USED.
        sign_in: What came of it; 0 is nothing.
    """

    user_code: str
    client: str
    scope: str
    expires_at: int
    decision: int
    sign_in: int


_DEVICE = "user_code, client, scope, expires_at, decision, sign_in"


class SignIns:
    """The tables of the issuer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issuer(self) -> Optional[tuple[str, bytes]]:
        """The issuer's name and its key; None before the first one."""
        row = self._database.one("SELECT name, secret FROM issuer")
        return None if row is None else (row[0], bytes(row[1]))

    def keep_issuer(self, name: str, key: bytes) -> None:
        """Store its name and its key, once."""
        self._database.run("INSERT INTO issuer (name, secret) VALUES (?, ?)", (name, key))

    def begin(self, client: str, subject: str, scope: str, grant: str) -> int:
        """A new one; its number."""
        with self._database.transaction() as connection:
            number = connection.execute(
                "INSERT INTO sign_in (client, subject, scope, grant_type, revoked) VALUES (?, ?, ?, ?, 0)",
                (client, subject, scope, grant),
            ).lastrowid
        assert number is not None
        return number

    def get(self, number: int) -> SignIn:
        """That sign-in, which must be there."""
        row = self._database.one(
            "SELECT number, client, subject, scope, grant_type, revoked FROM sign_in WHERE number = ?", (number,)
        )
        assert row is not None
        return SignIn._make((*row[:5], bool(row[5])))

    def revoke(self, number: Optional[int] = None) -> None:
        """End a sign-in, and with it all that came of it; None is all of them."""
        self._database.run("UPDATE sign_in SET revoked = 1 WHERE ? IS NULL OR number = ?", (number, number))

    def add_access(self, id: str, access: Access) -> None:
        """Keep an access token."""
        self._database.run(
            "INSERT INTO access_token (id, sign_in, expires_at, revoked) VALUES (?, ?, ?, ?)", (id, *access)
        )

    def access(self, id: str) -> Optional[Access]:
        """The access token of that number; None if it is not known (any more)."""
        row = self._database.one(
            "SELECT sign_in, expires_at, access_token.revoked OR sign_in.revoked FROM access_token"
            " JOIN sign_in ON sign_in.number = access_token.sign_in WHERE id = ?",
            (id,),
        )
        return None if row is None else Access(row[0], row[1], bool(row[2]))

    def revoke_access(self, id: str) -> None:
        """End one access token."""
        self._database.run("UPDATE access_token SET revoked = 1 WHERE id = ?", (id,))

    def expire_access(self, now: int) -> None:
        """Let every access token be over."""
        self._database.run("UPDATE access_token SET expires_at = ? WHERE expires_at > ?", (now, now))

    def add_refresh(self, hash: bytes, refresh: Refresh) -> None:
        """Keep a refresh token."""
        self._database.run(
            "INSERT INTO refresh_token (hash, sign_in, expires_at, used_at) VALUES (?, ?, ?, ?)", (hash, *refresh)
        )

    def refresh(self, hash: bytes) -> Optional[Refresh]:
        """The refresh token of that hash."""
        row = self._database.one("SELECT sign_in, expires_at, used_at FROM refresh_token WHERE hash = ?", (hash,))
        return None if row is None else Refresh._make(row)

    def use_refresh(self, hash: bytes, now: int) -> None:
        """Say that it was exchanged."""
        self._database.run("UPDATE refresh_token SET used_at = ? WHERE hash = ? AND used_at IS NULL", (now, hash))

    def add_code(self, hash: bytes, code: Code) -> None:
        """Keep an authorization code."""
        self._database.run(
            "INSERT INTO authorization_code (hash, sign_in, redirect_uri, challenge, expires_at, used)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (hash, *code),
        )

    def code(self, hash: bytes) -> Optional[Code]:
        """The authorization code of that hash."""
        row = self._database.one(
            "SELECT sign_in, redirect_uri, challenge, expires_at, used FROM authorization_code WHERE hash = ?", (hash,)
        )
        return None if row is None else Code._make((*row[:4], bool(row[4])))

    def use_code(self, hash: bytes) -> None:
        """Say that it was exchanged."""
        self._database.run("UPDATE authorization_code SET used = 1 WHERE hash = ?", (hash,))

    def add_device(self, hash: bytes, device: Device) -> bool:
        """Keep a device code; False if another one has its user code."""
        return bool(
            self._database.run(
                f"INSERT OR IGNORE INTO device_code (hash, {_DEVICE}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names of columns
                (hash, *device),
            )
        )

    def device(self, hash: bytes) -> Optional[Device]:
        """The device code of that hash."""
        row = self._database.one(f"SELECT {_DEVICE} FROM device_code WHERE hash = ?", (hash,))  # noqa: S608 - the same
        return None if row is None else Device._make(row)

    def device_of(self, user_code: str) -> Optional[Device]:
        """The same, by what a person types in."""
        row = self._database.one(f"SELECT {_DEVICE} FROM device_code WHERE user_code = ?", (user_code,))  # noqa: S608 - the same
        return None if row is None else Device._make(row)

    def waiting(self, now: int) -> list[Device]:
        """Those that wait for a person, oldest first."""
        rows = self._database.all(
            f"SELECT {_DEVICE} FROM device_code WHERE decision = ? AND expires_at > ? ORDER BY rowid",  # noqa: S608 - the same
            (WAITING, now),
        )
        return [Device._make(row) for row in rows]

    def decide(self, user_code: str, decision: int, sign_in: int = 0) -> None:
        """What has become of a device code.

        Args:
            user_code: Which one.
            decision: ALLOWED, DENIED or USED.
            sign_in: What came of it, if it was allowed; 0 leaves what there is.
        """
        self._database.run(
            "UPDATE device_code SET decision = ?, sign_in = MAX(sign_in, ?) WHERE user_code = ?",
            (decision, sign_in, user_code),
        )

    def forget(self, before: int) -> None:
        """Drop what was over by then, and the sign-ins that have nothing left."""
        with self._database.transaction():
            for table in ("access_token", "refresh_token", "authorization_code", "device_code"):
                self._database.run(f"DELETE FROM {table} WHERE expires_at < ?", (before,))  # noqa: S608 - a name from here
            self._database.run(
                "DELETE FROM sign_in WHERE number NOT IN (SELECT sign_in FROM access_token"
                " UNION SELECT sign_in FROM refresh_token UNION SELECT sign_in FROM authorization_code"
                " UNION SELECT sign_in FROM device_code)"
            )
