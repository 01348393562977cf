"""What two servers made of the same octets, compared: where requests begin and end, and nothing else.

judge() says what distinguishes us from nginx, and JUSTIFIED which of that is right, by which section of which
RFC. Knows no server and no socket. differential.py asks both.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from fuzz.naming import NAME

# Of what stands behind an input. Its method is so long that whoever takes a part of it for the end of a body
# finds a request in the rest all the same, but another one.
LAST: Final = "S" * 200 + " /sentinel HTTP/1.1"
SENTINEL: Final = LAST.encode() + b"\r\nHost: test\r\nConnection: close\r\n\r\n"


class Talk(NamedTuple):
    """``served``: the request lines acted on. ``refused``: the status that ended them, 0 where none did.

    ``waits``: the server had not closed when nothing moved any more. ``beyond``: answers behind a refusal.
    """

    served: tuple[str, ...] = ()
    refused: int = 0
    waits: bool = False
    beyond: int = 0


# -- Answers ---------------------------------------------------------------------------------------

HEAD: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\n((?:[^\r\n]+\r\n)*)\r\n")
FIELD: Final = re.compile(rb"(?m)^%b: (.*)\r$" % NAME.encode())
LENGTH: Final = re.compile(rb"(?m)^Content-Length: (\d+)\r$")


def answers(stream: bytes) -> Iterator[tuple[int, str]]:
    """The status and the request line of every answer; an HTTP/0.9 answer is a body alone, and the last."""
    while stream:
        head = HEAD.match(stream)
        if head is None:
            yield 400 if stream.startswith(b"<") else 200, stream.split(b"\n")[0].decode("latin-1")
            return
        name, length, status = FIELD.search(head[2]), LENGTH.search(head[2]), int(head[1])
        line = name[1].decode("latin-1") if name else ""
        size = int(length[1]) if length and not line.startswith("HEAD ") else 0
        stream = stream[head.end() + size :]
        if status >= 200:
            yield status, line


def understand(stream: bytes, waits: bool) -> Talk:
    """What came back on a connection. Every request that a server acts on is answered with 200."""
    found = list(answers(stream))
    served = tuple(line for _, line in itertools.takewhile(lambda answer: answer[0] == 200, found))
    rest = found[len(served) :]
    return Talk(served, rest[0][0] if rest else 0, waits, max(0, len(rest) - 1))


# -- Differences -----------------------------------------------------------------------------------

SAME, STRICTER, LAXER = "the same", "stricter", "laxer"
TWO_AS_ONE, ONE_AS_TWO = "two requests taken as one", "one request taken as two"
ANOTHER, BEYOND = "another request", "somebody goes on behind a refusal"


def judge(ours: Talk, theirs: Talk) -> str:
    """What distinguishes us from them.

    Who closes has only stopped, and nothing is read in two ways: we are stricter, or laxer where they do so.
    """
    common = min(len(ours.served), len(theirs.served))
    # nginx may read the body of what it has refused, and closes then.
    they_wait = theirs.waits and not theirs.refused
    if ours.beyond or theirs.beyond or (ours.refused and ours.waits):
        return BEYOND
    if ours.served[:common] != theirs.served[:common]:
        return ANOTHER
    if len(ours.served) == len(theirs.served):
        return SAME if ours.waits == they_wait else LAXER if ours.waits else STRICTER
    if len(ours.served) < len(theirs.served):
        return TWO_AS_ONE if ours.waits else STRICTER
    return ONE_AS_TWO if they_wait else LAXER


class Case(NamedTuple):
    """An input on which we are laxer."""

    octets: bytes
    ours: Talk
    theirs: Talk

    @property
    def line(self) -> str:
        """The request line at which they stopped: of what they refused, or of the last that they answered."""
        served = self.ours.served[: len(self.theirs.served) + bool(self.theirs.refused)]
        return served[-1] if served else ""

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def target(self) -> str:
        return self.line.rpartition(" ")[0].partition(" ")[2]

    def has(self, field: str) -> bool:
        """Whether a head with that line has such a field line, or lines."""
        everything = self.octets + SENTINEL
        heads = [everything[match.end() :].split(b"\r\n\r\n")[0] + b"\r\n"
                 for match in re.finditer(re.escape(self.line.encode("latin-1")), everything)]
        pattern = re.compile(rb"(?i)\r\n(?:%b)[ \t]*\r\n" % field.encode())
        return any(pattern.search(head) for head in heads)


class Class(NamedTuple):
    """Cases in which it is right to go on where nginx refused, or where it answered and closed."""

    name: str
    holds: Callable[[Case], bool]
    reason: str
    refused: bool | None = True  # None: in both cases


def _is_end(case: Case) -> bool:
    """They refused a request, we answered it and closed, or wait for its body as they do."""
    ours, theirs = case.ours, case.theirs
    is_next = len(ours.served) == len(theirs.served) + 1 and ours.served[-1] != LAST
    return is_next and (theirs.waits or not ours.waits)


def _is_large(case: Case) -> bool:
    """They refused a chunk, and we wait for the rest of it."""
    sizes = re.findall(rb"(?i)\n0*([0-9a-f]{15,16})(?=[ \t]*[\r;])", case.octets)
    waits = case.ours.waits and case.ours.served[-1:] == (case.line,) and case.has("transfer-encoding:.*")
    return waits and any(int(size, 16) >> 59 for size in sizes)


# Any line of a field section, in a pattern of has().
LINES: Final = r"(?:[^\r\n]*\r\n)*?"
# What nginx takes: origin-form, and absolute-form with a name of the DNS, whose percent signs encode
# something other than NUL. It also refuses a path that leads above its root.
AUTHORITY: Final = r"https?://(?:[a-z0-9.-]+|\[[\w.:]+\])(?::\d*)?(?=[/?]|$)"
NGINX_TARGET: Final = re.compile(rf"(?ai)(?:{AUTHORITY}|(?=/))(?:[^%]|%(?!00)[0-9a-f]{{2}})*")
ABOVE: Final = re.compile(r"(?i)/(?:\.|%2e){2}(?:/|%2f|\?|$)")
UNNAMED: Final = r"host:(?:[ \t]*\.?(?::\d*)?|[^\r\n]*\.\.[^\r\n]*)"
TABBED: Final = r"(?:host|content-length|transfer-encoding):(?:[ \t]*\t[^\r\n]*|[^\r\n]*\t[ \t]*)"
LENGTHS: Final = rf"content-length:[ \t]*0*(\d+)[ \t]*\r\n{LINES}content-length:[ \t]*0*\1"
REPEATED: Final = rf"(expect|user-agent|if-[a-z-]+):[^\r\n]*\r\n{LINES}\1:[^\r\n]*"

JUSTIFIED: Final = (
    Class("nobody goes on", _is_end,
          "nothing behind that request is acted on (RFC 9112 9.6)"),
    Class("a method unknown to nginx", lambda case: not re.fullmatch("[A-Z_-]+", case.method),
          "a method is any token (RFC 9110 9.1), and no request's length depends on it (RFC 9112 6.3)"),
    Class("TRACE", lambda case: case.method == "TRACE",
          "a handler may have it (RFC 9110 9.3.8), and it is framed as any other (RFC 9112 6.3)"),
    Class("a target of another form", lambda case: not NGINX_TARGET.fullmatch(case.target),
          "a target ends at the SP, whatever its form is (RFC 9112 3); the handler looks for what it names"),
    Class("a path above the root", lambda case: bool(ABOVE.search(case.target)),
          "dot segments are for the handler to resolve (RFC 3986 5.2.4), and end nothing"),
    Class("Host of an empty label", lambda case: case.has(UNNAMED),
          "a reg-name may be empty, and is more than a name of the DNS (RFC 9110 7.2, RFC 3986 3.2.2)"),
    Class("HTAB beside a value", lambda case: case.has(TABBED),
          "it is white space as SP is, and no part of the value (RFC 9110 5.6.3, RFC 9112 5)"),
    Class("the same length twice", lambda case: case.has(LENGTHS),
          "a recipient may take it for one (RFC 9110 8.6, RFC 9112 6.3)"),
    Class("a field twice", lambda case: case.has(REPEATED),
          "none that says where a request ends; its value is the handler's to judge (RFC 9110 5.3)"),
    Class("a chunk of 2^59 octets", _is_large,
          "a recipient bounds sizes, we at 2^63 (RFC 9112 7.1); we wait for the rest, and read nothing else",
          refused=None),
    Class("close within an option", lambda case: case.has(r"connection:[^\r\n]*close[^\r\n]*"),
          "an option is a whole token (RFC 9110 7.6.1); nginx looks for these letters, and closes",
          refused=False),
)


def explain(octets: bytes, ours: Talk, theirs: Talk) -> tuple[str, bool]:
    """What distinguishes us from them, and whether it is a fault."""
    kind = judge(ours, theirs)
    if kind == STRICTER:
        return f"{kind}: {f'refuses with {ours.refused}' if ours.refused else 'closes'}", False
    if kind != LAXER:
        return kind, kind != SAME
    case = Case(octets, ours, theirs)
    refused = bool(theirs.refused)
    names = [each.name for each in JUSTIFIED if each.refused in (None, refused) and each.holds(case)]
    return (f"{kind}: {names[0]}", False) if names else (kind, True)
