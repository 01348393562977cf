"""AuthenticationMixin: nobody is answered who does not give a user's name and password (RFC 7617).

What is kept of passwords is their digests, and comparing takes as long for a wrong one as for the right one.
Knows a handler's methods and no file. The command line mixes it into its handler, and so may any program.
"""

import base64
import binascii
import hashlib
import hmac
import os
import string
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from fastserve.handlers.base import ERROR_LINE

DIGESTS: Final = {"sha256": 64, "sha512": 128}  # and their hexadecimal digits
BCRYPT: Final = ("$2a$", "$2b$", "$2y$")
KEPT_ANSWERS: Final = 64  # of who has been let in, as bcrypt takes long on purpose

Check: TypeAlias = Callable[[bytes], bool]


class BadCredentials(ValueError):
    """What a user's name and password are given in is not right; the text says why."""


def plain(password: str) -> Check:
    return digested("sha256", hashlib.sha256(password.encode()).hexdigest())


def digested(name: str, digest: str) -> Check:
    """Compare by digest, so that neither length nor beginning of the password shows in the time it takes."""
    wanted = digest.lower()
    return lambda given: hmac.compare_digest(hashlib.new(name, given).hexdigest(), wanted)


def sha1_of_htpasswd(encoded: str) -> Check:
    try:
        wanted = base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise BadCredentials("{SHA} is not followed by base64") from exc
    return lambda given: hmac.compare_digest(hashlib.sha1(given, usedforsecurity=False).digest(), wanted)


def bcrypted(hashed: str) -> Check:
    try:
        import bcrypt
    except ImportError as exc:
        raise BadCredentials("bcrypt is needed for it: pip install 'fastserve[auth]'") from exc
    wanted = hashed.encode()
    if len(wanted) != 60:
        raise BadCredentials("a bcrypt hash has 60 characters")
    return lambda given: bool(bcrypt.checkpw(given[:72], wanted))  # of more it knows nothing


def check_for(secret: str) -> Check:
    """Return what tells whether a password is that of ``secret``.

    That is sha256:HEX, sha512:HEX, or htpasswd's {SHA}BASE64 or $2y$...; anything else is the password.
    Raises BadCredentials.
    """
    kind, _, rest = secret.partition(":")
    if kind in DIGESTS and len(rest) == DIGESTS[kind] and set(rest) <= set(string.hexdigits):
        return digested(kind, rest)
    if secret.startswith("{SHA}"):
        return sha1_of_htpasswd(secret[5:])
    if secret.startswith(BCRYPT):
        return bcrypted(secret)
    if secret.startswith(("$", "{")):
        raise BadCredentials("it is a hash of a kind that is not known; bcrypt (htpasswd -B) is")
    if not secret:
        raise BadCredentials("the password is empty")
    return plain(secret)


class Credentials:
    """Who may come in: ``secrets`` are those of users by their names, as check_for() takes them.

    Raises BadCredentials.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._checks = {name: check_for(secret) for name, secret in secrets.items()}
        # So that a wrong password takes as long for whomever; what they say does not count.
        self._nobody = next(iter(self._checks.values()), plain("nobody"))
        self._slow = [self._checks[name] for name, secret in secrets.items() if secret.startswith(BCRYPT)]
        self._key = os.urandom(32)
        self._known: dict[bytes, str] = {}

    def user(self, authorization: str) -> str | None:
        """Return the name of the user whom an Authorization field is of, None where it is nobody's."""
        scheme, _, encoded = authorization.strip().partition(" ")
        if scheme.lower() != "basic":
            return None
        # What is remembered is worth nothing to who reads our memory's dump.
        token = hmac.digest(self._key, encoded.encode("utf-8", "replace"), "sha256")
        known = self._known.get(token)
        if known is not None:
            return known
        name = self._judge(encoded.strip())
        if name is not None:
            if len(self._known) >= KEPT_ANSWERS:
                self._known.clear()
            self._known[token] = name
        return name

    def _judge(self, encoded: str) -> str | None:
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
            user = name.decode()
        except ValueError:
            return None
        check = self._checks.get(user, self._nobody)
        if check(password) and user in self._checks and colon:
            return user
        if self._slow and check not in self._slow:
            self._slow[0](password)
        return None


def read_users(lines: Iterable[str]) -> dict[str, str]:
    """Return secrets by names from lines USER:SECRET, as in htpasswd's files. Raises BadCredentials."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text.strip() or text.startswith("#"):
            continue
        name, colon, secret = text.partition(":")
        if not colon or not name:
            raise BadCredentials(f"line {number} is not USER:PASSWORD")
        found[name] = secret
    return found


class AuthenticationMixin:
    """Goes before a handler class; ``credentials`` says who may come in.

    ``user`` is the name of who asks (str), None where nobody was asked who it is.
    """

    credentials: Credentials
    realm = "fastserve"
    user: str | None = None
    __let_in = False

    def handle_one_request(self: Any) -> None:
        self.user = None  # of a line that is too long there is no more
        super().handle_one_request()  # type: ignore[misc]

    def parse_request(self: Any) -> bool:
        self.__let_in, self.user = False, None
        return bool(super().parse_request()) and bool(self.__is_let_in())  # type: ignore[misc]

    def handle_expect_100(self: Any) -> bool:
        """Who is not let in need not send a body."""
        return bool(self.__is_let_in()) and bool(super().handle_expect_100())  # type: ignore[misc]

    def __is_let_in(self: Any) -> bool:
        if self.__let_in or self.__is_preflight():
            return True
        given = self.headers.get_all("Authorization", [])
        self.user = self.credentials.user(given[0]) if len(given) == 1 else None
        if self.user is None:
            self.__challenge()
            return False
        self.__let_in = True
        return True

    def __is_preflight(self: Any) -> bool:
        """Browsers send no password with what they ask beforehand (Fetch, CORS-preflight request)."""
        return (self.command == "OPTIONS" and getattr(self, "cors_origin", None) is not None
                and "Access-Control-Request-Method" in self.headers)

    def __challenge(self: Any) -> None:
        """401; the connection stays where there is no body that nobody reads."""
        self.log_error(ERROR_LINE, HTTPStatus.UNAUTHORIZED, "Unauthorized")
        page = b"" if self.command == "HEAD" else b"Unauthorized\n"
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", f'Basic realm="{self.realm}", charset="UTF-8"')
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(page) or len(b"Unauthorized\n")))
        if self.headers.get("Expect"):  # whose body may come or not: nobody knows
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)
