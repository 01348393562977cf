"""Version control over HTTP: Mercurial's hg serve and Dulwich's server, with real clients on both ends."""

import os
import sys
from pathlib import Path

from programs.process import call, running

HGRC = "[ui]\nusername = me\n[web]\npush_ssl = no\nallow_push = *\n"


def test_hg_serve(folder: Path) -> None:
    def hg(where: Path, *words: str) -> str:
        return call(where, sys.executable, "-m", "mercurial", *words, HGRCPATH=str(folder.parent / "hgrc"))

    (folder.parent / "hgrc").write_text(HGRC)
    hg(folder, "init")
    for n in range(20):
        (folder / f"file{n}").write_bytes(os.urandom(50000))
    hg(folder, "commit", "-qAm", "the first")
    words = ["-m", "mercurial", "serve", "-a", "127.0.0.1", "-p", "{port}"]
    with running(folder, *words, HGRCPATH=str(folder.parent / "hgrc")) as program:
        hg(folder.parent, "clone", "-q", program.url, "clone")
        clone = folder.parent / "clone"
        assert (clone / "file19").read_bytes() == (folder / "file19").read_bytes()
        (clone / "new").write_bytes(os.urandom(300000))
        hg(clone, "commit", "-qAm", "pushed")
        hg(clone, "push", "-q")
        assert hg(folder, "log", "-r", "tip", "-T", "{desc}") == "pushed"


def test_dulwich(folder: Path) -> None:
    def git(where: Path, *words: str) -> str:
        names = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "http.receivepack=true"]
        return call(where, "git", *names, *words, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")

    git(folder, "init", "-q", "--bare", ".")
    work = folder.parent / "work"
    git(folder.parent, "init", "-q", str(work))
    for n in range(20):
        (work / f"file{n}").write_bytes(os.urandom(50000))
    git(work, "add", ".")
    git(work, "commit", "-qm", "the first")
    with running(folder, "-m", "dulwich.web", "-l", "127.0.0.1", "-p", "{port}", ".") as program:
        git(work, "push", "-q", program.url + "/", "HEAD:refs/heads/main")  # its body comes in chunks
        git(folder.parent, "clone", "-q", "-b", "main", program.url + "/", "clone")
        assert (folder.parent / "clone" / "file7").read_bytes() == (work / "file7").read_bytes()
        assert git(folder, "log", "-1", "--format=%s", "main").strip() == "the first"
