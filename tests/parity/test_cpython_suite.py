"""CPython's own tests of http.server and what is built on it fail on fastserve where differences.py says.

Nowhere else: every test that passes on http.server and fails on fastserve must be named by a row there, and
every named test that this Python has must fail, so that no row outlives its difference. rebound.py runs the
suites.
"""

from pathlib import Path

import pytest

import fastserve

from .differences import DIFFERENCES
from .rebound import SUITES, Outcomes, is_there, run_all

# Not about behaviour: it compares http.server's __all__ with what that module defines itself, and here its
# names are bound to classes of another module. tests/test_server.py asks the same of fastserve.server.
OF_THE_MODULE_ITSELF = {"MiscTestCase.test_all"}

# How many tests of each suite there are at least, so that none gets lost. 3.10 has the fewest.
AT_LEAST = {
    "test_httpservers": 73, "test_wsgiref": 34, "test_xmlrpc": 93, "test_docxmlrpc": 8, "test_pydoc": 2,
    "test_logging": 1, "test_urllib2_localnet": 21,
}

EXPECTED = {test: key for key, row in DIFFERENCES.items() for test in row.tests}

All = dict[tuple[str, str], Outcomes]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> All:
    return run_all(tmp_path_factory.mktemp("suites"), Path(fastserve.__file__).parents[1])


def both(suite: str, outcomes: All) -> tuple[Outcomes, Outcomes]:
    """What became of a suite's tests on http.server and on fastserve."""
    if not is_there(suite):
        pytest.skip(f"this Python has no test.{suite}")
    return outcomes[suite, "http.server"], outcomes[suite, "fastserve"]


def with_outcome(kind: str, outcomes: Outcomes) -> set[str]:
    return {test for test, outcome in outcomes.items() if outcome.startswith(kind)}


def failed(outcomes: Outcomes) -> set[str]:
    return with_outcome("failed", outcomes)


@pytest.mark.parametrize("suite", SUITES)
def test_the_same_tests_run(suite: str, outcomes: All) -> None:
    theirs, ours = both(suite, outcomes)
    assert ours.keys() == theirs.keys()
    assert len(ours) >= AT_LEAST[suite]
    assert with_outcome("skipped", ours) == with_outcome("skipped", theirs)


@pytest.mark.parametrize("suite", SUITES)
def test_failures_are_intended_differences(suite: str, outcomes: All) -> None:
    theirs, ours = both(suite, outcomes)
    unexpected = failed(ours) - failed(theirs) - EXPECTED.keys() - OF_THE_MODULE_ITSELF
    assert not unexpected, "\n\n".join(f"{test}\n{ours[test]}" for test in sorted(unexpected))


@pytest.mark.parametrize("suite", SUITES)
def test_intended_differences_are_real(suite: str, outcomes: All) -> None:
    _, ours = both(suite, outcomes)
    stale = (ours.keys() & EXPECTED.keys()) - failed(ours)
    assert not stale, f"these pass, so their rows should not name them: {sorted(stale)}"
