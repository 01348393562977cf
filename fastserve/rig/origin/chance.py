"""Chance that anybody can tell beforehand: the n-th draw of a seed is a pure function of the seed and n.

The law. A draw is made of numbers from 0 up to 1, in order, which random.Random(f"{seed}/{n}").random()
gives: two of them for a time, one for a choice. The seed is the query's ``seed``, else the server's; n counts
from 0, for each server, kind of draw and seed on its own, unless the query says ``n``. Of several worker
processes each counts by itself.

Knows queries and no endpoint; timing and semantics draw.
"""

import math
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.kept import of_server
from fastserve.rig.origin.sizes import seed_of

MOST_COUNTED: Final = 4096  # kinds and seeds of a server; the one that was asked for longest ago begins anew
MOST: Final = 1 << 53

Value = TypeVar("Value")


class Draw(NamedTuple):
    """One of a seed's; ``n`` is its number."""

    seed: int
    n: int

    def numbers(self, count: int) -> list[float]:
        """That many numbers from 0 up to 1, the same each time."""
        chance = random.Random(f"{self.seed}/{self.n}")
        return [chance.random() for _ in range(count)]

    def choose(self, values: Sequence[Value], weights: Sequence[float]) -> Value:
        """One of the values; the weights (at least 0, and not all 0) say how likely each is."""
        mark = self.numbers(1)[0] * sum(weights)
        likely = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
        for value, weight in likely:
            mark -= weight
            if mark < 0:
                return value
        return likely[-1][0]  # the sum was rounded


class Counts:
    """How many draws there were, by their kind and seed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: OrderedDict[tuple[str, int], int] = OrderedDict()

    def next(self, kind: str, seed: int) -> int:
        """Return the number of the next draw."""
        with self._lock:
            n = self._next.pop((kind, seed), 0)
            self._next[kind, seed] = n + 1
            if len(self._next) > MOST_COUNTED:
                self._next.popitem(last=False)
            return n


def draw(request: Origin, kind: str) -> Draw:
    """Return the draw for a request. Raises Refusal where its query is not right."""
    seed = seed_of(request)
    n = request.query.integer("n", -1, 0, MOST)
    return Draw(seed, of_server(request.server, Counts).next(kind, seed) if n < 0 else n)


# -- Distributions ---------------------------------------------------------------------------------
#
# Each has the mean it is given. ``spread`` is half the width of the uniform one, and of the others the
# standard deviation. u and v are the two numbers of a draw.


def constant(mean: float, spread: float, u: float, v: float) -> float:
    """``mean``."""
    return mean


def uniform(mean: float, spread: float, u: float, v: float) -> float:
    """``mean + spread * (2 * u - 1)``."""
    return mean + spread * (2 * u - 1)


def exponential(mean: float, spread: float, u: float, v: float) -> float:
    """``mean - spread - spread * log(1 - u)``: where spread is the mean, Poisson's."""
    return mean - spread - spread * math.log(1 - u)


def normal(mean: float, spread: float, u: float, v: float) -> float:
    """``mean + spread * sqrt(-2 * log(1 - u)) * cos(2 * pi * v)`` (Box and Muller)."""
    return mean + spread * math.sqrt(-2 * math.log(1 - u)) * math.cos(math.tau * v)


def lognormal(mean: float, spread: float, u: float, v: float) -> float:
    """``exp(normal(log(mean) - s * s / 2, s, u, v))``, where ``s * s = log(1 + (spread / mean) ** 2)``."""
    if not mean:
        return 0.0
    variance = math.log1p((spread / mean) ** 2)
    return math.exp(normal(math.log(mean) - variance / 2, math.sqrt(variance), u, v))


DISTRIBUTIONS: Final[dict[str, Callable[[float, float, float, float], float]]] = {
    "constant": constant, "uniform": uniform, "exp": exponential, "normal": normal, "lognormal": lognormal,
}
