r"""The corpus: raw requests as text files, and what must be found in each.

A *.wire file is a list of cases. Its lines are:

    # a comment; it and empty lines mean nothing
    [the name of a case]
    > octets, one blank after the mark; the end of the line is no octet: \r\n is always written out
    request POST /a HTTP/1.1        the request that ends with the octets above
    header Host: a                  its fields, all of them, in order; white space around values is gone
    framing length=5 keep-alive     every verdict that holds: length=N chunked keep-alive close expect upgrade
    body hello                      its body, decoded; none: empty
    rejected BAD_HOST               instead of a request: what errors.REJECTIONS calls the refusal
    broken                          after a request: its chunked body is refused

Octets and texts know the escapes \r \n \t \0 \\ and \xNN; all else is printable ASCII as it stands, and
a blank at the end of a line is written \x20. A pipeline is several groups of octets, each followed by
its request; octets after the last one are a request still on its way. In chunks/ there are bodies
alone, and `decoded TEXT` or `broken` say what becomes of the octets above it.

This module knows the format and nothing of the parser.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent

ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
FRAMING_WORDS = {"chunked", "keep-alive", "close", "expect", "upgrade"}


@dataclass
class Request:
    """One request, as expected and as found."""

    method: str = ""
    target: str = ""
    version: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    length: int = -1
    chunked: bool = False
    keep_alive: bool = False
    expect: bool = False
    upgrade: bool = False
    body: bytes = b""
    size: int = 0               # octets, from the empty lines before it to the end of its body
    broken: bool = False        # its chunked body was refused; there is no `body` and no `size`


@dataclass
class Rejected:
    """A request that is refused, and with what."""

    name: str


@dataclass
class Case:
    """Octets, and what stands in them in order."""

    name: str
    octets: bytes = b""
    found: list[Request | Rejected] = field(default_factory=list)
    decoded: bytes | None = None    # chunks/ only; None: refused
    used: int = 0                   # octets of the groups that are accounted for

    @property
    def valid(self) -> bool:
        """Whether nothing in it is refused."""
        return all(isinstance(each, Request) and not each.broken for each in self.found)


def unescape(text: str) -> bytes:
    """Return the octets that `text` stands for."""
    if re.search(r"[^ -~]|[ ]$", text):
        raise ValueError(f"not printable, or a blank at the end: {text!r}")
    octets, at = b"", 0
    while at < len(text):
        if text[at] != "\\":
            octets, at = octets + text[at].encode("ascii"), at + 1
        elif text[at + 1] == "x":
            octets, at = octets + bytes.fromhex(text[at + 2 : at + 4]), at + 4
        else:
            octets, at = octets + ESCAPES[text[at + 1]], at + 2
    return octets


def set_framing(request: Request, words: list[str]) -> None:
    """Set what a `framing` line says; exactly one of keep-alive and close must be said."""
    for word in words:
        if word.startswith("length="):
            request.length = int(word[7:])
        elif word not in FRAMING_WORDS:
            raise ValueError(f"unknown framing {word!r}")
    if ("keep-alive" in words) == ("close" in words):
        raise ValueError("framing must say keep-alive or close")
    request.chunked = "chunked" in words
    request.keep_alive = "keep-alive" in words
    request.expect = "expect" in words
    request.upgrade = "upgrade" in words


def read_line(case: Case, word: str, text: str) -> None:
    """Add one line of a case to it."""
    if word == ">":
        case.octets += unescape(text)
    elif word == "request":
        method, target, version = (unescape(part).decode("latin-1") for part in text.split(" "))
        case.found.append(Request(method, target, version, size=len(case.octets) - case.used))
        case.used = len(case.octets)
    elif word == "header":
        name, _, value = text.partition(":")
        expected_request(case).headers.append((name, unescape(value.lstrip(" ")).decode("latin-1")))
    elif word == "framing":
        set_framing(expected_request(case), text.split())
    elif word == "body":
        expected_request(case).body = unescape(text)
    elif word == "rejected":
        case.found.append(Rejected(text))
    elif word == "decoded":
        case.decoded, case.used = unescape(text), len(case.octets)
    elif word == "broken":
        set_broken(case)
    else:
        raise ValueError(f"unknown word {word!r}")


def set_broken(case: Case) -> None:
    """Say that the chunked body of the last request, or that which the case is, will be refused."""
    if case.found:
        last = expected_request(case)
        last.broken, last.size = True, 0
    else:
        case.found.append(Rejected("BROKEN_BODY"))


def expected_request(case: Case) -> Request:
    """Return the request that the lines now read belong to."""
    last = case.found[-1]
    assert isinstance(last, Request)
    return last


def read_file(path: Path) -> list[Case]:
    """Return the cases of one file; an error names the line."""
    cases: list[Case] = []
    for number, line in enumerate(path.read_text("ascii").split("\n"), 1):
        try:
            if line.startswith("["):
                cases.append(Case(f"{path.stem}: {line[1:-1]}"))
            elif line and not line.startswith("#"):
                read_line(cases[-1], *line.partition(" ")[::2])
        except (ValueError, LookupError, AssertionError) as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
    return cases


def read_folder(name: str) -> list[Case]:
    """Return all cases of a folder beside this module."""
    cases = [case for path in sorted((HERE / name).glob("*.wire")) for case in read_file(path)]
    for case in cases:
        assert case.found or case.decoded is not None, f"{case.name!r} expects nothing"
    return cases


REQUESTS = read_folder("requests")
CHUNKS = read_folder("chunks")
