"""What is told of the machine, and of what measured."""

import re
import subprocess
from pathlib import Path

import pytest

import fastserve
from fastserve.rig.measure import machine

pytest.importorskip("psutil")


def test_the_facts() -> None:
    found = machine.machine([0], [1])
    assert found.cpu
    assert found.cores >= 1
    assert found.memory > 1 << 20
    assert re.fullmatch(r"\w+ \S+", found.kernel)
    assert re.fullmatch(r"\w+ 3\.\d+\.\S+", found.python)
    assert found.system
    assert (found.server_cores, found.load_cores) == ([0], [1])
    if Path("/sys/class/net/lo").exists():
        assert found.loopback_mtu is not None
        assert found.loopback_mtu >= 1500


def test_the_tools() -> None:
    assert machine.tools()["fastserve"] == fastserve.__version__
    assert "psutil" in machine.tools()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], cwd=folder,
                   check=True, capture_output=True, timeout=30)


def test_the_commit(tmp_path: Path) -> None:
    try:
        git(tmp_path, "init")
    except FileNotFoundError:
        pytest.skip("no git")
    assert machine.commit(tmp_path) is None
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    found = machine.commit(tmp_path)
    assert found is not None
    assert re.fullmatch("[0-9a-f]{40,64}", found)
    (tmp_path / "file").write_text("two")
    assert machine.commit(tmp_path) == f"{found}+"
    assert machine.commit(Path("/")) is None
