"""The instruments against servers whose latencies are known: order and shape here, where much else may run.

`python -m fastserve.rig.measure.truth` compares figures, on a machine that has nothing else to do.
"""

import argparse
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.measure import truth
from fastserve.rig.measure.driver import Outcome, Plan, drive
from fastserve.rig.measure.lawful import Law


def measure(law: Law, **about: Any) -> Outcome:
    with truth.running(law) as server:
        return drive(Plan(server.address, (truth.REQUEST,), **about))


# -- The laws themselves -----------------------------------------------------------------------


def test_a_law_has_the_percentiles_that_it_says() -> None:
    law = Law(median=0.002, sigma=0.8, count=1001)
    delays = law.delays()
    assert law.percentile(50) == statistics.median(delays) == pytest.approx(0.002)
    assert law.percentile(100) == max(delays)
    assert law.percentile(99) == pytest.approx(0.002 * math.exp(0.8 * 2.326), rel=0.02)


def test_its_order_is_the_seed_s() -> None:
    one, other, same = (Law(median=1, sigma=1, count=50, seed=seed).delays() for seed in (1, 2, 1))
    assert one == same != other
    assert sorted(one) == sorted(other)
    assert one != sorted(one)


@pytest.mark.parametrize(("which", "seconds"), [(50, 0), (90, 0), (95, 0.5), (99, 0.9), (100, 1)])
def test_a_stall_s_percentiles(which: float, seconds: float) -> None:
    assert Law(period=10, stall=1).percentile(which) == pytest.approx(seconds)


# -- The driver --------------------------------------------------------------------------------


def test_no_answer_is_faster_than_the_law() -> None:
    law = Law(median=0.005, sigma=0.5, count=200)
    outcome = measure(law, kind="rate", rate=400.0, seconds=0.5, connections=64)
    assert outcome.requests == 200
    measured = sorted(outcome.latency)
    assert all(found / 1e9 >= delay for found, delay in zip(measured, sorted(law.delays()), strict=True))


@pytest.mark.slow
def test_who_waits_for_a_stall_tells_so() -> None:
    """In three seconds there are three stalls of 0.3 s: three in ten requests come in one of them."""
    law = Law(period=1.0, stall=0.3)
    by_rate = measure(law, kind="rate", rate=200.0, seconds=3.0, connections=4)
    slow = [latency > 50_000_000 for latency in by_rate.latency]
    assert sum(slow) / len(slow) > 0.15
    closed = measure(law, kind="think", pause=0.02, seconds=3.0, connections=4)
    slow_ones = [latency > 50_000_000 for latency in closed.latency]
    assert 0 < sum(slow_ones) / len(slow_ones) < sum(slow) / len(slow) / 2
    assert sum(latency > 50_000_000 for latency in by_rate.uncorrected) < sum(slow) / 2


# -- The tables --------------------------------------------------------------------------------


@pytest.mark.parametrize(("found", "law", "close"), [
    (0.0011, 0.001, True), (0.0013, 0.001, False), (0.0009, 0.001, True), (0.0007, 0.001, False),
    (1.019, 1.0, True), (1.021, 1.0, False), (0.981, 1.0, True), (0.979, 1.0, False),
])
def test_what_is_close(found: float, law: float, close: bool) -> None:
    assert truth.is_close(found, law) == close


def test_percentiles_of_many() -> None:
    assert truth.percentiles_of(range(1, 1001), 1000) == {50: 0.5, 95: 0.95, 99: 0.99, 99.9: 0.999}
    assert truth.percentiles_of([7], 1) == dict.fromkeys(truth.PERCENTILES, 7)


@pytest.mark.slow
def test_the_script(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "stalls", lambda options: "stalls")
    monkeypatch.setattr(truth, "costs", lambda options: "costs")
    truth.main(["--seconds", "1", "--rate", "200", "--connections", "32"])
    said = capsys.readouterr().out
    assert said.startswith("Delays, 200 requests a second for 1 s (ms)\n")
    assert "200 answers, 0 errors, 0 unsent" in said
    assert said.endswith("\n\nstalls\n\ncosts\n")


@pytest.mark.slow
def test_h2load_is_read() -> None:
    program = shutil.which("h2load")
    if not program:
        pytest.skip("this machine has no h2load")
    law = Law(median=0.003, sigma=0.1, count=100)
    with truth.running(law) as server:
        plan = Plan(server.address, (truth.REQUEST,), "rate", 10, 1.0, 100.0)
        [found] = truth.by_h2load(program, plan)
    assert found.remark.startswith("100 answers")
    assert found.percentiles[50] >= 0.002


# -- CPU time ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_cpu_time_is_what_the_kernel_says() -> None:
    """Within 3 % of /proc, whose ticks are 10 ms. perf sees less where it is late, on a busy machine."""
    pytest.importorskip("psutil")
    title, *lines = truth.costs(argparse.Namespace(seconds=3.0)).splitlines()
    assert title.startswith("CPU time of a request, ")
    found = {line[:8].strip(): float(line.split()[-1].rstrip("%")) for line in lines}
    assert {"the rig", "/proc"} <= found.keys()
    assert found["/proc"] == 0
    assert abs(found["the rig"]) <= 3, lines
