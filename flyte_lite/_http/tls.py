"""One TLS policy for whatever we talk to: whom to trust, and what to say when trust fails."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

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
_HOST_MISMATCH, _ADDRESS_MISMATCH, _NOT_YET_VALID, _EXPIRED = 62, 64, 9, 10  # X509_V_ERR_...


class TlsPolicy(NamedTuple):
    """How servers are verified.

    Attributes:
        ca_file: PEM file (or folder of hashed certificates) that is trusted, and nothing else; None looks at
            REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR, then takes certifi's roots.
        verify: False takes any certificate from anybody.
    """

    ca_file: Optional[str] = None
    verify: bool = True

    def context(self, default_roots: str, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
        """A new client context; `default_roots` is the file to trust if nobody says otherwise.

        Raises:
            ConfigError: The file is missing or holds no certificate; the text says which setting named it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        path, origin = self._trusted(environ) or (default_roots, "certifi")
        try:
            if Path(path).is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the CA certificates at {path} (from {origin}) can't be loaded: {error}") from error
        return context

    def _trusted(self, environ: Mapping[str, str]) -> Optional[tuple[str, str]]:
        if self.ca_file is not None:
            return self.ca_file, "ca_cert_file_path"
        for variable in _CA_VARIABLES:
            if environ.get(variable):
                return environ[variable], f"the environment variable {variable}"
        return None


def refusal(name: str, error: BaseException) -> TlsError:
    """The error to raise when TLS with `name` failed with `error`: what is wrong, and what helps."""
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLCertVerificationError):
        said = str(getattr(error, "verify_message", "") or error).rstrip(".")
        code = getattr(error, "verify_code", None)
        # No code: urllib3 1.26 compares names by itself.
        if code in (None, _HOST_MISMATCH, _ADDRESS_MISMATCH):
            return TlsError(
                f"the certificate of {name} is for another host: {said}. Use the host name that is in the certificate; "
                "if that is this one, something else answers in its place"
            )
        if code in (_NOT_YET_VALID, _EXPIRED):
            return TlsError(
                f"the certificate of {name} is not valid now: {said}. Renew it, or set this machine's clock"
            )
        return TlsError(
            f"the certificate of {name} is not trusted: {said}. If a company proxy or a private authority signs it, "
            "give its certificate as ca_cert_file_path= or in REQUESTS_CA_BUNDLE"
        )
    plain = "does the server speak plain http there (http:// or insecure=True)?"
    if error.reason in _NOT_TLS:
        return TlsError(f"what answers at {name} is not TLS ({error.reason}); {plain}")
    if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
        return TlsError(f"{name} hung up in the middle of the TLS handshake; {plain}")
    return TlsError(f"no TLS with {name}: {error.reason or error}; TLS 1.2 is the oldest that is spoken here")
