"""Latency: what one round's answers took, as it stands in a result: percentiles, and a histogram for any
other.

The percentiles are those of the values themselves where these are known, each by the nearest rank; the
histogram (HdrHistogram, three digits) is for curves, and for adding rounds up. Knows numbers; who measured,
it does not know.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from fastserve.words import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

PERCENTILES: Final = ("50", "75", "90", "99", "99.9", "99.99")
LONGEST: Final = 3600 * 10**6  # microseconds that a histogram counts up to; what took longer counts as that
DIGITS: Final = 3


@dataclass(frozen=True)
class Latency:
    """All times in seconds (float). ``percentiles`` has those of PERCENTILES by their names.

    ``histogram`` is HdrHistogram's own encoding (V2, base64) of microseconds, None where there is none. Of a
    round without answers ``count`` is 0, and so is all else.
    """

    count: int
    min: float
    mean: float
    max: float
    percentiles: Mapping[str, float]
    histogram: str | None

    @classmethod
    def from_ns(cls, values: Sequence[int] | memoryview) -> Latency:
        """What these values (ns, in any order) come to. Raises Refusal where hdrhistogram is missing."""
        ordered = sorted(values)
        counts = Counter(round(value / 1000) for value in ordered)
        return cls._made(ordered.__getitem__, len(ordered), sum(ordered), 1e9, counts.items())

    @classmethod
    def from_counts(cls, pairs: Iterable[tuple[int, int]]) -> Latency:
        """The same of pairs (microseconds, how many took that long), in any order. Raises Refusal."""
        ordered = sorted(pair for pair in pairs if pair[1])
        ends = list(itertools.accumulate(count for _, count in ordered))
        total = sum(value * count for value, count in ordered)
        return cls._made(lambda rank: ordered[bisect_left(ends, rank + 1)][0], ends[-1] if ends else 0, total,
                         1e6, ordered)

    @classmethod
    def _made(cls, ranked: Callable[[int], int], count: int, total: int, unit: float,
              microseconds: Iterable[tuple[int, int]]) -> Latency:
        """``ranked`` returns the value of a rank, 0 for the least one, in ``unit`` of a second."""
        histogram = _histogram()
        for value, many in microseconds:
            histogram.record_value(min(max(value, 1), LONGEST), many)
        if not count:
            return cls(0, 0.0, 0.0, 0.0, dict.fromkeys(PERCENTILES, 0.0), _encoded(histogram))
        percentiles = {name: ranked(rank(float(name), count)) / unit for name in PERCENTILES}
        return cls(count, ranked(0) / unit, total / count / unit, ranked(count - 1) / unit, percentiles,
                   _encoded(histogram))

    @classmethod
    def merged(cls, many: Iterable[Latency]) -> Latency:
        """All of several together, by their histograms. Raises Refusal, and ValueError where one has none."""
        some, histogram = list(many), _histogram()
        for each in some:
            if each.histogram is None:
                raise ValueError("without a histogram it cannot be added")
            histogram.decode_and_add(each.histogram)
        count = sum(each.count for each in some)
        with_answers = [each for each in some if each.count]
        return cls(
            count, min((each.min for each in with_answers), default=0.0),
            sum(each.mean * each.count for each in some) / (count or 1),
            max((each.max for each in with_answers), default=0.0),
            {name: _at(histogram, float(name)) if count else 0.0 for name in PERCENTILES},
            _encoded(histogram))

    def within(self, name: str) -> float | None:
        """Return the percentile of that name ("99.9"), None where there were no answers."""
        return self.percentiles.get(name) if self.count else None

    def percentile(self, which: float) -> float:
        """Seconds within which so many in a hundred were answered. One that is not of PERCENTILES is the
        histogram's. Raises Refusal, and ValueError where there is no histogram.
        """
        known = self.percentiles.get(f"{which:g}")
        if known is not None:
            return known
        if self.histogram is None:
            raise ValueError(f"without a histogram there is no percentile {which:g}")
        return _at(_decoded(self.histogram), which)

    def curve(self) -> list[tuple[float, float]]:
        """Pairs (percentile, seconds) with rising steps, for a chart. Raises as percentile() does."""
        if self.histogram is None:
            raise ValueError("without a histogram there is no curve")
        histogram = _decoded(self.histogram)
        return [(100 * (1 - 2 ** (-step / 4)), _at(histogram, 100 * (1 - 2 ** (-step / 4))))
                for step in range(1 + 4 * math.ceil(math.log2(self.count + 1)))]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Latency:
        """Raises KeyError where something is missing."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})


def rank(percentile: float, count: int) -> int:
    """Which of so many values in their order is a percentile (0 to 100), by the nearest rank; from 0 (int).

    A product such as 99.9 % of 1000 may be a hair above the whole number it is."""
    return max(math.ceil(percentile * count / 100 - 1e-9) - 1, 0)


# -- HdrHistogram ------------------------------------------------------------------------------------


def _histogram() -> Any:
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as exc:
        raise Refusal("latencies need hdrhistogram: pip install 'fastserve[rig]'") from exc
    return HdrHistogram(1, LONGEST, DIGITS)


def _decoded(text: str) -> Any:
    histogram = _histogram()
    histogram.decode_and_add(text)
    return histogram


def _encoded(histogram: Any) -> str:
    return str(histogram.encode().decode("ascii"))


def _at(histogram: Any, percentile: float) -> float:
    return float(histogram.get_value_at_percentile(percentile)) / 1e6
