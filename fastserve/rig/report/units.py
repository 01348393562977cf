"""Numbers as people read them: the digits that count, a unit, and between them a space that breaks no line.

Knows no result. Each function takes a number, or None where nothing is known, and returns a text.
"""

import datetime
import re
from collections.abc import Callable
from typing import Final, TypeAlias

Number: TypeAlias = float | None
Writer: TypeAlias = Callable[[Number], str]

UNIT: Final = re.compile(r"[^\d]+$")
NOTHING: Final = "\N{EN DASH}"
SPACE: Final = "\N{NO-BREAK SPACE}"
TIMES: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "\N{GREEK SMALL LETTER MU}s"), (1e-9, "ns"))
SIZES: Final = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def plain(value: Number) -> str:
    """Three digits that count, and all those before the point: 117,064 or 12.8 or 0.0123."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if not size:
        return "0"
    digits = 1 if size >= 9.995 else 2 if size >= 0.9995 else 3 if size >= 0.09995 else 4
    return f"{value:.{digits}f}"


def count(value: Number) -> str:
    """Of things that are whole."""
    return NOTHING if value is None else f"{value:,.0f}"


def rate(value: Number) -> str:
    """Of requests."""
    return NOTHING if value is None else f"{plain(value)}/s"


def seconds(value: Number) -> str:
    """Of a time in seconds, in the unit that fits."""
    if value is None:
        return NOTHING
    if not value:
        return f"0{SPACE}s"
    scale, unit = next((each for each in TIMES if abs(value) >= each[0]), TIMES[-1])
    return f"{plain(value / scale)}{SPACE}{unit}"


def trimmed(text: str) -> str:
    """A text with a number without digits that say nothing: 5 s, not 5.00 s."""
    return re.sub(r"(\.\d*?)0+(?!\d)", r"\1", text).replace(f".{SPACE}", SPACE)


def octets(value: Number) -> str:
    """Of an amount of memory or data in octets."""
    if value is None:
        return NOTHING
    scale, unit = next((each for each in SIZES if abs(value) >= each[0]), SIZES[-1])
    return f"{plain(value / scale)}{SPACE}{unit}" if scale > 1 else f"{count(value)}{SPACE}B"


def ratio(value: Number) -> str:
    """Of one figure to another: 1.24 or 17.6, or 0.0402."""
    return NOTHING if value is None else f"{value:.2f}" if 0.1 <= value < 9.995 else plain(value)


def share(value: Number) -> str:
    """Of a percentile in percent: 99.9."""
    return NOTHING if value is None else f"{value:.6f}".rstrip("0").rstrip(".") + f"{SPACE}%"


def scale(write: Writer, most: float) -> tuple[float, str]:
    """Return the unit that ``write`` has for a number, in the base unit, and its name behind a space."""
    table = SCALES.get(write)
    if table is None:
        return 1.0, ""
    factor, unit = next((each for each in table if most >= each[0]), table[-1])
    return factor, SPACE + unit


def between(low: Number, high: Number, write: Writer) -> str:
    """The two ends of an interval, with their unit once where both have the same."""
    first, last = write(low), write(high)
    unit = UNIT.search(first)
    if unit and last.endswith(unit[0]):
        first = first.removesuffix(unit[0])
    return f"{first}\N{EN DASH}{last}"


def moment(text: str) -> str:
    """A time as ISO 8601 has it, as one says it: 30 November 2026, 13:00 UTC. What is none stays as it is."""
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    zone = when.strftime(" %Z") if when.tzinfo else ""
    return f"{when.day} {when:%B %Y, %H:%M}{zone}"


def listed(names: list[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


SCALES: Final[dict[Writer, tuple[tuple[float, str], ...]]] = {seconds: TIMES, octets: SIZES}
