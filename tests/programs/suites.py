"""Runs the test suites of other people's packages on http.server and on fastserve, and tells the difference.

    python tests/programs/suites.py [NAME ...]

For each it downloads the source distribution of the pinned version, makes an environment of its own below
build/suites/, and runs the same tests twice there: as they are, and with install() called before anything
is imported, also in the processes that the tests start. It prints the table that README.md has, and ends with
1 where a test that passes on http.server fails on fastserve for no reason that SUITES names.

Knows pip, pytest's and unittest's last words, and the keys of tests/parity/differences.py. Nobody imports it.
"""

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "suites"
WITNESS = Path(__file__).with_name("witness") / "sitecustomize.py"
WAIT = 900.0  # seconds, for one run of one suite

PYTEST = ("-m", "pytest", "-q", "-rfE", "--color=no", "--timeout=60", "-p", "no:cacheprovider")


class Suite(NamedTuple):
    """One package and what of its tests is run.

    ``command`` is what Python is called with in the folder of the sources; ``needs`` are further packages.
    ``differs`` names the tests that must fail on fastserve, each with the row of differences.py that says
    why. ``told`` says in a few words what the tests are.
    """

    project: str
    command: tuple[str, ...]
    told: str
    needs: tuple[str, ...] = ()
    differs: dict[str, str] = {}

    @property
    def name(self) -> str:
        return self.project.partition("==")[0]


# A suite that reaches for other addresses than those of this machine has those tests left out.
SUITES = [
    Suite(
        "standard-library",
        ("-m", "unittest", "-v", "test.test_wsgiref", "test.test_xmlrpc", "test.test_docxmlrpc",
         "test.test_pydoc.PydocServerTest", "test.test_pydoc.PydocUrlHandlerTest", "test.test_robotparser",
         "test.test_urllib2_localnet", "test.test_logging.HTTPHandlerTest"),
        "wsgiref, xmlrpc, pydoc, urllib, logging's HTTPHandler",
    ),
    Suite(
        "werkzeug==3.1.9", (*PYTEST, "tests"), "all",
        needs=("cryptography", "ephemeral-port-reserve"),
        differs={
            "tests/test_serving.py::test_server[unix socket]": "host",
            "tests/test_serving.py::test_chunked_request[True]": "framing",
            "tests/test_serving.py::test_multiple_headers_concatenated": "value-blanks",
            "tests/test_serving.py::test_multiline_header_folding": "folding",
        },
    ),
    Suite("flask==3.1.3", (*PYTEST, "tests"), "all", needs=("pytest<9", "asgiref", "greenlet")),
    Suite(
        "django==5.2.19",
        ("-Wignore", "tests/runtests.py", "--parallel=1", "servers", "builtin_server", "staticfiles_tests",
         "handlers", "wsgi"),
        "servers, builtin_server, staticfiles_tests, handlers, wsgi",
    ),
    Suite("prometheus-client==0.26.0", (*PYTEST, "tests"), "all", needs=("asgiref",)),
    Suite("pytest-httpserver==1.2.0", (*PYTEST, "tests"), "all", needs=("requests", "toml")),
    Suite("pytest-localserver==0.10.0.post0", (*PYTEST, "tests"), "all", needs=("requests",)),
    Suite("pytest-httpbin==2.1.0", (*PYTEST, "tests"), "all", needs=("requests",)),
    Suite("msal==1.39.0", (*PYTEST, "tests/test_authcode.py"), "test_authcode"),
    Suite("google-auth-oauthlib==1.5.0", (*PYTEST, "tests"), "all", needs=("click",)),
    Suite("acme==5.9.0", (*PYTEST, "src/acme/_internal/tests"), "all"),
    Suite("dulwich==1.2.21", (*PYTEST, "tests/compat/test_web.py"), "tests.compat.test_web, with git"),
    Suite("jsonrpclib-pelix==1.2.0", (*PYTEST, "--continue-on-collection-errors", "tests"),
          "all but five modules whose helper is not in the source distribution"),
    Suite("paste==3.10.1", (*PYTEST, "tests"), "all"),
    Suite("websockify==0.13.0", (*PYTEST, "tests"), "all", needs=("jwcrypto", "redis")),
    Suite("mkdocs==1.6.1", ("-m", "unittest", "-v", "mkdocs.tests.livereload_tests"), "livereload_tests"),
    Suite(
        "warcprox==2.13.1", (*PYTEST, "tests/test_warcprox.py"), "test_warcprox",
        needs=("warcio", "mock", "pyopenssl<25.4"),
        differs={
            "tests/test_warcprox.py::test_limits": "host",
            "tests/test_warcprox.py::test_method_filter": "host",
            "tests/test_warcprox.py::test_crawl_log": "host",
        },
    ),
    Suite(
        "yt-dlp==2026.10.26",
        (*PYTEST, "test/test_networking.py", "test/test_http_proxy.py", "test/test_downloader_http.py",
         "-k", "not connect_timeout and not allproxy"),
        "test_networking, test_http_proxy, test_downloader_http",
        needs=("pytest<9", "requests", "curl_cffi", "websockets", "brotli"),
    ),
    Suite("sphinx==9.0.4",
          (*PYTEST, "tests/test_builders/test_build_linkcheck.py", "tests/test_ext_intersphinx"),
          "test_build_linkcheck, test_ext_intersphinx", needs=("pytest<9", "defusedxml", "cython")),
    Suite("feedparser==6.0.14", ("tests/runtests.py",), "all"),
]


