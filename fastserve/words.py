"""What the words of the command line stand for: each function makes a value of one, or raises Refusal.

The text of a Refusal is one line, for the person at the keyboard, with what to do. Knows no server. options
and cli call it.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING, Final

from fastserve import limits
from fastserve.serving.answers import check_path

if TYPE_CHECKING:
    from fastserve.handlers.authentication import Credentials
    from fastserve.serving.pidfile import PidFile

SETTINGS_FILE: Final = "fastserve.toml"  # of the current folder
PROTOCOLS: Final = ("HTTP/1.1", "HTTP/1.0")  # the first is the default
TOKEN_MARKS: Final = "!#$%&'*+-.^_`|~"  # RFC 9110 5.6.2, beside letters and digits
UNITS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Refusal(Exception):
    """Why nothing can be served; the text is for the person at the keyboard."""


def reason(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc)


# -- Where ------------------------------------------------------------------------------------


def port(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= 65535:
        return int(text)
    raise Refusal(f"port {text!r} is not a number from 0 to 65535")


def workers(text: str) -> int:
    if text == "auto":
        from fastserve.serving import processes

        return processes.usable_cpus()
    if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= limits.MAX_WORKERS:
        return int(text)
    raise Refusal(f"number of workers {text!r} is neither auto nor from 1 to {limits.MAX_WORKERS}")


def grace(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise Refusal(f"grace {text!r} is not a number of seconds")


def size(text: str) -> int:
    """Octets, as 500, 64K, 20M or 1.5G."""
    number, unit = text.strip().lower().removesuffix("b"), 1
    prefix = number.removesuffix("i")[-1:]
    if prefix in UNITS:
        number, unit = number.removesuffix("i")[:-1], UNITS[prefix]
    octets = _number(number) * unit if text.isascii() else -1
    if 0 <= octets < math.inf:
        return int(octets)
    raise Refusal(f"size {text!r} is not a number of bytes, such as 500M or 2G")


def connections(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise Refusal(f"--max-connections {text!r} is not a number from 1 up")


def own_path(option: str, text: str) -> str:
    """A path that the server answers by itself."""
    try:
        check_path(text)
    except ValueError as exc:
        raise Refusal(f"{option} path {text!r} is not right: {exc}") from exc
    return text


def health(text: str) -> str:
    return own_path("--health", text)


def metrics(text: str) -> str:
    return own_path("--metrics", text)


def pidfile(path: str) -> PidFile:
    from fastserve.serving.pidfile import PidFile

    try:
        return PidFile(path)
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot use the pidfile {path!r}: {reason(exc)}") from exc


def protocol(text: str) -> str:
    version = text.upper()
    if version in PROTOCOLS:
        return version
    raise Refusal(f"protocol {text!r} is not known; choose HTTP/1.1 or HTTP/1.0")


def header_value(text: str) -> str:
    """Return the text if a header can carry it: else every answer would fail, one by one."""
    if any(c in "\r\n\0" or c > "\xff" for c in text):
        raise Refusal(f"header value {text!r} must be one line of latin-1 text")
    return text


def charset(text: str) -> str:
    if text and all(c.isascii() and (c.isalnum() or c in TOKEN_MARKS) for c in text):
        return text
    raise Refusal(f"charset {text!r} is no name of one; utf-8 is what most text is in")


def header(name: str, value: str) -> tuple[str, str]:
    if not name or not all(c.isascii() and (c.isalnum() or c in TOKEN_MARKS) for c in name):
        raise Refusal(f"header name {name!r} must consist of letters, digits and {TOKEN_MARKS}")
    return name, header_value(value)


def header_line(text: str) -> tuple[str, str]:
    """As it stands in a setting: Name: value."""
    name, colon, value = text.partition(":")
    if not colon:
        raise Refusal(f"header {text!r} is not of the form Name: value")
    return header(name.strip(), value.strip())


def origin(text: str) -> str:
    """An origin as browsers send it (RFC 6454 6.2), or "*"."""
    scheme, found, host = text.partition("://")
    right = found and scheme.isalpha() and host and host.isascii() and host.isprintable()
    if text == "*" or (right and not set(host) & set("/?#@, ")):
        return text.lower()
    raise Refusal(f"origin {text!r} is not of the form https://name[:port]; leave it out for all")


def page(text: str) -> str:
    """The name of a file below what is served."""
    parts = text.replace(os.sep, "/").split("/")
    if not text or "\0" in text or text.startswith("/") or ".." in parts:
        raise Refusal(f"page {text!r} is not a file's name below the folder that is served")
    return text


# -- Who may come in ---------------------------------------------------------------------------


def user(text: str) -> tuple[str, str]:
    name, colon, secret = text.partition(":")
    if not name or not colon or not secret:
        raise Refusal("--auth is to be USER:PASSWORD; the password may be sha256:HEX or sha512:HEX")
    return name, secret


def credentials(users: list[tuple[str, str]], path: str | None) -> Credentials | None:
    """Return who may come in, None for everybody."""
    if not users and path is None:
        return None
    from fastserve.handlers import authentication

    try:
        known: dict[str, str] = {}
        if path is not None:
            with open(path, encoding="utf-8") as file:
                known = authentication.read_users(file)
            if not known:
                raise Refusal(f"there is no user in {path!r}; give it lines USER:PASSWORD")
        return authentication.Credentials(known | dict(users))
    except authentication.BadCredentials as exc:
        raise Refusal(f"cannot use {'--auth' if path is None else repr(path)}: {exc}") from exc
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot read the users in {path!r}: {reason(exc)}") from exc


# -- How long, how much ------------------------------------------------------------------------


def seconds(text: str) -> float:
    number = _number(text)
    if 0 < number <= limits.LONGEST:
        return number
    raise Refusal(f"timeout {text!r} is not a number of seconds above 0")


def rate(text: str) -> float:
    number = _number(text)
    if 0 <= number <= limits.LONGEST:
        return number
    raise Refusal(f"minimum rate {text!r} is not a number of bytes a second, or 0 for none")


def _number(text: str) -> float:
    """Return what the text is as a decimal number, -1 where it is none."""
    try:
        return float(text) if text.isascii() and "_" not in text else -1
    except ValueError:
        return -1


# -- Files and folders -------------------------------------------------------------------------


def directory(path: str | None) -> str:
    try:
        found = os.getcwd() if path is None else path
        os.stat(os.path.join(found, ""))  # the slash at the end asks for a directory
    except (OSError, ValueError) as exc:
        named = "the current directory" if path is None else f"directory {path!r}"
        raise Refusal(f"cannot serve {named}: {reason(exc)}; give --directory one that is there") from exc
    return found


def uploads(path: str | None) -> str | None:
    """The folder that takes uploads."""
    if path is None:
        return None
    try:
        os.stat(os.path.join(path, ""))
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot upload to {path!r}: {reason(exc)}; give a folder that is there") from exc
    if not os.access(path, os.W_OK | os.X_OK):
        raise Refusal(f"cannot upload to {path!r}: this user may not write there")
    return path


def read_password(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot read the password file {path!r}: {reason(exc)}") from exc


