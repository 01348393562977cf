"""One certificate for all servers, and the one protocol, cipher and group that the client offers them.

OpenSSL reads what a client may offer from a file that its environment names, so wrk needs no option for it.
Knows no server. Called by servers.py, load.py and run.py.
"""

from __future__ import annotations

import functools
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from compiling import FOLDER
from processes import BenchError

PROTOCOL, CIPHER, GROUP = "TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519"
VALID_DAYS = 30
USED_SECONDS = 20 * 24 * 3600
OFFER = f"""
openssl_conf = settings
[settings]
ssl_conf = sections
[sections]
system_default = offer
[offer]
MinProtocol = {PROTOCOL}
Ciphersuites = {CIPHER}
Groups = {GROUP}
"""


class Pair(NamedTuple):
    """PEM files: an ECDSA certificate of P-256, signed by itself, and its key, as PKCS#8."""

    certificate: Path
    key: Path


@functools.cache
def pair() -> Pair:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = Pair(FOLDER / "certificate.pem", FOLDER / "key.pem")
    if made.certificate.exists() and time.time() - made.certificate.stat().st_mtime < USED_SECONDS:
        return made
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", str(VALID_DAYS), "-subj", "/CN=127.0.0.1",
             "-keyout", str(made.key), "-out", str(made.certificate))
    return made


@functools.cache
def client_environment() -> dict[str, str]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    offer = FOLDER / "client.cnf"
    offer.write_text(OFFER)
    return {"OPENSSL_CONF": str(offer)}


def ensure_agreed(port: int) -> None:
    """That the server takes what is offered, and what that is."""
    said = _openssl("s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-ciphersuites", CIPHER,
                    "-groups", GROUP)
    if f"New, {PROTOCOL}, Cipher is {CIPHER}" not in said:
        raise BenchError(f"does not agree to {PROTOCOL} with {CIPHER}")


def _openssl(*arguments: str) -> str:
    try:
        run = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=20)
    except FileNotFoundError:
        raise BenchError("no program called openssl (Debian package openssl)") from None
    if run.returncode:
        raise BenchError(f"openssl {arguments[0]}: {run.stderr.strip()}")
    return run.stdout
