"""The table of an origin's endpoints: their paths, their methods, what is said of them, what answers them.

Modules of endpoints register theirs with endpoint(); the handler finds one by find(), the index page lists
all of them. Knows no connection and no endpoint.
"""

import contextlib
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

ANY_METHOD: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

# What may stand in a path, as {name} or {name:kind}; the rest of a path, slashes too, is {name:path}.
KINDS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "text": (r"[^/]+", urllib.parse.unquote),
    "path": (r".*", urllib.parse.unquote),
    "int": (r"[0-9]{1,15}", int),
    "float": (r"[0-9]{1,15}(?:\.[0-9]{1,15})?", float),
}
PLACE: Final = re.compile(r"\{(\w+)(?::(\w+))?\}")

# How numbers are written in a query: int() and float() take more, digits of every script among it.
NUMBERS: Final[dict[Any, str]] = {
    int: r"[+-]?[0-9]{1,20}",
    float: r"[+-]?[0-9]{0,20}\.?[0-9]{0,20}(?:e[+-]?[0-9]{1,2})?",
}

# Called with the handler and what the path has; returns an Answer, or None where it has answered by itself.
Answerer: TypeAlias = Callable[..., Any]
AnyAnswerer = TypeVar("AnyAnswerer", bound=Answerer)


class Refusal(Exception):
    """A request that is not answered as it asks: a status, and one line for who asked."""

    def __init__(self, status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, list(headers)


class Endpoint(NamedTuple):
    """``path`` is a pattern as people write it, ``example`` a target that the index page asks for."""

    group: str
    path: str
    says: str
    example: str
    methods: tuple[str, ...]
    answer: Answerer
    constant: bool  # whether a target of it is always answered alike, so that the answer may be recorded
    continues: bool  # whether it sends 100 (Continue) by itself
    pattern: re.Pattern[str]
    kinds: Mapping[str, Callable[[str], Any]]

    def arguments(self, path: str) -> dict[str, Any] | None:
        """What a path (str, encoded) has in its places, None where it is no path of this endpoint."""
        match = self.pattern.fullmatch(path)
        return match and {name: self.kinds[name](value) for name, value in match.groupdict().items()}


ENDPOINTS: Final[list[Endpoint]] = []
# The same by what stands between the first two slashes of their paths: most of them are not even looked at.
_BY_SEGMENT: Final[dict[str, list[Endpoint]]] = {}


def endpoint(
    path: str, says: str, *, group: str, example: str = "", methods: tuple[str, ...] = ("GET",),
    constant: bool = False, continues: bool = False,
) -> Callable[[AnyAnswerer], AnyAnswerer]:
    """Register what a function answers. Of two endpoints for a path the one that came first counts.

    The function is called with the handler, and by name with what stands in the places of ``path``. A place
    may not stand before the second slash. Raises ValueError where one does, or the path has no first.
    """
    first = _first_segment(path)
    if not path.startswith("/") or PLACE.search(first):
        raise ValueError(f"{path} must begin with a slash and a name of its own")
    pattern, kinds = _compiled(path)

    def register(answer: AnyAnswerer) -> AnyAnswerer:
        made = Endpoint(
            group, path, says, example or path, methods, answer, constant, continues, pattern, kinds)
        ENDPOINTS.append(made)
        _BY_SEGMENT.setdefault(first, []).append(made)
        return answer

    return register


def _compiled(path: str) -> tuple[re.Pattern[str], dict[str, Callable[[str], Any]]]:
    """A regular expression for a path, and what reads its places."""
    kinds = {name: KINDS[kind or "text"] for name, kind in PLACE.findall(path)}
    literal = map(re.escape, PLACE.split(path)[::3])
    places = [f"(?P<{name}>{pattern})" for name, (pattern, _) in kinds.items()]
    parts = [part for pair in zip(literal, [*places, ""], strict=True) for part in pair]
    return re.compile("".join(parts)), {name: read for name, (_, read) in kinds.items()}


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def find(path: str) -> list[tuple[Endpoint, dict[str, Any]]]:
    """Return the endpoints for a path (encoded, without its query), the first one first."""
    found = ((each, each.arguments(path)) for each in _BY_SEGMENT.get(_first_segment(path), ()))
    return [(each, arguments) for each, arguments in found if arguments is not None]


def names() -> Iterator[str]:
    """Give the paths of all endpoints, each one once."""
    yield from dict.fromkeys(each.path for each in ENDPOINTS)


class Query:
    """What a target has behind its question mark. A value that is not right is a Refusal (400)."""

    def __init__(self, text: str) -> None:
        self.pairs = urllib.parse.parse_qsl(text, keep_blank_values=True) if text else []
        self._values = dict(self.pairs)

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, default)

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}={value} is none of {', '.join(choices)}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, str(default)).lower()
        return value not in ("", "0", "false", "no", "off")

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        return int(self._number(name, default, least, most, int))

    def number(self, name: str, default: float, least: float, most: float) -> float:
        return self._number(name, default, least, most, float)

    def _number(self, name: str, default: float, least: float, most: float, kind: Any) -> float:
        text = self._values.get(name)
        if text is None:
            return default
        return bounded(name, text, least, most, kind)


def bounded(name: str, text: Any, least: float, most: float, kind: Any = float) -> float:
    """Return a number that a client gave. Raises Refusal where it is none from ``least`` to ``most``."""
    if not isinstance(text, str) or re.fullmatch(NUMBERS[kind], text, re.IGNORECASE):
        with contextlib.suppress(ValueError):  # a point without digits
            value: float = kind(text)
            if least <= value <= most:
                return value
    raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}={text} is no number from {least} to {most}")
