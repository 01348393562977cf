"""What is packed and how it is run: metadata, what the archives hold, units and container, by their files.

Reads the tree and builds nothing; .ci/wheel builds, installs and uses. Where this is no clone of the
repository, what asks git is skipped.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

import fastserve
from fastserve.options import make_parser

ROOT = Path(__file__).resolve().parents[1]
CONTRIB = ROOT / "contrib"
WAIT = 120.0

if sys.version_info >= (3, 11):
    import tomllib

    PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
else:
    PROJECT = {}

needs_toml = pytest.mark.skipif(not PROJECT, reason="Python 3.10 reads no TOML")


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=WAIT)
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    if "setup.py" not in names:
        pytest.skip("this is no clone of the repository")
    return names


def options() -> set[str]:
    return {word for action in make_parser()._actions for word in action.option_strings}


def unknown(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("-") and word.partition("=")[0] not in options()]


# -- Metadata ----------------------------------------------------------------------------------


@needs_toml
def test_the_licence_is_the_one_in_the_tree() -> None:
    assert PROJECT["project"]["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License\n")


@needs_toml
def test_it_depends_on_nothing() -> None:
    assert PROJECT["project"]["dependencies"] == []


@needs_toml
@pytest.mark.parametrize("extra", ["qr", "tls", "completion", "test", "docs", "bench", "dev"])
def test_an_extra(extra: str) -> None:
    assert PROJECT["project"]["optional-dependencies"][extra]


@needs_toml
def test_pythons_are_the_same_everywhere() -> None:
    """As classifiers, for pip, for cibuildwheel, and for ruff and mypy."""
    said = re.findall(r":: Python :: 3\.(\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    first, last = int(said[0]), int(said[-1])
    assert [int(minor) for minor in said] == list(range(first, last + 1))
    built = {name.partition("-")[0] for pattern in PROJECT["tool"]["cibuildwheel"]["build"]
             for name in unbraced(pattern)}
    assert built == {f"cp3{minor}" for minor in said}
    assert PROJECT["project"]["requires-python"] == f">=3.{first}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{first}"
    assert PROJECT["tool"]["mypy"]["python_version"] == f"3.{first}"


def unbraced(pattern: str) -> Iterator[str]:
    """As a shell would: a{b,c}d are abd and acd."""
    found = re.search(r"\{([^}]*)\}", pattern)
    if not found:
        yield pattern
        return
    for word in found[1].split(","):
        yield from unbraced(pattern[:found.start()] + word + pattern[found.end():])


@needs_toml
def test_the_commands_of_the_configuration_exist() -> None:
    command = PROJECT["tool"]["cibuildwheel"]["test-command"]
    assert (ROOT / command.split()[1].replace("{project}/", "")).is_file()
    assert PROJECT["project"]["scripts"] == {"fastserve": "fastserve.cli:main"}


@needs_toml
def test_every_package_is_named(tracked: list[str]) -> None:
    there = {str(Path(name).parent).replace("/", ".") for name in tracked
             if name.startswith("fastserve/") and name.endswith(".py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == there


# -- What is in the archives -------------------------------------------------------------------


NOT_SHIPPED = (".gitignore", ".gitattributes")
SOURCES = (".pyx", ".pxd")


@needs_toml
def test_a_wheel_has_all_but_the_sources(tracked: list[str]) -> None:
    """Each file of a package is Python, or is named by package-data, or is what the core is made of."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    patterns = [f"{package.replace('.', '/')}/{pattern}" for package in data for pattern in data[package]]
    ours = [name for name in tracked if name.startswith("fastserve/")]
    rest = [name for name in ours if not name.endswith((".py", *SOURCES))]
    assert [name for name in rest if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [name for name in tracked if name.endswith(SOURCES)
            and any(fnmatch(name, pattern) for pattern in patterns)] == []


@pytest.fixture(scope="module")
def archived() -> Iterator[list[str]]:
    """What MANIFEST.in, as setuptools reads it, puts into the source archive, as far as it is here."""
    egg_info = pytest.importorskip("setuptools.command.egg_info")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        files = egg_info.FileList(warn=lambda *args: None)
        files.findall()
        for line in (ROOT / "MANIFEST.in").read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                files.process_template_line(line)
        yield files.files


def test_a_source_archive_has_what_is_tracked(tracked: list[str], archived: list[str]) -> None:
    """But for what setuptools finds by itself."""
    by_itself = {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"}
    python = {name for name in tracked if name.startswith("fastserve/") and name.endswith(".py")}
    assert sorted({*tracked} - {*archived} - by_itself - python - {*NOT_SHIPPED}) == []


def test_a_source_archive_has_nothing_that_is_generated(archived: list[str]) -> None:
    made = (".so", ".o", ".pyc", ".whl", ".log")
    assert [name for name in archived if name.endswith(made) or name.startswith(("build/", "dist/"))] == []
    assert [name for name in archived if re.fullmatch(r"fastserve/.*\.(c|cpp|html\.bak)", name)] == []


# -- Services ----------------------------------------------------------------------------------


def settings(name: str) -> list[tuple[str, str]]:
    lines = (CONTRIB / name).read_text("utf-8").splitlines()
    return [(key, value) for key, eq, value in (line.partition("=") for line in lines)
            if eq and not line_is_comment(key)]


def line_is_comment(text: str) -> bool:
    return text.startswith(("#", ";"))


def test_the_service_uses_options_that_exist() -> None:
    words = shlex.split(dict(settings("fastserve.service"))["ExecStart"])[1:]
    make_parser().parse_args(words)
    assert unknown(words) == []


def test_the_service_can_be_reloaded() -> None:
    """SIGHUP ends a server that has no workers."""
    unit = dict(settings("fastserve.service"))
    assert "--workers" in unit["ExecStart"].split()
    assert unit["ExecReload"].endswith("-HUP $MAINPID")
    assert (unit["Type"], unit["DynamicUser"], unit["ProtectSystem"]) == ("notify", "yes", "strict")


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="this machine has no systemd tools")


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The two, with a command that this machine has."""
    for name in ("fastserve.socket", "fastserve.service"):
        text = (CONTRIB / name).read_text("utf-8").replace("/opt/fastserve/bin/fastserve", sys.executable)
        (tmp_path / name).write_text(text)
    return [str(tmp_path / "fastserve.socket"), str(tmp_path / "fastserve.service")]


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=WAIT)


@needs_systemd
def test_systemd_understands_the_units(units: list[str]) -> None:
    done = analyze("verify", *units)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "fastserve" in line]) == (0, [])


@needs_systemd
def test_systemd_finds_the_service_locked_in(units: list[str]) -> None:
    """Of 10, by its own table; the threshold is in tenths."""
    if "--offline" not in analyze("--help").stdout:
        pytest.skip("this systemd-analyze reads no unit that is not loaded")
    done = analyze("security", "--offline=true", "--threshold=15", units[1])
    assert done.returncode == 0, done.stdout


# -- The container -----------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Containerfile, its lines joined, and the rest of it."""
    text = (CONTRIB / "Containerfile").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines if line]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(i for i, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_the_container_is_nobody_s_and_has_no_compiler() -> None:
    stage = dict(last_stage())
    assert stage["FROM"].endswith("-slim")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage["USER"])
    assert "RUN" not in stage


