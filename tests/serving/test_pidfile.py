"""The pidfile: whole or not there, replaced when its process is gone, never in the place of anything else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pairs import Task

from fastserve.serving.pidfile import PidFile, is_running

MINE = f"{os.getpid()}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def dead() -> int:
    """The id of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    return process.pid


def test_it_is_there_while_it_is_wanted(path: Path) -> None:
    file = PidFile(str(path))
    assert not path.exists()
    file.write()
    assert path.read_text() == MINE
    assert os.listdir(path.parent) == ["pid"]
    file.remove()
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("text", ["", MINE, MINE.strip(), f"  {os.getpid()} \n"],
                         ids=["nothing", "ours", "without its end", "with blanks"])
def test_a_file_without_another_process_is_replaced(path: Path, text: str) -> None:
    """Its own too: in a container every run has the same id."""
    path.write_text(text)
    PidFile(str(path)).write()
    assert path.read_text() == MINE


def test_that_of_a_dead_process_is_replaced(path: Path) -> None:
    path.write_text(f"{dead()}\n")
    PidFile(str(path)).write()
    assert path.read_text() == MINE


def test_that_of_a_process_that_runs_is_kept(path: Path) -> None:
    text = f"{os.getppid()}\n"
    file = PidFile(str(path))
    path.write_text(text)
    with pytest.raises(OSError, match=f"process {os.getppid()}, which runs"):
        PidFile(str(path))
    with pytest.raises(OSError, match="which runs"):
        file.write()
    file.remove()
    assert path.read_text() == text


def test_a_process_of_somebody_else_runs() -> None:
    assert is_running(1)


@pytest.mark.parametrize("text", [
    "precious", "-1", "12 13", "1.5", "9" * 50, "\N{FULLWIDTH DIGIT ONE}", "x" * 500])
def test_what_is_no_process_id_is_somebody_s_file(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    with pytest.raises(OSError, match="holds no process id"):
        PidFile(str(path))
    assert path.read_text("utf-8") == text


def test_what_is_no_file_is_kept(path: Path) -> None:
    for make in (os.mkdir, os.mkfifo):
        make(path)
        with pytest.raises(OSError, match="holds no process id"):
            Task(PidFile, str(path)).result()
        os.rmdir(path) if path.is_dir() else os.unlink(path)
    with pytest.raises(OSError, match="holds no process id"):
        PidFile(os.devnull)


def test_a_link_is_followed(path: Path) -> None:
    (path.parent / "link").symlink_to(path)
    file = PidFile(str(path.parent / "link"))
    file.write()
    assert path.read_text() == MINE
    file.remove()
    assert os.listdir(path.parent) == ["link"]


def test_the_current_directory_may_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    file = PidFile("pid")
    file.write()
    monkeypatch.chdir("/")
    file.remove()
    assert not path.exists()


def test_a_folder_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PidFile(str(path / "pid")).write()


def test_nothing_is_left_of_a_write_that_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PidFile(str(path))
    monkeypatch.setattr(os, "replace", lambda *paths: os.stat("/nowhere/at/all"))
    with pytest.raises(FileNotFoundError):
        file.write()
    assert os.listdir(path.parent) == []


def test_to_remove_never_fails(path: Path) -> None:
    file = PidFile(str(path))
    file.remove()
    path.write_text("precious")
    file.remove()
    assert path.read_text() == "precious"
