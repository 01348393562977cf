"""TLS, beside other servers: `python bench/tls.py`. Measures what tls.toml says, and prints the rig's tables.

What the file cannot say is done here: all have one certificate, wrk offers one protocol, cipher and group,
and each handshake is a whole one, or a resumed one where it is to be that. For it a script called wrk, first
on PATH, starts the real one with handshakes.so, of which no contestant knows; what it has counted is looked
at after each scenario. Who has shaken hands otherwise is left out, and the status is 1. Knows no contestant.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import certificate
import common

from fastserve.rig.measure import cli, engine, result, scenario, terminal
from fastserve.rig.measure.contestants import program
from fastserve.rig.measure.result import Result
from fastserve.words import Refusal

SCENARIOS = common.HERE / "tls.toml"
SOURCE, LIBRARY = common.HERE / "handshakes.c", certificate.FOLDER / "handshakes.so"
RESUMED = "tls-resumed"  # the scenario in which all but the first of each connection are to be so
MOST = 0.99  # of them
WRK = """#!/bin/sh
exec env {settings} "ASKED=$*" {wrk} "$@"
"""


class Count(NamedTuple):
    """What one run of wrk has counted: a line of handshakes.c."""

    handshakes: int
    resumed: int
    agreed: str  # protocol and cipher
    asked: list[str]  # the arguments, of which one is a URL

    @classmethod
    def of(cls, line: str) -> Count:
        handshakes, resumed, protocol, cipher, *asked = line.split()
        return cls(int(handshakes), int(resumed), f"{protocol} {cipher}", asked)

    def fault(self, connections: int, resumes: bool) -> str | None:
        """Why it does not count, if so. The first handshake of a connection may be a whole one always."""
        if self.agreed != (wanted := f"{certificate.PROTOCOL} {certificate.CIPHER}"):
            return f"agreed to {self.agreed} instead of {wanted}"
        if self.resumed and not resumes:
            return f"resumed {self.resumed} TLS sessions of {self.handshakes}, instead of none"
        if resumes and self.resumed < self.handshakes * MOST - connections:
            return f"resumed no more than {self.resumed} TLS sessions of {self.handshakes}"
        return None


# -- wrk ---------------------------------------------------------------------------------------


def make_library() -> None:
    """Raises Refusal where it cannot be."""
    compiler = program("cc")
    if compiler is None:
        raise Refusal("there is no C compiler called cc")
    build = subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", LIBRARY, SOURCE], check=False,
                           capture_output=True, text=True)
    if build.returncode:
        raise Refusal(f"{SOURCE.name} does not compile: {build.stderr}")


@contextmanager
def counting(wrk: str, resumes: bool) -> Iterator[Path]:
    """For the block wrk is one that counts; gives the file that has a line of each time it ran."""
    before = os.environ["PATH"]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, counts = Path(name), Path(name, "counts")
        counts.touch()
        settings = [f"LD_PRELOAD={LIBRARY}", f"OPENSSL_CONF={certificate.make_offer()}",
                    f"HANDSHAKES={counts}", *([] if resumes else ["FORGET_SESSIONS=yes"])]
        (folder / "wrk").write_text(WRK.format(settings=shlex.join(settings), wrk=shlex.quote(wrk)))
        (folder / "wrk").chmod(0o755)
        os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
        try:
            yield counts
        finally:
            os.environ["PATH"] = before


# -- The comparison ----------------------------------------------------------------------------


def measured(plan: scenario.Plan, watcher: terminal.Watcher) -> tuple[Result, bool]:
    """What has been measured, in which the clock begins anew with each scenario; and whether all counts."""
    found: list[Result] = []
    is_right, wrk = True, common.wrk()
    for each in plan.scenarios:
        with counting(wrk, each.name == RESUMED) as counts:
            found.append(engine.measure(replace(plan, scenarios=(each,)), watcher, ["python", *sys.argv]))
            is_right &= judge(found[-1], list(map(Count.of, counts.read_text().splitlines())))
        if found[-1].interrupted:
            break
    return common.joined(found), is_right


def judge(found: Result, counts: list[Count]) -> bool:
    """Leave out whoever has shaken hands otherwise than was asked for. Returns whether nobody has."""
    is_right = True
    for each in found.scenarios:
        for contestant in list(each.contestants):
            if why := fault(each, contestant, counts):
                each.contestants.remove(contestant)
                found.left_out[f"{contestant.name}, {each.name}"] = why
                is_right = False
    return is_right


def fault(of: result.Scenario, contestant: result.Contestant, counts: list[Count]) -> str | None:
    own = [count for count in counts if contestant.url in count.asked]
    runs = len(contestant.rounds) + bool(of.settings["warm_up"])
    if len(own) < runs:
        return f"its handshakes were counted {len(own)} times of {runs}"
    faults = (count.fault(of.settings["connections"], of.name == RESUMED) for count in own)
    return next(filter(None, faults), None)


def run(args: argparse.Namespace) -> int:
    plan = scenario.load(SCENARIOS).chosen(args.scenario, args.contestant).changed(
        rounds=args.rounds, seconds=args.seconds)
    outputs: cli.Outputs = [(args.json, result.save)] if args.json else []
    for path, _ in outputs:
        cli.check_writable(path)
    certificate.make_certificate()
    make_library()
    with terminal.watching() as watcher:
        found, is_right = measured(plan, watcher)
    return cli.finish(found, outputs) or int(not is_right)


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/tls.py", description="Compare servers over TLS.")
    parser.add_argument("--rounds", type=int, help="how often each contestant is loaded")
    parser.add_argument("--seconds", type=float, help="of load in a round")
    parser.add_argument("--scenario", action="append", help="only this one (may be repeated)")
    parser.add_argument("--contestant", action="append", help="only this one (may be repeated)")
    parser.add_argument("--json", metavar="OUT", help="write the result, for the rig's report")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return common.concluded(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