class Outcome(NamedTuple):
    """What became of one run: how many tests passed and were skipped, the names of those that failed."""

    passed: int
    skipped: int
    failed: frozenset[str]
    servers: int  # that were started
    patched: int  # of them, those that are made of fastserve's classes

    def __str__(self) -> str:
        parts = [f"{self.passed} passed"]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        return ", ".join(parts)


# -- Making ready ------------------------------------------------------------------------------------


def prepare(suite: Suite) -> Path:
    """Make the suite's folder anew: an environment with it and fastserve, and its sources."""
    home = HOME / suite.name
    shutil.rmtree(home, ignore_errors=True)
    call(sys.executable, "-m", "venv", home / "env")
    python = home / "env" / "bin" / "python"
    packages = [suite.project] if "==" in suite.project else []
    call(python, "-m", "pip", "install", *packages, *suite.needs, "pytest", "pytest-timeout", wheel())
    watch(python)
    (home / "sources").mkdir()
    (home / "pytest.ini").write_text("[pytest]\n")  # for those without one, who would be given fastserve's
    for package in packages:
        call(python, "-m", "pip", "download", "--no-deps", "--no-binary", suite.name, "-d", home, package)
        with tarfile.open(next(home.glob("*.tar.gz"))) as archive:
            archive.extractall(home / "sources", filter="data")
    return home


@functools.cache
def wheel() -> Path:
    """fastserve, built once."""
    shutil.rmtree(HOME / "wheel", ignore_errors=True)
    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", HOME / "wheel", ROOT)
    return next((HOME / "wheel").glob("*.whl"))


def watch(python: Path) -> None:
    """Let every process of that environment import the witness, whatever it makes of PYTHONPATH."""
    where = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    shutil.copy(WITNESS, Path(where, "fastserve_witness.py"))
    Path(where, "fastserve_witness.pth").write_text("import fastserve_witness\n")