def test_the_container_uses_options_that_exist() -> None:
    stage = dict(last_stage())
    words = eval(stage["ENTRYPOINT"])
    assert words[0] == "fastserve"
    assert unknown(words[1:]) == []
    check = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", stage["HEALTHCHECK"])
    assert check
    assert (check[1], check[2]) == (stage["EXPOSE"], words[words.index("--health") + 1])


def test_the_container_copies_what_a_build_needs() -> None:
    copied = " ".join(rest for word, rest in instructions() if word == "COPY").split()
    sources = [name for name in copied if not name.startswith(("-", "/", "."))]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert {"fastserve", "setup.py", "pyproject.toml", "README.md", "LICENSE"} <= {*sources}


# -- Texts -------------------------------------------------------------------------------------


TEXTS = ["SECURITY.md", "CONTRIBUTING.md", "contrib/README.md"]


@pytest.mark.parametrize("text", TEXTS)
def test_links_lead_somewhere(text: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / text).read_text("utf-8"))
    assert [link for link in links if not ((ROOT / text).parent / link).exists()] == []


def test_smoke_passes_here() -> None:
    """The tests that .ci/wheel and cibuildwheel run, on what is installed here or built in place."""
    home = Path(fastserve.__file__).resolve().parents[1]
    done = run_python(str(ROOT / "tests" / "smoke.py"), path=home)
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr.splitlines()[-1]


def run_python(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    code = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv.pop(0); " \
           "runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code, str(path), *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=WAIT)

