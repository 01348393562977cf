"""Histograms by themselves: how exact they are, from several threads and processes, and after a reset."""

import itertools
import math
import multiprocessing
import random
import threading
from typing import Any

import pytest
from helpers import PATIENCE

from fastserve.rig.origin.statistics import BUCKETS, LONGEST, Statistics, bucket, middle, percentiles

FORK: Any = multiprocessing.get_context("fork")


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 128, 255, 256, 1000, 10**6, 10**9, LONGEST])
def test_a_value_is_in_its_bucket(value: int) -> None:
    assert 0 <= bucket(value) < BUCKETS
    assert abs(middle(bucket(value)) - value) <= value / 128


def test_buckets_ascend_without_a_gap() -> None:
    numbers = [bucket(value) for value in range(100_000)]
    assert all(after - before in (0, 1) for before, after in itertools.pairwise(numbers))
    assert bucket(LONGEST) == BUCKETS - 1


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_within_a_hundredth(seed: int) -> None:
    chance = random.Random(seed)
    values = sorted(chance.lognormvariate(-8, 2) for _ in range(20_000))
    statistics = Statistics(["/x"])
    for value in values:
        statistics.record("/x", value)
    found = statistics.summaries()["/x"]
    assert found.count == 20_000
    assert found.least == pytest.approx(values[0], abs=1e-9)
    assert found.most == pytest.approx(values[-1], abs=1e-9)
    assert found.mean == pytest.approx(sum(values) / len(values), rel=1e-3)
    for share, value in found.percentiles.items():
        exact = values[math.ceil(len(values) * float(share) / 100) - 1]
        assert value == pytest.approx(exact, rel=0.01, abs=2e-9), share


def test_percentiles_of_few_values() -> None:
    counts = [0] * BUCKETS
    counts[10] = counts[20] = 1
    assert percentiles(counts, (1, 50, 51, 100)) == [10, 10, 20, 20]


@pytest.mark.parametrize(("seconds", "kept"), [(0, 0), (-1, 0), (1e-9, 1e-9), (1e6, LONGEST / 1e9)])
def test_values_at_the_ends(seconds: float, kept: float) -> None:
    statistics = Statistics(["/x"])
    statistics.record("/x", seconds)
    found = statistics.summaries()["/x"]
    assert found.least == found.most == pytest.approx(kept)
    assert found.percentiles["50"] == pytest.approx(kept)


def test_names_that_are_not_known_are_one() -> None:
    statistics = Statistics(["/x"])
    for name in ("/y", "/z", "/x"):
        statistics.record(name, 1)
    assert {name: found.count for name, found in statistics.summaries().items()} == {"/x": 1, "none": 2}


def test_the_form_is_that_of_results() -> None:
    statistics = Statistics(["/x"])
    statistics.record("/x", 0.5)
    said = statistics.summaries()["/x"].as_dict()
    assert set(said) == {"count", "min", "mean", "max", "percentiles"}
    assert list(said["percentiles"]) == ["50", "75", "90", "99", "99.9", "99.99"]


def test_threads_lose_nothing() -> None:
    statistics = Statistics(["/x"])

    def record() -> None:
        for number in range(2000):
            statistics.record("/x", number * 1e-6)

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 4)
    found = statistics.summaries()["/x"]
    assert found.count == 16_000
    assert found.mean == pytest.approx(999.5e-6)


def test_a_reset_forgets() -> None:
    statistics = Statistics(["/x", "/y"])
    statistics.record("/x", 1)
    statistics.marks[3] = 5
    began = statistics.since
    statistics.reset()
    assert statistics.summaries() == {}
    assert statistics.since >= began
    assert statistics.marks[3] == 5
    statistics.record("/y", 2)
    assert {name: found.count for name, found in statistics.summaries().items()} == {"/y": 1}


def record_in_a_child(statistics: Statistics, values: int) -> None:
    for _ in range(values):
        statistics.record("/x", 0.001)


def fork(statistics: Statistics, *counts: int) -> None:
    children = [FORK.Process(target=record_in_a_child, args=(statistics, count)) for count in counts]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE * 4)
        assert child.exitcode == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # to fork where threads run
def test_processes_are_added_up() -> None:
    statistics = Statistics(["/x"])
    statistics.share(3)
    fork(statistics, 100, 200, 300)
    assert statistics.summaries()["/x"].count == 600
    fork(statistics, 1, 1, 1)  # who takes the rows of those that have ended
    assert statistics.summaries()["/x"].count == 603
    statistics.reset()
    fork(statistics, 2)
    assert statistics.summaries()["/x"].count == 2
