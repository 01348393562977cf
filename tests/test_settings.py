"""Settings from the environment and fastserve.toml: what counts, and what is wrong said in one line."""

from pathlib import Path
from typing import Any

import pytest
from test_cli import refused

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
    ('header = {X-One = " a  b ", X-Two = 2}', "header", [("X-One", "a  b"), ("X-Two", "2")]),
    ('auth = ["a:1", "b:2"]', "auth", [("a", "1"), ("b", "2")]),
    ('auth = "a:1"', "auth", [("a", "1")]),
    ('auth = {a = "1", b = " 2: 3 "}', "auth", [("a", "1"), ("b", " 2: 3 ")]),
    ('upload = "."\nupload-limit = "20M"', "upload_limit", 20 << 20),
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


@pytest.mark.parametrize("line", [["--conf", "other.toml"], ["--conf=other.toml"], ["--confi", "other.toml"]])
def test_a_file_that_is_named_by_less(line: list[str], home: Path) -> None:
    """As argparse reads options."""
    settle(home, "port = 2", "other.toml")
    assert options.parse(line).port == 2


@pytest.mark.parametrize("line", [
    ["--version"], ["--help"], ["--config", "none.toml", "--version"],
])
def test_what_needs_no_settings(line: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settle(home, "prot = 1")
    with pytest.raises(SystemExit) as end:
        options.parse(line)
    assert (end.value.code, "fastserve" in capsys.readouterr().out) == (0, True)
    assert options.parse(["--print-completion", "bash"]).print_completion == "bash"


def test_which_counts_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(home, 'port = 1\nbind = "::1"\nlog-format = "json"')
    monkeypatch.setenv("FASTSERVE_PORT", "2")
    monkeypatch.setenv("FASTSERVE_BIND", "127.0.0.1")
    for line in (["3"], ["3", "--spa"]):  # argparse is asked, and is not
        chosen = options.parse(line)
        assert (chosen.port, chosen.bind, chosen.log_format) == (3, "127.0.0.1", "json")


def test_what_may_be_said_more_than_once_adds_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(home, 'header = {X-One = "1"}')
    assert options.parse(["-H", "X-Two", "2"]).header == [("X-One", "1"), ("X-Two", "2")]
    monkeypatch.setenv("FASTSERVE_HEADER", "X-Three: 3")
    assert options.parse(["-H", "X-Two", "2"]).header == [("X-One", "1"), ("X-Three", "3"), ("X-Two", "2")]


TLS = {"TLS_CERT": "c", "TLS_KEY": "k", "TLS_PASSWORD_FILE": "p"}


@pytest.mark.parametrize(("text", "environment", "line", "expected"), [
    ("no-cache = true", {}, ["--cache-control", "x"], {"no_cache": False, "cache_control": "x"}),
    ('cache-control = "x"', {}, ["--no-cache"], {"no_cache": True, "cache_control": None}),
    ("", {"TLS_SELF_SIGNED": "1"}, ["--tls-cert", "c"], {"tls_cert": "c", "tls_self_signed": False}),
    ("", TLS, ["--tls-self-signed"],
     {"tls_cert": None, "tls_key": None, "tls_password_file": None, "tls_self_signed": True}),
    ('port = 1\nbind = "::1"', {}, ["--unix", "s"], {"unix": "s", "port": 8000, "bind": None}),
    ('unix = "s"', {}, ["0"], {"unix": None, "port": 0}),
    ("", {"UNIX": "s"}, ["-b", "::1"], {"unix": None, "port": 8000, "bind": "::1"}),
    ("no-cache = true", {"CACHE_CONTROL": "x"}, [], {"no_cache": False, "cache_control": "x"}),
    ('tls-cert = "c"', {"TLS_SELF_SIGNED": "yes"}, [], {"tls_cert": None, "tls_self_signed": True}),
    ("port = 1", {"UNIX": "s"}, ["--spa"], {"unix": "s", "port": 8000}),
    ('cache-control = "x"', {"NO_CACHE": "0"}, [], {"no_cache": False, "cache_control": "x"}),
    ('tls-cert = "c"\ntls-key = "k"', {}, ["--tls-cert", "d"], {"tls_cert": "d", "tls_key": None}),
    ('tls-cert = "c"\ntls-key = "k"', {"TLS_CERT": "d"}, [], {"tls_cert": "d", "tls_key": None}),
    ('tls-cert = "c"', {}, ["--tls-key", "k"], {"tls_cert": "c", "tls_key": "k"}),
    ("open = true\nqr = true", {}, ["--unix", "s"], {"unix": "s", "open": False, "qr": False}),
    ("cgi = true", {}, ["--upload", "."], {"cgi": False}),
    ('upload = "."', {}, ["--cgi"], {"cgi": True, "upload": None}),
    ('upload-limit = "20M"', {}, [], {"upload": None}),
    ("upload-overwrite = true", {"UPLOAD_LIMIT": "1k"}, [], {"upload": None}),
    ('upload = "."', {}, ["--upload-limit", "1k"], {"upload_limit": 1024}),
])
def test_what_counts_first_silences_what_says_otherwise(
    text: str, environment: dict[str, str], line: list[str], expected: dict[str, Any], home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if text:
        settle(home, text)
    for name, value in environment.items():
        monkeypatch.setenv(f"FASTSERVE_{name}", value)
    chosen = vars(options.parse(line))
    assert {name: chosen[name] for name in expected} == expected


@pytest.mark.parametrize(("text", "words"), [
    ('no-cache = true\ncache-control = "x"', "--no-cache and --cache-control are two answers"),
    ('tls-cert = "c"\ntls-self-signed = true', "--tls-self-signed makes a certificate; leave out --tls-cert"),
    ('unix = "s"\nport = 1', "--unix takes the place of port and --bind"),
])
def test_two_answers_in_one_place(text: str, words: str, home: Path) -> None:
    settle(home, text)
    with pytest.raises(Refusal, match=words):
        options.parse([])


@pytest.mark.parametrize(("text", "words"), [
    ("prot = 1", "fastserve.toml: there is no setting 'prot'; is 'port' meant?"),
    ("version = true", "fastserve.toml: there is no setting 'version'"),
    ("port = 70000", "fastserve.toml: port: port '70000' is not a number from 0 to 65535"),
    ("port = [1]", "fastserve.toml: port: [1] is not one text or number"),
    ("no-listing = 'perhaps'", "fastserve.toml: no-listing: 'perhaps' is neither true nor false"),
    ("header = ['X-One']", "fastserve.toml: header: header 'X-One' is not of the form Name: value"),
    ("header = 5", "fastserve.toml: header: header '5' is not of the form Name: value"),
    ("header = [5]", "fastserve.toml: header: header '5' is not of the form Name: value"),
    ("header = [['X-One']]", "fastserve.toml: header: ['X-One'] is not one text or number"),
    ("header = [['A', 'b', 'c']]", "fastserve.toml: header: ['A', 'b', 'c'] is not one text or number"),
    ("header = [['A: b', 'c']]", "fastserve.toml: header: header name 'A: b' must consist of letters"),
    ("header = {A = ['b']}", "fastserve.toml: header: ['b'] is not one text or number"),
    ("auth = {a = true}", "fastserve.toml: auth: True is not one text or number"),
    ("auth = 5", "fastserve.toml: auth: --auth is to be USER:PASSWORD"),
    ("auth = [['a', '1']]", "fastserve.toml: auth: ['a', '1'] is not one text or number"),
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


def test_a_wrong_file_is_one_line(home: Path) -> None:
    settle(home, "header = 5")
    assert refused("0") == "fastserve.toml: header: header '5' is not of the form Name: value"


@pytest.mark.parametrize("line", [["--config"], ["0", "--config"], ["--config", "--spa"], ["--conf"]])
def test_no_file_is_named(line: list[str]) -> None:
    assert refused(*line).startswith("argument --config: expected one argument")


def test_no_name_is_no_other_file(home: Path) -> None:
    settle(home, "port = 1")
    with pytest.raises(Refusal, match=r"^cannot read the settings in ''"):
        options.parse(["--config", ""])


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
