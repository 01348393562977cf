"""Digest access authentication (RFC 7616): challenges, and whether an Authorization field answers one.

The key of the nonces comes from the origin's seed, so that all workers know each other's: this is to test
clients with, and keeps nobody out. Knows fields, methods and targets as text, and no handler; semantics asks.
"""

import hashlib
import hmac
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

ALGORITHMS: Final = {"MD5": "md5", "SHA-256": "sha256"}
NAMES: Final = (*ALGORITHMS, *(f"{name}-sess" for name in ALGORITHMS))
QOPS: Final = ("auth", "auth-int")
OPAQUE: Final = "fastserve"

MOST_NONCES: Final = 4096  # whose counts are remembered
MOST_COUNTS: Final = 4096  # of one nonce; then it is stale

# name=token or name="quoted string", and what separates it from the next (RFC 9110 11.2).
PARAMETER: Final = re.compile(
    r'[\s,]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Nonces:
    """Nonces of a key that are good for a while, each count of each of them once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, set[int]] = OrderedDict()

    def make(self, key: bytes) -> str:
        """Return a nonce of now."""
        return sealed(key, f"{time.time_ns():x}")

    def is_fresh(self, key: bytes, nonce: str, lifetime: float) -> bool:
        """Whether a nonce is one of the key's and no older than ``lifetime`` seconds."""
        made = nonce.partition("-")[0]
        if not hmac.compare_digest(sealed(key, made).encode(), nonce.encode()):
            return False
        return time.time_ns() - int(made, 16) < lifetime * 10**9

    def take(self, nonce: str, count: int) -> bool:
        """Whether a count of a nonce is new; it is not from now on. They need not come in order."""
        with self._lock:
            counts = self._counts.setdefault(nonce, set())
            self._counts.move_to_end(nonce)
            if len(self._counts) > MOST_NONCES:
                self._counts.popitem(last=False)
            is_new = count not in counts and len(counts) < MOST_COUNTS
            counts.add(count)
            return is_new


def sealed(key: bytes, made: str) -> str:
    return f"{made}-{hmac.digest(key, made.encode(), 'sha256').hex()[:32]}"


class Asked(NamedTuple):
    """What must be answered: ``qops`` and ``algorithms`` are those on offer, ``body`` is the request's."""

    realm: str
    user: str
    password: str
    qops: tuple[str, ...]
    algorithms: tuple[str, ...]
    method: str
    target: str
    body: bytes


def challenges(asked: Asked, nonce: str, stale: bool) -> list[str]:
    """Return the values of WWW-Authenticate, one for each algorithm, the one that is preferred first."""
    qop, tail = ", ".join(asked.qops), ", stale=true" if stale else ""
    return [f'Digest realm="{asked.realm}", qop="{qop}", algorithm={name}, nonce="{nonce}", '
            f'opaque="{OPAQUE}", charset=UTF-8{tail}' for name in asked.algorithms]


def parameters(authorization: str) -> dict[str, str] | None:
    """Return what an Authorization field of the Digest scheme has, None of anything else."""
    scheme, _, text = authorization.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    found = {}
    for name, quoted, token in PARAMETER.findall(text):
        value = token or re.sub(r"\\(.)", r"\1", quoted)
        found[name.lower()] = value.encode("latin-1", "replace").decode("utf-8", "replace")
    return found


def is_right(given: Mapping[str, str], asked: Asked) -> bool:
    """Whether the parameters fit, whatever the age of their nonce."""
    return (
        given.get("username") == asked.user
        and given.get("realm") == asked.realm
        and given.get("uri") == asked.target
        and given.get("opaque", OPAQUE) == OPAQUE
        and given.get("qop") in asked.qops
        and given.get("algorithm", "MD5") in asked.algorithms
        and re.fullmatch("[0-9A-Fa-f]{8}", given.get("nc", "")) is not None
        and all(given.get(name) for name in ("nonce", "cnonce", "response"))
        and hmac.compare_digest(response(given, asked, asked.method, asked.body), given["response"].encode())
    )


def response(given: Mapping[str, str], asked: Asked, method: str, body: bytes) -> bytes:
    """Return what RFC 7616 3.4.1 has as response, and 3.5 with an empty method as rspauth."""
    algorithm, qop = given.get("algorithm", "MD5"), given["qop"]
    kind = ALGORITHMS[algorithm.removesuffix("-sess")]
    first = digest(kind, asked.user, asked.realm, asked.password)
    if algorithm.endswith("-sess"):
        first = digest(kind, first, given["nonce"], given["cnonce"])
    second = [method, asked.target]
    if qop == "auth-int":
        second.append(hashlib.new(kind, body).hexdigest())
    whole = digest(kind, first, given["nonce"], given["nc"], given["cnonce"], qop, digest(kind, *second))
    return whole.encode()


def digest(kind: str, *parts: str) -> str:
    return hashlib.new(kind, ":".join(parts).encode()).hexdigest()


def confirmation(given: Mapping[str, str], asked: Asked, body: bytes) -> str:
    """Return the value of Authentication-Info for an answer with that body."""
    right = response(given, asked, "", body).decode()
    return f'rspauth="{right}", qop={given["qop"]}, cnonce="{given["cnonce"]}", nc={given["nc"]}'
