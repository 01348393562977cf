"""Content codings: which of the forms that a file is there in a client would rather have (RFC 9110 12.5.3).

Works on the text of one field. Knows no handler and no file. handlers.static asks.
"""

import functools
import re
from typing import Final

# What a file beside another may be encoded in, by the end of its name; what is smaller comes first.
SIBLINGS: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
IDENTITY: Final = "identity"
ALIASES: Final = {"x-gzip": "gzip"}  # RFC 9110 8.4.1.3

ELEMENT: Final = (
    r"(?P<coding>[!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")

# What is worth keeping; browsers say one of a few things.
KEPT_FIELDS: Final = 64
KEPT_LENGTH: Final = 256


def acceptable(value: str) -> tuple[str, ...]:
    """Return what may be sent to a client with that Accept-Encoding, what it wants most first.

    Of what is in SIBLINGS, and IDENTITY, which is the last of all unless the client gives it a weight, and
    is missing where the client refuses it.
    """
    return known(value) if len(value) <= KEPT_LENGTH else rank(value)


def rank(value: str) -> tuple[str, ...]:
    weights = _weights(value)
    others = weights.get("*", 0.0)
    ranked = [(weights.get(coding, others), coding) for coding in SIBLINGS]
    # As it need not be listed, it has less than any weight that can be given.
    unlisted = 0.0 if weights.get("*") == 0 else 0.0001
    ranked.append((weights.get(IDENTITY, unlisted), IDENTITY))
    ranked.sort(key=lambda each: -each[0])  # what weighs the same stays in our order
    return tuple(coding for weight, coding in ranked if weight > 0)


known: Final = functools.lru_cache(KEPT_FIELDS)(rank)


def _weights(value: str) -> dict[str, float]:
    """The weight of each coding; an element with wrong syntax says nothing."""
    weights: dict[str, float] = {}
    for element in value.split(","):
        match = re.fullmatch(ELEMENT, element.strip(" \t"))
        if match:
            coding = match["coding"].lower()
            weights[ALIASES.get(coding, coding)] = float(match["weight"] or 1)
    return weights
