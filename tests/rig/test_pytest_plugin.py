"""The fixtures of pytest's plugin, in suites of their own, each run by a pytest of its own."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from fastserve.rig import pytest_plugin

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("psutil", "hdrh", "rich", "plotly", "jinja2", "trustme", "locust", "tomli")

ASK = """
import urllib.request

def ask(server, path):
    with urllib.request.urlopen(server.url(path), timeout=5) as answer:
        return answer.read()
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """One that has this plugin, whether fastserve is installed or not, and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:cacheprovider")
    pytester.makepyfile(asking=ASK)
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_subprocess("-p", "fastserve.rig.pytest_plugin", *arguments, timeout=60)


def test_a_server_for_each_test(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        from asking import ask

        PORTS = []

        def test_one(fastserve_origin):
            fastserve_origin.answer("/x", "one")
            assert ask(fastserve_origin, "/x") == b"one"
            PORTS.append(fastserve_origin.port)

        def test_another(fastserve_origin):
            assert fastserve_origin.received == []
            assert ask(fastserve_origin, "/bytes/10")
            fastserve_origin.answer("/never", 200)  # nobody has asked to check it
    """)
    run(suite).assert_outcomes(passed=2)


def test_a_server_for_all(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        from asking import ask

        def test_one(fastserve_origin_session):
            fastserve_origin_session.answer("/x", "for all")

        def test_another(fastserve_origin_session, fastserve_origin):
            assert ask(fastserve_origin_session, "/x") == b"for all"
            assert fastserve_origin.port != fastserve_origin_session.port
    """)
    run(suite).assert_outcomes(passed=2)


def test_no_thread_and_no_descriptor_is_left(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import os
        import threading

        from asking import ask

        def count():
            fds = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
            return fds, threading.active_count()

        COUNTS = []

        def test_before():
            COUNTS.append(count())

        def test_one(fastserve_origin):
            ask(fastserve_origin, "/plaintext")

        def test_after():
            assert count() == COUNTS[0]
    """)
    run(suite).assert_outcomes(passed=3)


def test_a_check_that_was_asked_for(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest

        @pytest.mark.fastserve_origin(check=True)
        def test_missing(fastserve_origin):
            fastserve_origin.answer("/never", 200)

        @pytest.mark.fastserve_origin(check=True)
        def test_all_given(fastserve_origin):
            pass
    """)
    result = run(suite)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*scripted answers were not given: GET /never (never)"])


def test_how_the_server_is_to_be(suite: pytest.Pytester) -> None:
    pytest.importorskip("trustme")
    suite.makepyfile("""
        import urllib.error
        import urllib.request

        import pytest

        pytestmark = pytest.mark.fastserve_origin(endpoints=False, unexpected_status=500)

        @pytest.mark.fastserve_origin(tls=True, unexpected_status=501)
        def test_it(fastserve_origin):
            assert fastserve_origin.url().startswith("https://")
            with pytest.raises(urllib.error.HTTPError, match="501") as caught:
                urllib.request.urlopen(
                    fastserve_origin.url("/bytes/1"), timeout=5, context=fastserve_origin.ssl_context)
            caught.value.close()
    """)
    run(suite).assert_outcomes(passed=1)


@pytest.mark.parametrize("said", ["port=80", "True"])
def test_a_marker_that_is_wrong(suite: pytest.Pytester, said: str) -> None:
    suite.makepyfile(f"""
        import pytest

        @pytest.mark.fastserve_origin({said})
        def test_it(fastserve_origin):
            pass
    """)
    result = run(suite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["marker fastserve_origin has no *; it takes fastserve_origin(check=*"])


def test_the_fixtures_and_the_marker_are_told(suite: pytest.Pytester) -> None:
    run(suite, "--fixtures").stdout.fnmatch_lines(
        ["fastserve_origin --*", "*An origin of this test*", "fastserve_origin_session *session scope*"])
    run(suite, "--markers").stdout.fnmatch_lines([f"@pytest.mark.{pytest_plugin.HELP}"])


def test_who_does_not_use_it_does_not_pay(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import sys

        def test_it():
            loaded = {name for name in sys.modules if name.startswith("fastserve.rig.")}
            assert loaded == {"fastserve.rig.pytest_plugin"}
    """)
    run(suite).assert_outcomes(passed=1)


def test_it_needs_no_extra(suite: pytest.Pytester) -> None:
    suite.makeconftest(f"import sys\nsys.modules.update(dict.fromkeys({EXTRAS!r}))")
    suite.makepyfile("""
        from asking import ask

        def test_it(fastserve_origin):
            fastserve_origin.answer("/x", json=1)
            assert ask(fastserve_origin, "/x") == b"1"
            assert ask(fastserve_origin, "/bytes/3")
    """)
    run(suite).assert_outcomes(passed=1)


def test_tests_side_by_side(suite: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    suite.makepyfile("""
        import pytest
        from asking import ask

        @pytest.mark.parametrize("number", range(8))
        def test_it(fastserve_origin, fastserve_origin_session, number):
            for server in (fastserve_origin, fastserve_origin_session):
                server.answer("/x", str(number))
                assert ask(server, "/x") == str(number).encode()
    """)
    run(suite, "-p", "xdist", "-n", "2").assert_outcomes(passed=8)


def test_it_is_where_pytest_looks_for_plugins() -> None:
    """In what is built of this tree; what is installed may be older."""
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    value = project["entry-points"]["pytest11"]["fastserve"]
    entry = importlib.metadata.EntryPoint("fastserve", value, "pytest11")
    assert entry.load() is pytest_plugin
