"""Runs this Python's own test.test_httpservers with http.server's names bound to fastserve's.

A program of its own, because the names must be bound before the suite is imported, and because what that
suite does (it changes directory, patches sys.stderr, checks for threads) must not meet pytest.
test_cpython_suite.py runs it: ``python rebound.py RESULT.json``.
"""

import faulthandler
import http.server
import json
import sys
import unittest

import fastserve.server

SUITE = "test.test_httpservers"

# Longer than the suite takes; a test that hangs ends the program with every thread's traceback.
PATIENCE = 50

NAMES = (
    "BaseHTTPRequestHandler",
    "SimpleHTTPRequestHandler",
    "HTTPServer",
    "ThreadingHTTPServer",
    "HTTPSServer",
    "ThreadingHTTPSServer",
)

# Cases of http.server's own classes, by the beginning of their name. Not for now.
LEFT_OUT = ("CGI", "BaseHTTPSServer")


def rebind() -> None:
    """Bind the names that http.server has in this version, so that no other one appears there."""
    for name in NAMES:
        if hasattr(http.server, name):
            setattr(http.server, name, getattr(fastserve.server, name))
    http.server.test = fastserve.server.test


class Outcomes(unittest.TestResult):
    """What became of each test, by its id without the module's name."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}

    def _note(self, test: unittest.TestCase, outcome: str) -> None:
        self.outcomes[test.id().removeprefix(SUITE + ".")] = outcome

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, f"skipped: {reason}")

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        super().addFailure(test, err)
        self._note(test, "failed: " + self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: object) -> None:
        super().addError(test, err)
        self._note(test, "failed: " + self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed: " + (self.failures + self.errors)[-1][1])


def wanted(suite: unittest.TestSuite) -> unittest.TestSuite:
    """The suite without the cases left out."""
    return unittest.TestSuite(
        case for case in flat(suite) if not type(case).__name__.startswith(LEFT_OUT)
    )


def flat(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    return [
        case
        for each in suite
        for case in (flat(each) if isinstance(each, unittest.TestSuite) else [each])
    ]


def main(result_path: str) -> None:
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    rebind()
    outcomes = Outcomes()
    wanted(unittest.defaultTestLoader.loadTestsFromName(SUITE)).run(outcomes)
    with open(result_path, "w", encoding="utf-8") as file:
        json.dump(outcomes.outcomes, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
