"""Makes what is written in C beside this file into build/bench/. Called by contestants.py and load.py."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from processes import BenchError

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "build" / "bench"


@functools.cache
def compiled(source: str, output: str, *flags: str) -> Path:
    if shutil.which("cc") is None:
        raise BenchError("no C compiler called cc")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / output
    build = subprocess.run(["cc", "-O2", *flags, "-o", str(path), str(HERE / source)], check=False,
                           capture_output=True, text=True)
    if build.returncode:
        raise BenchError(f"{source} does not compile: {build.stderr}")
    return path