def call(*words: str | Path) -> str:
    """The output of a command, whose failure is the end."""
    env = os.environ | {"PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


# -- Running -----------------------------------------------------------------------------------------


def outcome(suite: Suite, home: Path, patched: bool) -> Outcome:
    """Run the suite once. Its output stays in a file beside the sources."""
    name = "fastserve" if patched else "http.server"
    witness = home / f"{name}.servers"
    witness.unlink(missing_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env |= {"FASTSERVE_WITNESS": str(witness), "COLUMNS": "1000"}
    env |= {"FASTSERVE_INSTALL": "1"} if patched else {}
    sources = next((home / "sources").iterdir(), home / "sources")
    with open(home / f"{name}.log", "wb") as log:
        subprocess.run(
            [home / "env" / "bin" / "python", *suite.command], cwd=sources, env=env, timeout=WAIT,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False,
        )
    servers = witness.read_text().splitlines() if witness.exists() else []
    return Outcome(
        *counted(Path(log.name).read_text("utf-8", "replace")), len(servers),
        sum("\"fastserve." in each for each in servers),
    )


def counted(log: str) -> tuple[int, int, frozenset[str]]:
    """How many passed and were skipped, and which failed, by the last words of pytest or unittest."""
    ran = re.findall(r"^Ran (\d+) tests? in ", log, re.MULTILINE)
    if ran:
        failed = frozenset(re.findall(r"^(?:FAIL|ERROR): (\w+ \(.*)$", log, re.MULTILINE))
        last = re.findall(r"^(?:OK|FAILED)(.*)$", log, re.MULTILINE)[-1]
        notes = dict(re.findall(r"(\w[\w ]*)=(\d+)", last))
        skipped = int(notes.get("skipped", 0))
        others = sum(int(notes.get(note, 0)) for note in ("failures", "errors", "expected failures"))
        return int(ran[-1]) - skipped - others, skipped, failed
    last = re.findall(r"^(?:=+ )?(\d+ \w+.*) in [\d.]+s", log, re.MULTILINE)
    if not last:
        sys.exit(f"no test has run:\n{log[-3000:]}")
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last[-1])}
    summary = log.rpartition("short test summary info")[2]
    failed = frozenset(re.findall(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", summary, re.MULTILINE))
    return counts.get("passed", 0), counts.get("skipped", 0), failed


# -- Telling -----------------------------------------------------------------------------------------


class Result(NamedTuple):
    """Both runs of a suite, the tests that fail on fastserve alone, and those that do as they like."""

    suite: Suite
    before: Outcome
    after: Outcome
    regressions: frozenset[str]
    unsteady: frozenset[str] = frozenset()

    def row(self) -> str:
        suite = self.suite
        told = [f"{len(tests)} by `{key}`" for key, tests in self.intended().items()]
        told += [f"**{test}**" for test in sorted(self.regressions)]
        told += [f"passes now: {test}" for test in sorted(suite.differs.keys() - self.after.failed)]
        told += [f"unsteady: {test}" for test in sorted(self.unsteady)]
        cells = (suite.project.replace("==", " "), suite.told, self.before, self.after,
                 f"{self.after.patched} of {self.after.servers}", ", ".join(told) or "none")
        return f"| {' | '.join(map(str, cells))} |"

    def intended(self) -> dict[str, list[str]]:
        """The tests that fail on fastserve for a reason, by the key of that reason."""
        found: dict[str, list[str]] = {}
        for test in self.after.failed & self.suite.differs.keys():
            found.setdefault(self.suite.differs[test], []).append(test)
        return found


def compare(suite: Suite) -> Result:
    """Run both ways; where that says something new, once more, as not every suite is steady."""
    home = prepare(suite)
    before, after = outcome(suite, home, False), outcome(suite, home, True)
    if (after.failed - before.failed) == suite.differs.keys():
        return Result(suite, before, after, frozenset())
    then, again = outcome(suite, home, False), outcome(suite, home, True)
    alone = (after.failed & again.failed) - before.failed - then.failed - suite.differs.keys()
    return Result(suite, then, again, alone, (before.failed ^ then.failed) | (after.failed ^ again.failed))


def main() -> None:
    parser = argparse.ArgumentParser(description="Other people's tests, on http.server and on fastserve.")
    parser.add_argument("names", nargs="*", help="packages; all where none is named")
    names = parser.parse_args().names
    unknown = set(names) - {suite.name for suite in SUITES}
    if unknown:
        parser.error(f"no suite of {', '.join(sorted(unknown))}")
    results = []
    for suite in SUITES:
        if not names or suite.name in names:
            results.append(compare(suite))
            print(results[-1].row(), flush=True)
    if any(result.regressions for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
