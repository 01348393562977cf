"""Latency: percentiles by the nearest rank, histograms that can be added up, and JSON there and back."""

import builtins
import json
import random
from typing import Any

import pytest

from fastserve.rig.measure.latency import PERCENTILES, Latency
from fastserve.words import Refusal

pytest.importorskip("hdrh")

THOUSAND = [i * 1_000_000 for i in range(1, 1001)]  # 1 ms to 1 s


def test_percentiles_are_values_that_were_measured() -> None:
    values = random.Random(1).sample(THOUSAND, 1000)
    found = Latency.from_ns(values)
    assert (found.count, found.min, found.max) == (1000, 0.001, 1.0)
    assert found.mean == pytest.approx(0.5005)
    assert found.percentiles == {"50": 0.5, "75": 0.75, "90": 0.9, "99": 0.99, "99.9": 0.999, "99.99": 1.0}


def test_counts_come_to_the_same() -> None:
    """As wrk has them: microseconds, and how many took so long."""
    pairs = [(value // 1000, 1) for value in THOUSAND]
    by_counts, by_ns = Latency.from_counts(reversed(pairs)), Latency.from_ns(THOUSAND)
    assert by_counts == by_ns
    assert Latency.from_counts([(1000, 3), (5000, 0), (2000, 1)]).percentiles["75"] == 0.001
    assert Latency.from_counts([(1000, 3), (2000, 1)]).max == 0.002


@pytest.mark.parametrize("made", [Latency.from_ns([]), Latency.from_counts([])])
def test_nothing_was_answered(made: Latency) -> None:
    assert (made.count, made.min, made.mean, made.max) == (0, 0.0, 0.0, 0.0)
    assert set(made.percentiles.values()) == {0.0}


def test_one_value() -> None:
    found = Latency.from_ns([1500])
    assert {found.min, found.max, found.mean, *found.percentiles.values()} == {1.5e-6}


def test_json_there_and_back() -> None:
    found = Latency.from_ns(THOUSAND)
    value = json.loads(json.dumps(found.to_json()))
    assert set(value) == {"count", "min", "mean", "max", "percentiles", "histogram"}
    assert list(value["percentiles"]) == list(PERCENTILES)
    assert Latency.from_json(value) == found
    with pytest.raises(KeyError):
        Latency.from_json({"count": 1})


def test_other_percentiles_are_the_histogram_s() -> None:
    found = Latency.from_ns(THOUSAND)
    assert found.percentile(99) == 0.99
    assert found.percentile(99.9) == 0.999
    assert found.percentile(95) == pytest.approx(0.95, rel=1e-3)
    assert found.percentile(0) == pytest.approx(0.001, rel=1e-3)
    bare = Latency(**{**found.to_json(), "histogram": None})
    assert bare.percentile(99) == 0.99
    for ask in (lambda: bare.percentile(95), bare.curve, lambda: Latency.merged([bare])):
        with pytest.raises(ValueError, match="histogram"):
            ask()


def test_a_curve_rises() -> None:
    curve = Latency.from_ns(THOUSAND).curve()
    assert curve == sorted(curve)
    assert curve[0][0] == 0
    assert curve[-1] == pytest.approx((100, 1.0), rel=1e-3)


def test_rounds_add_up() -> None:
    low, high = THOUSAND[:500], THOUSAND[500:]
    found = Latency.merged([Latency.from_ns(low), Latency.from_ns(high), Latency.from_ns([])])
    whole = Latency.from_ns(THOUSAND)
    assert (found.count, found.min, found.max) == (whole.count, whole.min, whole.max)
    assert found.mean == pytest.approx(whole.mean)
    assert dict(found.percentiles) == pytest.approx(dict(whole.percentiles), rel=1e-3)
    assert Latency.merged([]).count == 0


def test_what_is_beyond_the_histogram_counts_as_its_ends() -> None:
    found = Latency.from_ns([1, 2 * 3600 * 10**9])
    assert found.max == 7200
    assert found.percentile(95) == pytest.approx(3600, rel=1e-2)


def test_without_hdrhistogram_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any) -> Any:
        if name.startswith("hdrh"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(Refusal, match=r"pip install 'fastserve\[rig\]'"):
        Latency.from_ns([1])
