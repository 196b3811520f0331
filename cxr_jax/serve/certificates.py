"""TLS of a node: its own certificate, and whose certificates it asks for."""

from __future__ import annotations

import ssl

from cxr_jax.serve.guarded import GuardedTls
from cxr_jax.serve.options import Tls
from tfds_builders.common.errors import InputError


def of_server(tls: Tls) -> ssl.SSLContext:
    """For who calls; with an authority, a caller needs a certificate of it.

    Raises:
      InputError: a file is missing, damaged, or key and certificate do not fit.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    context.sslsocket_class = GuardedTls
    if tls.authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def of_client(tls: Tls) -> ssl.SSLContext:
    """For whom the node calls: its certificate has to be one of the authority."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, tls)


def _context(protocol: int, tls: Tls) -> ssl.SSLContext:
    # The profile of BCP 195 (PS3.15, B.12): TLS 1.2 or later.
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.authority is not None:
            context.load_verify_locations(tls.authority)
    except OSError as error:  # ssl.SSLError is one
        where = f"{tls.certificate}, {tls.key}"
        if tls.authority is not None:
            where += f", {tls.authority}"
        raise InputError(
            where,
            f"cannot be used: {error.strerror or error}",
            "give PEM files: --tls_cert with its --tls_key (without a password), and "
            "--tls_ca, who signed the certificates of peers",
        ) from None
    return context
