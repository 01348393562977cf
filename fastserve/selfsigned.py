"""A certificate for one run, signed by nobody that a browser knows: `--tls-self-signed`.

Made by trustme, an extra. Knows names and files, and no server. assembly asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import tempfile
from typing import TYPE_CHECKING

from fastserve import reach
from fastserve.words import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def certificate(bind: str | None) -> Iterator[tuple[str, str]]:
    """A PEM file with a certificate for this machine's names and its key, and its SHA-256 fingerprint.

    The file is there as long as the context, and for its owner alone. Raises Refusal without trustme.
    """
    try:
        import trustme
    except ImportError as exc:
        raise Refusal("--tls-self-signed needs trustme: pip install 'fastserve[tls]'") from exc
    made = trustme.CA(organization_name="fastserve").issue_cert(*names(bind), organization_name="fastserve")
    with tempfile.TemporaryDirectory(prefix="fastserve-") as folder:
        path = os.path.join(folder, "certificate.pem")
        made.private_key_and_cert_chain_pem.write_to_path(path)
        octets = ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())
        yield path, fingerprint(octets)


def fingerprint(octets: bytes) -> str:
    """As browsers show it."""
    digest = hashlib.sha256(octets).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def names(bind: str | None) -> list[str]:
    """Names and addresses by which this machine may be asked for."""
    host = socket.gethostname()
    named = [host] if host.replace("-", "").replace(".", "").isalnum() and host.isascii() else []
    found = ["localhost", "127.0.0.1", "::1", *named, *reach.addresses()]
    return list(dict.fromkeys(found if bind is None else [bind.partition("%")[0], *found]))
