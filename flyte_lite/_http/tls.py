"""One TLS policy for whatever we talk to: whom to trust, and what to say when trust fails."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from flyte_lite.errors import ConfigError

# What requests and OpenSSL users already set on machines behind a company's own authority; the first one set wins.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class TlsPolicy:
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
