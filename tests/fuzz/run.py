"""Coverage-guided fuzzing: `make fuzz T=60` runs every target for T seconds on a build made for it.

Each target has a process of its own, under libFuzzer (atheris), AddressSanitizer and
UndefinedBehaviorSanitizer; what is found is in build/fuzz/. `--keep` keeps what reached new code in the
corpora of the repository. Knows how to run targets, and not what they hold.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fuzz import corpora

FOUND = Path(__file__).parents[2] / "build" / "fuzz" / "found"
LONGEST = 4096  # octets of an input
SLOWEST = 10  # seconds that one input may take: more is a hang
MEMORY = 1024  # MiB of a process, which is small: more is a leak
# A leak goes on for ever; what Python keeps for itself is there after a while.
SPANS = 12  # of which the corpus is run ROUNDS times in each
ROUNDS = 100
LEAST = 16  # octets more each time that would be a leak


def fuzz(name: str, arguments: list[str]) -> None:
    """Be the fuzzer of one target; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["fastserve"]):
        from fuzz.targets import TARGETS

    atheris.Setup([str(launcher(name)), *arguments], TARGETS[name])
    atheris.Fuzz()


def launcher(name: str) -> Path:
    """A program that is the fuzzer of one target: libFuzzer starts itself anew; it takes findings, too."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"run-{name}"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fuzz.run --of {name} "$@"\n')
    path.chmod(0o755)
    return path


def leaks(name: str) -> bool:
    """Whether octets stay allocated whenever a target runs through its corpus, by the sanitizer's count."""
    from fuzz.targets import TARGETS

    allocated: Callable[[], int] = ctypes.CDLL(None).__sanitizer_get_current_allocated_bytes
    allocated.restype = ctypes.c_size_t  # type: ignore[attr-defined]
    inputs = corpora.read(name)
    before = allocated()
    for _ in range(SPANS):
        for octets in inputs * ROUNDS:
            TARGETS[name](octets)
        gc.collect()
        grown = allocated() - before
        if grown < ROUNDS * LEAST:
            return False
        before += grown
    print(f"{name}: {grown} octets more after {ROUNDS} runs of the corpus")
    return True


def run(name: str, seconds: int, corpus: Path) -> tuple[int, bool]:
    """Fuzz a target for so long; return how often it was run, and whether nothing was found."""
    for number, octets in enumerate(corpora.read(name)):
        (corpus / str(number)).write_bytes(octets)
    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1", "-verbosity=1",
    ]
    ended = myself("--of", name, *options, str(corpus), stderr=subprocess.PIPE, text=True)
    count = re.search(r"number_of_executed_units: *(\d+)", ended.stderr)
    if ended.returncode or count is None:
        print(ended.stderr[-6000:], file=sys.stderr)
    whole = not ended.returncode and count is not None and not myself("--leaks", name).returncode
    return int(count[1]) if count else 0, whole


def keep(name: str, corpus: Path) -> None:
    """Keep the fewest inputs that reach all that was reached."""
    with tempfile.TemporaryDirectory() as least:
        myself("--of", name, "-merge=1", least, str(corpus), stderr=subprocess.DEVNULL, check=True)
        inputs = [path.read_bytes() for path in Path(least).iterdir()]
        assert inputs, "libFuzzer has kept nothing"
        corpora.write(name, inputs)


def myself(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fuzz.run", *arguments], **options)


def run_all(names: Sequence[str], seconds: int, keeping: bool) -> int:
    total, failed = 0, []
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as corpus:
            count, whole = run(name, seconds, Path(corpus))
            if keeping and whole:
                keep(name, Path(corpus))
        print(f"{name}: {count:,} executions in {seconds} s, {'ok' if whole else 'FAILED'}", flush=True)
        total += count
        failed += [name] * (not whole)
    print(f"{total:,} executions of {len(names)} targets; failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def main(argv: list[str]) -> int:
    if argv[:1] == ["--of"]:
        fuzz(argv[1], argv[2:])
    if argv[:1] == ["--leaks"]:
        return int(leaks(argv[1]))
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz the targets, one after the other.")
    parser.add_argument("target", nargs="*", default=[*TARGETS], help="which: " + ", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep what reached new code in tests/fuzz/corpus")
    args = parser.parse_args(argv)
    if unknown := {*args.target} - {*TARGETS}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    return run_all(args.target, args.seconds, args.keep)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
