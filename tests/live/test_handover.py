"""handover.py for a few seconds, and that it sees what is wrong."""

import pytest
from live import handover

pytestmark = pytest.mark.slow


def run(*more: str) -> handover.Stress:
    return handover.handover(handover.options(["--seed", "1", *more]))


@pytest.mark.parametrize("interval", [[], ["--switch-interval", "1e-6"]], ids=["", "switching"])
@pytest.mark.parametrize("server", ["threads", "tls", "http.server"])
def test_a_short_stress(server: str, interval: list[str]) -> None:
    done = run("--seconds", "2", "--connections", "100", "--server", server, *interval)
    assert done.faults == []


def test_a_short_stress_of_few_threads() -> None:
    """Most requests wait for one.

    On top come as many that have just answered, and do not wait for work yet; the leader, its reserve and
    the spare one; and who serves and watches.
    """
    done = run("--seconds", "2", "--connections", "100", "--max-threads", "4")
    assert done.faults == []
    assert done.threads <= 2 * 4 + 3 + 1


@pytest.mark.parametrize(("lie", "said"), [("octet", "another answer"), ("twice", "run were")])
def test_what_is_wrong_is_seen(lie: str, said: str) -> None:
    faults = run("--seconds", "1", "--connections", "20", "--server", "http.server", "--lie", lie).faults
    assert faults
    assert all(said in fault for fault in faults), faults
