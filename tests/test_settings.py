"""Settings from the environment and fastserve.toml: what counts, and what is wrong said in one line."""

from pathlib import Path
from typing import Any

import pytest

from fastserve import options
from fastserve.words import Refusal


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settle(home: Path, text: str, name: str = "fastserve.toml") -> None:
    pytest.importorskip("tomllib") if options.sys.version_info >= (3, 11) else pytest.importorskip("tomli")
    (home / name).write_text(text)


def test_nothing_is_said(home: Path) -> None:
    chosen = options.parse([])
    assert (chosen.port, chosen.cors, chosen.settings) == (8000, None, None)


@pytest.mark.parametrize(("variable", "value", "name", "expected"), [
    ("PORT", "9000", "port", 9000),
    ("BIND", "127.0.0.1", "bind", "127.0.0.1"),
    ("CORS", "*", "cors", "*"),
    ("CORS", "1", "cors", "*"),
    ("CORS", "off", "cors", None),
    ("CORS", "https://a.example", "cors", "https://a.example"),
    ("SPA", "yes", "spa", "index.html"),
    ("SPA", "app.html", "spa", "app.html"),
    ("NO_LISTING", "true", "no_listing", True),
    ("NO_LISTING", "0", "no_listing", False),
    ("PRECOMPRESSED", "on", "precompressed", True),
    ("LOG_FORMAT", "json", "log_format", "json"),
    ("HEADER", "X-One: 1\nX-Two: a: b", "header", [("X-One", "1"), ("X-Two", "a: b")]),
    ("AUTH", "a:1\nb:2", "auth", [("a", "1"), ("b", "2")]),
    ("MIN_RATE", "0", "min_rate", 0.0),
    ("UPLOAD_LIMIT", "20M", "upload_limit", 20 << 20),
    ("UNKNOWN", "1", "port", 8000),
])
def test_the_environment(
    variable: str, value: str, name: str, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FASTSERVE_{variable}", value)
    assert getattr(options.parse([]), name) == expected


@pytest.mark.parametrize(("text", "name", "expected"), [
    ("port = 9000", "port", 9000),
    ('cors = true', "cors", "*"),
    ('cors = "https://a.example"', "cors", "https://a.example"),
    ('log-format = "json"', "log_format", "json"),
    ('log_format = "json"', "log_format", "json"),
    ("no-listing = true", "no_listing", True),
    ("no-listing = false", "no_listing", False),
    ('header = [["X-One", "1"], ["X-Two", "2"]]', "header", [("X-One", "1"), ("X-Two", "2")]),
    ('header = {X-One = "1"}', "header", [("X-One", "1")]),
    ('auth = ["a:1", "b:2"]', "auth", [("a", "1"), ("b", "2")]),
    ('auth = "a:1"', "auth", [("a", "1")]),
    ("idle-timeout = 2.5", "idle_timeout", 2.5),
])
def test_the_file(text: str, name: str, expected: Any, home: Path) -> None:
    settle(home, text)
    chosen = options.parse([])
    assert (getattr(chosen, name), chosen.settings) == (expected, str(home / "fastserve.toml"))


def test_a_file_that_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(home, "port = 1")
    settle(home, "port = 2", "other.toml")
    settle(home, "port = 3", "third.toml")
    assert options.parse(["--config", "other.toml"]).port == 2
    assert options.parse(["--config=other.toml"]).port == 2
    monkeypatch.setenv("FASTSERVE_CONFIG", "third.toml")
    assert options.parse([]).port == 3
    assert options.parse(["--config", "other.toml"]).port == 2


def test_which_counts_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(home, 'port = 1\nbind = "::1"\nlog-format = "json"')
    monkeypatch.setenv("FASTSERVE_PORT", "2")
    monkeypatch.setenv("FASTSERVE_BIND", "127.0.0.1")
    for line in (["3"], ["3", "--spa"]):  # argparse is asked, and is not
        chosen = options.parse(line)
        assert (chosen.port, chosen.bind, chosen.log_format) == (3, "127.0.0.1", "json")


def test_what_may_be_said_more_than_once_adds_up(home: Path) -> None:
    settle(home, 'header = {X-One = "1"}')
    assert options.parse(["-H", "X-Two", "2"]).header == [("X-One", "1"), ("X-Two", "2")]


@pytest.mark.parametrize(("text", "words"), [
    ("prot = 1", "fastserve.toml: there is no setting 'prot'; is 'port' meant?"),
    ("version = true", "fastserve.toml: there is no setting 'version'"),
    ("port = 70000", "fastserve.toml: port: port '70000' is not a number from 0 to 65535"),
    ("port = [1]", "fastserve.toml: port: [1] is not one text or number"),
    ("no-listing = 'perhaps'", "fastserve.toml: no-listing: 'perhaps' is neither true nor false"),
    ("header = ['X-One']", "fastserve.toml: header: header 'X-One' is not of the form Name: value"),
    ("port =", "cannot read the settings in 'fastserve.toml': "),
])
def test_what_is_wrong_in_the_file(text: str, words: str, home: Path) -> None:
    settle(home, text)
    with pytest.raises(Refusal) as refusal:
        options.parse([])
    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)


def test_what_is_wrong_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSERVE_PORT", "x")
    with pytest.raises(Refusal, match=r"^FASTSERVE_PORT: port 'x' is not a number from 0 to 65535$"):
        options.parse([])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(Refusal, match=r"^cannot read the settings in 'none.toml': No such file"):
        options.parse(["--config", "none.toml"])


@pytest.mark.parametrize(("line", "port", "cors", "spa"), [
    (["--cors", "9000"], 9000, "*", None),
    (["--spa", "9000"], 9000, None, "index.html"),
    (["--spa", "app.html", "9000"], 9000, None, "app.html"),
    (["--cors", "https://a.example", "9000"], 9000, "https://a.example", None),
    (["9000", "--cors", "--spa"], 9000, "*", "index.html"),
    (["--cors=https://a.example", "--spa=x/y.html"], 8000, "https://a.example", "x/y.html"),
])
def test_values_that_need_not_be_given(line: list[str], port: int, cors: Any, spa: Any) -> None:
    chosen = options.parse(line)
    assert (chosen.port, chosen.cors, chosen.spa) == (port, cors, spa)
