"""CPython's own tests of http.server, run on fastserve: they fail where differences.py says, and only there.

Every failure must be named by a row there, and every named test that this Python has must fail, so that no
row outlives its difference. rebound.py runs the suite; what it leaves out, and why:

  CGI*               the cases of CGIHTTPRequestHandler, which is http.server's own until fastserve has one
  BaseHTTPSServer*   the cases of HTTPSServer, from 3.14 on: they come with the tests of TLS
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastserve

from .differences import DIFFERENCES

PATIENCE = 60.0

# Not about behaviour: it compares http.server's __all__ with what that module defines itself, and here its
# names are bound to classes of another module. tests/test_server.py asks the same of fastserve.server.
OF_THE_MODULE_ITSELF = {"MiscTestCase.test_all"}

EXPECTED = {test: key for key, row in DIFFERENCES.items() for test in row.tests}


def has_suite() -> bool:
    try:
        return importlib.util.find_spec("test.test_httpservers") is not None
    except ImportError:
        return False


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if not has_suite():
        pytest.skip("this Python has no test package (test.test_httpservers)")
    where = tmp_path_factory.mktemp("suite")
    # TMPDIR: the suite serves the system's temporary folder, which should be its own.
    env = {**os.environ, "PYTHONPATH": str(Path(fastserve.__file__).parents[1]), "TMPDIR": str(where)}
    program = Path(__file__).with_name("rebound.py")
    run = subprocess.run(
        [sys.executable, str(program), "result.json"],
        cwd=where, env=env, timeout=PATIENCE, capture_output=True, text=True, check=False,
    )
    assert run.returncode == 0, run.stderr[-5000:]
    result: dict[str, str] = json.loads((where / "result.json").read_text("utf-8"))
    return result


def failed(outcomes: dict[str, str]) -> set[str]:
    return {test for test, outcome in outcomes.items() if outcome.startswith("failed")}


def test_the_suite_is_whole(outcomes: dict[str, str]) -> None:
    classes = {test.split(".")[0] for test in outcomes}
    assert len(outcomes) >= 59
    assert {
        "BaseHTTPRequestHandlerTestCase",
        "BaseHTTPServerTestCase",
        "RequestHandlerLoggingTestCase",
        "ScriptTestCase",
        "SimpleHTTPRequestHandlerTestCase",
        "SimpleHTTPServerTestCase",
    } <= classes
    skipped = [test for test, outcome in outcomes.items() if outcome.startswith("skipped")]
    assert len(skipped) <= 3, skipped


def test_failures_are_intended_differences(outcomes: dict[str, str]) -> None:
    unexpected = failed(outcomes) - EXPECTED.keys() - OF_THE_MODULE_ITSELF
    assert not unexpected, "\n\n".join(f"{test}\n{outcomes[test]}" for test in sorted(unexpected))


def test_intended_differences_are_real(outcomes: dict[str, str]) -> None:
    stale = (outcomes.keys() & EXPECTED.keys()) - failed(outcomes)
    assert not stale, f"these pass, so their rows should not name them: {sorted(stale)}"
