"""Runs this Python's own tests of what is built on http.server, after fastserve.install() or without.

A program of its own, because install() must come before the suites are imported, and because what they do
(they change directory, patch sys.stderr, check for threads) must not meet pytest. test_cpython_suite.py runs
it for each suite and either way; by hand

    python tests/parity/rebound.py                      prints the table of all
    python tests/parity/rebound.py SUITE WAY RESULT     runs one; WAY is http.server or fastserve
"""

import faulthandler
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from collections import Counter
from pathlib import Path
from unittest import mock

# By name in the package `test`, with the classes that have to do with a server; () is all of them.
SUITES: dict[str, tuple[str, ...]] = {
    "test_httpservers": (),
    "test_wsgiref": (),
    "test_xmlrpc": (),
    "test_docxmlrpc": (),
    "test_pydoc": ("PydocServerTest", "PydocUrlHandlerTest"),
    "test_logging": ("HTTPHandlerTest",),
    "test_urllib2_localnet": (),
}

WAYS = ("http.server", "fastserve")
NOBODY = {"http.server": "http.server.nobody_uid", "fastserve": "fastserve.handlers.cgi.nobody_uid"}

# Longer than the suites take side by side; a test that hangs ends its program with every thread's traceback.
PATIENCE = 100

Outcomes = dict[str, str]


# -- One suite, in this process ----------------------------------------------------------------


class Noting(unittest.TestResult):
    """What became of each test, by its id without the module's name."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Outcomes = {}

    def _note(self, test: unittest.TestCase, outcome: str) -> None:
        self.outcomes[".".join(test.id().split(".")[-2:])] = outcome

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


def wanted(suite: unittest.TestSuite, classes: tuple[str, ...]) -> unittest.TestSuite:
    """Those classes of the suite, all if none is named."""
    return unittest.TestSuite(
        case for case in flat(suite) if not classes or type(case).__name__ in classes
    )


def flat(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    return [
        case
        for each in suite
        for case in (flat(each) if isinstance(each, unittest.TestSuite) else [each])
    ]


def deprecate_cgi() -> None:
    """From 3.13 on the suite asks for the warning that http.server's class gives; ours gives none."""
    import http.server

    class Handler(http.server.CGIHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            warnings.warn("'http.server.CGIHTTPRequestHandler'", DeprecationWarning, stacklevel=2)
            super().__init__(*args)

    http.server.CGIHTTPRequestHandler = Handler


def load(suite: str, way: str) -> unittest.TestSuite:
    """The whole suite, also for root, as whom its CGI scripts run then.

    By itself it leaves them out there: they would run as nobody, who may not reach this Python.
    """
    mock.patch(NOBODY[way], os.getuid).start()
    with mock.patch("os.geteuid", return_value=1):
        return unittest.defaultTestLoader.loadTestsFromName(f"test.{suite}")


def run(suite: str, way: str, result: str) -> None:
    """Run a suite and write what became of its tests to the file ``result``, as JSON."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    if way == "fastserve":
        import fastserve

        fastserve.install()
        if sys.version_info >= (3, 13):
            deprecate_cgi()
    noting = Noting()
    wanted(load(suite, way), SUITES[suite]).run(noting)
    Path(result).write_text(json.dumps(noting.outcomes, indent=1), "utf-8")


# -- All of them, each in a process of its own -------------------------------------------------


def is_there(suite: str) -> bool:
    """Whether this Python has that suite; some come without the package `test`."""
    try:
        return importlib.util.find_spec(f"test.{suite}") is not None
    except ImportError:
        return False


def run_all(where: Path, library: Path) -> dict[tuple[str, str], Outcomes]:
    """Run every suite either way, side by side; ``library`` is the folder that has fastserve.

    They serve the system's temporary folder, so they get one of their own below ``where``.
    """
    processes = {
        (suite, way): start(suite, way, where / f"{suite}-{way}", library)
        for suite in SUITES if is_there(suite)
        for way in WAYS
    }
    return {key: outcomes_of(process, where / "-".join(key)) for key, process in processes.items()}


def start(suite: str, way: str, folder: Path, library: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    env = {**os.environ, "PYTHONPATH": str(library), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), suite, way, "result.json"],
        cwd=folder, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )


def outcomes_of(process: subprocess.Popen[str], folder: Path) -> Outcomes:
    _, said = process.communicate(timeout=PATIENCE + 10)
    assert process.returncode == 0, said[-5000:]
    outcomes: Outcomes = json.loads((folder / "result.json").read_text("utf-8"))
    return outcomes


def counts(outcomes: Outcomes) -> str:
    """How many passed, failed and were skipped, as 55/7/0."""
    kinds = Counter(outcome.partition(":")[0] for outcome in outcomes.values())
    return f"{kinds['passed']}/{kinds['failed']}/{kinds['skipped']}"


def main() -> None:
    if sys.argv[1:]:
        run(*sys.argv[1:])
        return
    import fastserve

    print(f"passed/failed/skipped on Python {sys.version.split()[0]}")
    print(f"{'suite':24}{WAYS[0]:>14}{WAYS[1]:>14}")
    with tempfile.TemporaryDirectory() as where:
        found = run_all(Path(where), Path(fastserve.__file__).parents[1])
    for suite in SUITES:
        if (suite, WAYS[0]) in found:
            print(f"{suite:24}" + "".join(f"{counts(found[suite, way]):>14}" for way in WAYS))


if __name__ == "__main__":
    main()
