"""Results with figures that a test chooses."""

from collections.abc import Sequence

from fastserve.rig.measure.latency import Latency
from fastserve.rig.measure.result import Answer, Contestant, Errors, Machine, Result, Round, Scenario, Step

MACHINE = Machine(cpu="a cpu", cores=2, memory=1 << 33, kernel="Linux 6", python="CPython 3.11",
                  system="a system", load_cores=[1], server_cores=[0])


def latency_of(*milliseconds: float) -> Latency:
    return Latency.from_counts((round(each * 1e3), 1) for each in milliseconds)


def round_of(rate: float = 1000.0, cpu: float | None = 1e-5, p50: float = 1.0, memory: int | None = 1 << 20,
             errors: Errors | None = None, steps: list[Step] | None = None) -> Round:
    """A round of a second; its latencies are from half of ``p50`` (milliseconds) to twice as much."""
    return Round(
        began=1.5, seconds=1.0, requests=round(rate), rate=rate, octets=round(rate) * 100,
        latency=latency_of(p50 / 2, p50, p50 * 2), errors=errors or Errors(),
        cpu_seconds=None if cpu is None else cpu * rate, cpu_per_request=cpu, memory_peak=memory,
        memory=[] if memory is None else [(1.5, memory)], steps=steps or [])


def contestant_of(name: str, rounds: Sequence[Round]) -> Contestant:
    return Contestant(name, f"{name} 1.0", [name, "--port", "1"], "http://127.0.0.1:1/",
                      Answer(200, 5, "ab" * 32), list(rounds))


def scenario_of(*contestants: Contestant, name: str = "hello", **settings: object) -> Scenario:
    return Scenario(name, "", "closed", {"connections": 64, "seconds": 1.0, "rounds": 3, **settings},
                    list(contestants))


def result_of(*scenarios: Scenario) -> Result:
    return Result(made="2026-11-30T13:00:00Z", command=["measure"], machine=MACHINE, title="a title",
                  tools={"wrk": "4.1.0"}, scenarios=list(scenarios))
