"""Signed addresses, as S3 has them: AWS Signature Version 4 in the query. Pure.

A signed address is good for one method, one object and the headers it names, until it expires. Whoever has it needs
nothing else, so its signature is a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
REGION = "us-east-1"
# Seconds: S3 takes no address that is good for longer than a week.
LONGEST = 7 * 24 * 3600
# Seconds that a signer's clock may be ahead.
AHEAD = 15 * 60

_TIME = "%Y%m%dT%H%M%SZ"
_NEEDED = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_MARK = b"X-Amz-Signature="
_SECRET = re.compile(b"(" + _MARK + b")[0-9a-f]{64}")


class Credentials(NamedTuple):
    """Who signs.

    Attributes:
        id: Public; it is part of each address.
        secret: Known to the signer and the store.
    """

    id: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Credentials(id={self.id!r})"


class SignatureRefused(Exception):
    """An address that S3 would not take.

    Attributes:
        status: Of HTTP.
        code: S3's name for it.
        details: What else S3 tells, by name.
    """

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details


def signed(
    credentials: Credentials, method: str, url: str, seconds: int, now: float, headers: Mapping[str, str] = {}
) -> str:
    """`url` with a signature.

    Args:
        credentials: Who signs.
        method: The one that it is good for.
        url: Scheme, host and path; the path is escaped.
        seconds: How long it is good.
        now: Seconds since 1970.
        headers: Those that must be sent exactly so, beside `Host`.
    """
    parts = urlsplit(url)
    at = datetime.fromtimestamp(int(now), timezone.utc)
    names = {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}}
    query = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.id}/{_scope(at)}",
        "X-Amz-Date": at.strftime(_TIME),
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(sorted(names)),
    }
    signature = _signature(credentials, method, parts.path, query, names, at)
    return f"{url}?{_written(query)}&X-Amz-Signature={signature}"


def check(credentials: Credentials, method: str, path: str, query: str, headers: Mapping[str, str], now: float) -> None:
    """Refuse a request that is not as it was signed.

    Args:
        credentials: Who must have signed.
        method: Of the request.
        path: As it came, escaped.
        query: The same.
        headers: By lower-case name.
        now: Seconds since 1970.

    Raises:
        SignatureRefused: It is not signed, not by them, not for this, or not any more.
    """
    given = dict(parse_qsl(query, keep_blank_values=True))
    if "X-Amz-Signature" not in given and "X-Amz-Algorithm" not in given:
        raise SignatureRefused(403, "AccessDenied", "Access Denied")
    if any(f"X-Amz-{name}" not in given for name in _NEEDED):
        raise _malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature,"
            " X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise _malformed(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    at, expires = _date(given["X-Amz-Date"]), _seconds(given["X-Amz-Expires"])
    id, _, scope = given["X-Amz-Credential"].partition("/")
    if id != credentials.id:
        raise SignatureRefused(
            403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
        )
    if scope != _scope(at):
        raise _malformed("Error parsing the X-Amz-Credential parameter; the scope is not of this store and day.")
    _check_time(at, expires, now)
    names = {name: " ".join(headers.get(name, "").split()) for name in given["X-Amz-SignedHeaders"].split(";")}
    signature = given.pop("X-Amz-Signature")
    expected = _signature(credentials, method, path, given, names, at)
    if "host" not in names or not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureRefused(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and"
            " signing method.",
        )


def hidden(data: bytes) -> bytes:
    """`data`, a message as bytes for instance, with dots for the signatures in it; as long as it was."""
    return _SECRET.sub(rb"\1" + b"." * 64, data) if _MARK in data else data


def _malformed(message: str) -> SignatureRefused:
    return SignatureRefused(400, "AuthorizationQueryParametersError", message)


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        raise _malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"") from None


def _seconds(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        raise _malformed("X-Amz-Expires should be a number")
    if int(text) < 0:
        raise _malformed("X-Amz-Expires must be non-negative")
    if int(text) > LONGEST:
        raise _malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than"
            f" {LONGEST} seconds"
        )
    return int(text)


def _check_time(at: datetime, expires: int, now: float) -> None:
    # Numbers, because any year may be written there.
    if now < at.timestamp() - AHEAD:
        raise SignatureRefused(403, "AccessDenied", "Request is not yet valid")
    if now >= at.timestamp() + expires:
        end, present = at + timedelta(seconds=expires), datetime.fromtimestamp(now, timezone.utc)
        raise SignatureRefused(
            403,
            "AccessDenied",
            "Request has expired",
            **{"X-Amz-Expires": str(expires), "Expires": _iso(end), "ServerTime": _iso(present)},
        )


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _scope(at: datetime) -> str:
    return f"{at:%Y%m%d}/{REGION}/s3/aws4_request"


def _written(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))


def _signature(
    credentials: Credentials,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    at: datetime,
) -> str:
    lines = [f"{name}:{value}\n" for name, value in sorted(headers.items())]
    request = "\n".join((method, path, _written(query), "".join(lines), ";".join(sorted(headers)), "UNSIGNED-PAYLOAD"))
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in _scope(at).split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join((ALGORITHM, at.strftime(_TIME), _scope(at), digest))
    return hmac.digest(key, text.encode(), "sha256").hex()
