"""One TLS policy for whatever we talk to: whom to trust, who we are, and what to say when that fails."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn, Optional, Union

from flyte_lite.errors import ConfigError, TlsError

# What requests and OpenSSL users already set on machines behind a company's own authority; the first one set wins.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

# What OpenSSL calls an answer that is not TLS; the word changes with its version and the first bytes.
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
)
# So it says, or OpenSSL here.
_OTHER_VERSION = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "VERSION_TOO_LOW")
_WANTS_CERTIFICATE = (
    "it may want a client certificate, or another one: give certificate and key (ssl_credentials). Else it may want "
    "ciphers that OpenSSL does not offer here"
)
_HOST_MISMATCH, _ADDRESS_MISMATCH, _NOT_YET_VALID, _EXPIRED = 62, 64, 9, 10  # X509_V_ERR_...
_SELF_SIGNED, _UNKNOWN_AUTHORITY = 18, (2, 19, 20, 21)


Pem = Union[str, bytes, "os.PathLike[str]"]
"""PEM text, or the path of a file that holds it: what has `-----BEGIN` in it is no path."""


class TlsPolicy(NamedTuple):
    """How servers are verified, and how we prove who we are.

    Attributes:
        ca_file: PEM file (or folder of hashed certificates) that is trusted, and nothing else; None looks at
            REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR, then takes certifi's roots.
        verify: False takes any certificate from anybody.
        ca: PEM text of certificates that are trusted, beside those of `ca_file` and nothing else.
        cert: The client's certificate (with those between it and its root), and its key if `key` is None.
        key: The key of `cert`.
        key_password: What the key is encrypted with.
        ssl_context: The caller's own, used as it is; then nothing else may be given. Its sockets get our class, which
            does nothing but keep time and only in our calls. Where a context makes its sockets elsewhere (truststore),
            the deadline holds for each step of the handshake, and a cancel is noticed at the next one.
    """

    ca_file: Optional[str] = None
    verify: bool = True
    ca: Union[str, bytes, None] = None
    cert: Optional[Pem] = None
    key: Optional[Pem] = None
    key_password: Union[str, bytes, None] = None
    ssl_context: Optional[ssl.SSLContext] = None

    def __repr__(self) -> str:
        # The key may stand in here.
        return f"TlsPolicy(ca_file={self.ca_file!r}, verify={self.verify!r}, ...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TLS policy, which may hold a key, is not pickled")

    def for_proxy(self) -> TlsPolicy:
        """The same trust, without our certificate: who passes our bytes on need not know who we are."""
        return self._replace(cert=None, key=None, key_password=None)

    def context(self, default_roots: str, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
        """A client context; `default_roots` is the file to trust if nobody says otherwise.

        Raises:
            ConfigError: Something can't be loaded, or contradicts another; the text says which setting.
        """
        if self.ssl_context is not None:
            return self._their_own(self.ssl_context)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.verify:
            self._load_trusted(context, default_roots, environ)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None:
            _load_client(context, self.cert, self.key, self.key_password)
        elif self.key is not None:
            raise ConfigError("a client key without its certificate proves nothing; give both (ssl_credentials)")
        return context

    def _their_own(self, context: ssl.SSLContext) -> ssl.SSLContext:
        if not isinstance(context, ssl.SSLContext):
            raise ConfigError(f"an SSL context must be an ssl.SSLContext, not {type(context).__name__}")
        if self._replace(ssl_context=None) != TlsPolicy():
            raise ConfigError(
                "an SSL context is used as it is: certificates, and whom to trust (ca_cert_file_path, "
                "insecure_skip_verify), are set on it and not beside it"
            )
        return context

    def _load_trusted(self, context: ssl.SSLContext, default_roots: str, environ: Mapping[str, str]) -> None:
        if self.ca is not None:
            try:
                context.load_verify_locations(cadata=self.ca if isinstance(self.ca, str) else self.ca.decode("ascii"))
            except (ValueError, ssl.SSLError) as error:
                raise ConfigError(f"the CA certificates that were given as text can't be loaded: {error}") from error
            if self.ca_file is None:
                return
        path, origin = self._trusted(environ) or (default_roots, "certifi")
        try:
            if Path(path).is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the CA certificates at {path} (from {origin}) can't be loaded: {error}") from error

    def _trusted(self, environ: Mapping[str, str]) -> Optional[tuple[str, str]]:
        if self.ca_file is not None:
            return self.ca_file, "ca_cert_file_path"
        for variable in _CA_VARIABLES:
            if environ.get(variable):
                return environ[variable], f"the environment variable {variable}"
        return None


def _load_client(context: ssl.SSLContext, cert: Pem, key: Optional[Pem], password: Union[str, bytes, None]) -> None:
    # Errors name the part and never the content. `from None` where OpenSSL's own error may show it.
    with contextlib.ExitStack() as held:
        cert_path = _file(cert, "certificate", b"-----BEGIN CERTIFICATE-----", held)
        key_path = None if key is None else _file(key, "key", b"PRIVATE KEY-----", held)
        try:
            context.load_cert_chain(cert_path, key_path, _ask_nobody if password is None else password)
        except (OSError, ValueError) as error:  # ssl.SSLError is one, too
            reason = getattr(error, "reason", None) or "OpenSSL does not take them"
            hint = "" if password is None else "; is the password of the key right?"
            if reason == "KEY_VALUES_MISMATCH":
                hint = ": the key belongs to another certificate"
            raise ConfigError(
                f"the client certificate and its key (ssl_credentials) can't be loaded ({reason}){hint}"
            ) from None


def _ask_nobody() -> NoReturn:
    # Without this, OpenSSL asks on the terminal and waits.
    raise ConfigError("the client key (ssl_credentials) is encrypted; give its password too, or a key that is not")


def _file(pem: Pem, what: str, mark: bytes, held: contextlib.ExitStack) -> str:
    """The path of a file with `pem` in it, for as long as `held` holds it: OpenSSL takes these from files only."""
    name = f"the client {what} (ssl_credentials)"
    data = pem.encode() if isinstance(pem, str) and "-----BEGIN" in pem else pem
    if isinstance(data, bytes):
        content = data
    else:
        content, reason = b"", ""
        try:
            content = Path(data).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror or "" if isinstance(error, OSError) else "that is no path"
        if reason:
            # Not in the handler: what was taken for a path may be the key, and it would stay with this error.
            raise ConfigError(f"{name} can't be read from {_shown(os.fspath(data))}: {reason}")
    if mark not in content:
        raise ConfigError(f"{name} is no PEM text with '{mark.decode().strip('-')}' in it")
    return _in_memory(data, held) if isinstance(data, bytes) else os.fspath(data)


def _shown(path: str) -> str:
    # What has only base64 in it may be the key itself, without the lines around it.
    bare = re.fullmatch(r"[A-Za-z0-9+=_-][A-Za-z0-9+/=_\s-]{30,}", path)
    return "what was given, which is no PEM text" if bare else repr(path[:200])


def _in_memory(data: bytes, held: contextlib.ExitStack) -> str:
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            descriptor = os.memfd_create("flyte_lite")
            held.callback(os.close, descriptor)
            os.write(descriptor, data)
            path = f"/proc/self/fd/{descriptor}"
            if Path(path).exists():
                return path
    # Readable for its owner only, and gone once it was read.
    descriptor, path = tempfile.mkstemp()
    held.callback(os.unlink, path)
    os.close(descriptor)
    Path(path).write_bytes(data)
    return path


HUNG_UP_HINT = (
    "does the server speak plain http there (http:// or insecure=True), or want a client certificate (ssl_credentials)?"
)


def hung_up(error: BaseException) -> bool:
    """Whether the other side ended the connection without a word, in the handshake or after it."""
    ends = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return ends or getattr(error, "reason", None) == "UNEXPECTED_EOF_WHILE_READING"


def refusal(name: str, error: BaseException) -> TlsError:
    """The error to raise when TLS with `name` failed with `error`: what is wrong, and what helps."""
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLCertVerificationError):
        said = str(getattr(error, "verify_message", "") or error).rstrip(".")
        code = getattr(error, "verify_code", None)
        # No code: a context that makes its sockets elsewhere, or compares names by itself.
        if code in (None, _HOST_MISMATCH, _ADDRESS_MISMATCH):
            return TlsError(
                f"the certificate of {name} is for another host: {said}. Use the host name that is in the certificate; "
                "if that is this one, something else answers in its place"
            )
        if code in (_NOT_YET_VALID, _EXPIRED):
            return TlsError(
                f"the certificate of {name} is not valid now: {said}. Renew it, or set this machine's clock"
            )
        if code in (_SELF_SIGNED, *_UNKNOWN_AUTHORITY):
            why, whose = (
                ("as it is signed by itself", "it is the right one, give it")
                if code == _SELF_SIGNED
                else ("as nobody known here signs it", "a company proxy or a private authority does, give theirs")
            )
            return TlsError(
                f"the certificate of {name} is not trusted, {why}: {said}. If {whose} as ca_cert_file_path= or in "
                "REQUESTS_CA_BUNDLE"
            )
        return TlsError(f"the certificate of {name} is not accepted: {said}. Who runs it has to mend that")
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return TlsError(
            f"what answers at {name} is not TLS ({reason}); does the server speak plain http there (http:// or "
            "insecure=True)?"
        )
    if hung_up(error):
        return TlsError(f"{name} hung up in the middle of the TLS handshake; {HUNG_UP_HINT}")
    if any(word in reason for word in _OTHER_VERSION):
        return TlsError(
            f"{name} speaks no version of TLS that is spoken here ({reason}): TLS 1.2 is the oldest. What stands there "
            "has to be renewed"
        )
    if "ALERT" in reason:
        return TlsError(f"{name} refused TLS with us ({reason}); {_WANTS_CERTIFICATE}")
    return TlsError(f"no TLS with {name}: {reason or error}; TLS 1.2 is the oldest that is spoken here")
