"""What `create_channel` takes for TLS: whom to trust and who we are, as PEM, paths or a context of the caller's."""

from __future__ import annotations

import os
import ssl
from typing import Any, Optional

from flyte_lite._http.tls import Pem, TlsPolicy
from flyte_lite.errors import OptionError


def tls_of(
    ssl_credentials: Any,
    *,
    verify: bool,
    ca_file: Optional[str],
    skips: bool = True,
    ca_file_by_caller: bool = True,
    root_certificates: Any = None,
    certificate_chain: Any = None,
    private_key: Any = None,
) -> TlsPolicy:
    """Whom to trust and who we are.

    Args:
        ssl_credentials: An `ssl.SSLContext`, used as it is; PEM or the path of a file with the authorities to trust; or
            (certificate, key) or (certificate, key, authorities) of a client, each PEM or a path.
        verify: Whether to, by the settings.
        ca_file: The authorities to trust, by the settings.
        skips: Whether it is the caller who says that they are not to be verified; else authorities stand before that.
        ca_file_by_caller: Whether it is the caller who names that file; else authorities stand before it.

    Raises:
        OptionError: It is none of these.
    """
    if isinstance(ssl_credentials, ssl.SSLContext):
        policy = TlsPolicy(ca_file if ca_file_by_caller else None, verify or not skips, ssl_context=ssl_credentials)
        return policy._replace(ca=root_certificates, cert=certificate_chain, key=private_key)
    if type(ssl_credentials).__module__.partition(".")[0] == "grpc":
        raise OptionError(
            "ssl_credentials is an object of gRPC's, which nobody can look into; give what it was made of: PEM or a "
            "path for the authorities, or (certificate, key[, authorities])"
        )
    roots, chain, key = root_certificates, certificate_chain, private_key
    if isinstance(ssl_credentials, (tuple, list)) and len(ssl_credentials) in (2, 3):
        chain, key, *rest = ssl_credentials
        roots = rest[0] if rest else roots
    elif ssl_credentials is not None:
        roots = ssl_credentials
    policy = TlsPolicy(ca_file, verify)
    if roots is not None:
        roots = _pem("the authorities of ssl_credentials", roots)
        ca_file = ca_file if ca_file_by_caller else None
        policy = TlsPolicy(ca_file, verify or not skips)
        if _is_path(roots):
            if ca_file is not None:
                raise OptionError("ssl_credentials and ca_cert_file_path both name authorities; give one of them")
            policy = policy._replace(ca_file=os.fspath(roots))  # type: ignore[arg-type]
        else:
            if "PRIVATE KEY-----" in (roots.decode("latin-1") if isinstance(roots, bytes) else roots):  # type: ignore[operator]
                raise OptionError(
                    "ssl_credentials holds a private key, where authorities to trust are expected; give a client's "
                    "certificate and key as a pair"
                )
            policy = policy._replace(ca=roots)  # type: ignore[arg-type]
    if chain is not None or key is not None:
        if chain is None:
            raise OptionError("a client's key needs its certificate: give (certificate, key)")
        policy = policy._replace(
            cert=_pem("the client's certificate", chain), key=None if key is None else _pem("the client's key", key)
        )
    return policy


def _pem(what: str, value: Any) -> Pem:
    if not isinstance(value, (str, bytes, os.PathLike)) or not value:
        raise OptionError(f"{what}: give PEM, or the path of a file, and no {type(value).__name__}")
    if isinstance(value, bytes) and _is_path(value):
        raise OptionError(f"{what}: these bytes are no PEM")
    return value


def _is_path(value: Pem) -> bool:
    if isinstance(value, os.PathLike):
        return True
    return (b"-----BEGIN" if isinstance(value, bytes) else "-----BEGIN") not in value  # type: ignore[operator]
