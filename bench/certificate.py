"""One certificate for all servers, and the one protocol, cipher and group that the client offers them.

OpenSSL reads what a client may offer from a file that its environment names, so wrk needs no option for it.
Knows no server. Called by tls.py; tls.toml names the files.
"""

from __future__ import annotations

import subprocess
import time

from common import ROOT

from fastserve.words import Refusal

FOLDER = ROOT / "build" / "bench"
CERTIFICATE, KEY = FOLDER / "certificate.pem", FOLDER / "key.pem"
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


def make_certificate() -> None:
    """PEM files: an ECDSA certificate of P-256, signed by itself, and its key, as PKCS#8. Raises Refusal."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if CERTIFICATE.exists() and time.time() - CERTIFICATE.stat().st_mtime < USED_SECONDS:
        return
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", str(VALID_DAYS), "-subj", "/CN=127.0.0.1", "-keyout", str(KEY),
               "-out", str(CERTIFICATE)]
    try:
        run = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                             timeout=20)
    except FileNotFoundError:
        raise Refusal("there is no program called openssl (Debian package openssl)") from None
    if run.returncode:
        raise Refusal(f"openssl makes no certificate: {run.stderr.strip()}")


def make_offer() -> str:
    """What the client's OPENSSL_CONF is to be."""
    offer = FOLDER / "client.cnf"
    offer.write_text(OFFER)
    return str(offer)
