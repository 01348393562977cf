"""Digest access authentication (RFC 7616): challenges, and whether an Authorization field answers one.

The key of the nonces comes from the origin's seed, so that all workers know each other's: this is to test
clients with, and keeps nobody out. Knows fields, methods and targets as text, and no handler; semantics asks.
"""

import hashlib
import hmac
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

ALGORITHMS: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512": "sha512"}
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
        return is_sealed(key, nonce) and time.time_ns() - int(made_at(nonce), 16) < lifetime * 10**9

    def take(self, nonce: str, count: int | None, most: float = math.inf) -> bool:
        """Whether a count of a nonce is new, and fewer than ``most`` were taken; it is not new from now on.

        They need not come in order. None is that of a client that does not count: it is new each time.
        """
        with self._lock:
            counts = self._counts.setdefault(nonce, set())
            self._counts.move_to_end(nonce)
            if len(self._counts) > MOST_NONCES:
                self._counts.popitem(last=False)
            if count is None:
                count = -1 - len(counts)
            is_new = count not in counts and len(counts) < min(most, MOST_COUNTS)
            if is_new:
                counts.add(count)
            return is_new


def sealed(key: bytes, made: str) -> str:
    return f"{made}-{hmac.digest(key, made.encode(), 'sha256').hex()[:32]}"


def is_sealed(key: bytes, nonce: str) -> bool:
    """Whether a nonce was made with that key."""
    return hmac.compare_digest(sealed(key, made_at(nonce)).encode(), nonce.encode())


def made_at(nonce: str) -> str:
    return nonce.partition("-")[0]


class Asked(NamedTuple):
    """What must be answered: ``qops`` and ``algorithms`` are those on offer, ``body`` is the request's.

    A nonce is good for ``lifetime`` seconds and ``uses`` requests.
    """

    realm: str
    user: str
    password: str
    qops: tuple[str, ...]
    algorithms: tuple[str, ...]
    method: str
    target: str
    body: bytes
    lifetime: float = math.inf
    uses: float = math.inf


def offered(qop: str, algorithm: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the qops and algorithms that are on offer for these words of a path.

    As httpbin has it, a qop that is not known is both, an algorithm MD5. "any" is SHA-256, and MD5 behind it.
    """
    names = ("SHA-256", "MD5") if algorithm == "any" else (algorithm if algorithm in NAMES else "MD5",)
    return (qop,) if qop in QOPS else QOPS, names


def challenges(asked: Asked, nonce: str, stale: bool) -> list[str]:
    """Return the values of WWW-Authenticate, one for each algorithm, the one that is preferred first."""
    qop, tail = ", ".join(asked.qops), ", stale=TRUE" if stale else ""
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
        and given.get("algorithm", "MD5") in asked.algorithms
        and all(given.get(name) for name in ("nonce", "response"))
        and is_protected(given, asked)
        and hmac.compare_digest(response(given, asked, asked.method, asked.body), given["response"].encode())
    )


def is_protected(given: Mapping[str, str], asked: Asked) -> bool:
    """Whether the parameters have a qop that is on offer, and what belongs to it.

    None is right as well: a client may know RFC 2069 alone (RFC 2617 3.2.1), and httpbin lets it in.
    """
    if "qop" not in given:
        return True
    counts = re.fullmatch("[0-9A-Fa-f]{8}", given.get("nc", "")) is not None
    return given["qop"] in asked.qops and counts and bool(given.get("cnonce"))


def count_of(given: Mapping[str, str]) -> int | None:
    """Return how often the client has used the nonce, as right parameters say it; None where they do not."""
    return int(given["nc"], 16) if "qop" in given else None


def response(given: Mapping[str, str], asked: Asked, method: str, body: bytes) -> bytes:
    """Return what RFC 7616 3.4.1 has as response, and 3.5 with an empty method as rspauth.

    Without a qop it is that of RFC 2617 3.2.2.1.
    """
    algorithm, qop = given.get("algorithm", "MD5"), given.get("qop")
    kind = ALGORITHMS[algorithm.removesuffix("-sess")]
    first = digest(kind, asked.user, asked.realm, asked.password)
    if algorithm.endswith("-sess"):
        first = digest(kind, first, given["nonce"], given.get("cnonce", ""))
    second = [method, asked.target]
    if qop == "auth-int":
        second.append(hashlib.new(kind, body).hexdigest())
    protection = () if qop is None else (given["nc"], given["cnonce"], qop)
    return digest(kind, first, given["nonce"], *protection, digest(kind, *second)).encode()


def digest(kind: str, *parts: str) -> str:
    return hashlib.new(kind, ":".join(parts).encode()).hexdigest()


def confirmation(given: Mapping[str, str], asked: Asked, body: bytes) -> str:
    """Return the value of Authentication-Info for an answer with that body, to a client that gave a qop."""
    right = response(given, asked, "", body).decode()
    return f'rspauth="{right}", qop={given["qop"]}, cnonce="{given["cnonce"]}", nc={given["nc"]}'
