"""A measurement on a terminal: how far it is, and tables of what came out. With rich, or plain where that is
missing or nobody looks.

Knows results, and nothing of how they come about. cli.py calls it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Final, TextIO

from fastserve.rig.measure import compare
from fastserve.rig.measure.compare import CPU, RATE, Comparison, Figure, Ratio
from fastserve.rig.measure.result import Contestant, Result, Round, Scenario
from fastserve.rig.report import figures, units

Rows = list[tuple[str, ...]]
Writer = Callable[[float | None], str]

PLAIN: Final = {units.SPACE: " ", units.NOTHING: "-", "\N{GREEK SMALL LETTER MU}": "u"}
WRITERS: Final[dict[str, Writer]] = {
    "rate": units.rate, "cpu_per_request": units.seconds, "p50": units.seconds, "p99": units.seconds,
    "memory": units.octets,
}
TITLES: Final = {"rate": "requests", "cpu_per_request": "CPU a request", "memory": "memory, peak"}


# -- While it is measured ------------------------------------------------------------------------


class Watcher:
    """Hears how far a measurement is, and says it in lines; of what is repeated it says nothing."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._last = ""

    def began(self, seconds: float) -> None:
        """It will take about so long."""
        self.tell(f"this takes about {units.seconds(seconds)}")

    def doing(self, what: str, who: str = "") -> None:
        """What is done now, and by or with whom."""
        if what != self._last:
            self._last = what
            self.tell(what)

    def spent(self, seconds: float) -> None:
        """Of what it takes, so much is over."""

    def tell(self, line: str) -> None:
        """A line that stays."""
        print(encodable(line, self._stream), file=self._stream, flush=True)


class _Bar(Watcher):
    """A bar. It is drawn between rounds and never in one, where it would take time from the load."""

    def __init__(self, progress: Any) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def began(self, seconds: float) -> None:
        self._progress.update(self._task, total=seconds)

    def doing(self, what: str, who: str = "") -> None:
        self._progress.update(self._task, description=f"{what}, {who}" if who else what)
        self._progress.refresh()

    def spent(self, seconds: float) -> None:
        self._progress.advance(self._task, seconds)
        self._progress.refresh()

    def tell(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False)


@contextlib.contextmanager
def watching() -> Iterator[Watcher]:
    """For the block: a bar where stderr is a terminal and rich is there, lines elsewhere."""
    rich = _rich(sys.stderr)
    if rich is None:
        yield Watcher()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=rich, auto_refresh=False, transient=True) as progress:
        yield _Bar(progress)


# -- Afterwards ----------------------------------------------------------------------------------


def show(result: Result, stream: TextIO | None = None) -> None:
    """Print the tables of a result, and who was left out."""
    stream = stream or sys.stdout
    for scenario in result.scenarios:
        _print(heading(scenario), rows(scenario), stream)
        if called := calls(scenario):
            _print(f"{scenario.name}: system calls of a request", called, stream)
    for name, why in result.left_out.items():
        print(encodable(f"left out: {name}: {why}", stream), file=stream)
    if result.interrupted:
        print("interrupted: this is what had been measured", file=stream)
    stream.flush()


def show_comparison(comparison: Comparison, threshold: float, stream: TextIO | None = None) -> None:
    """Print what two runs have in common, and what changed."""
    stream = stream or sys.stdout
    headings = ("scenario", "contestant", "figure", "old", "new", "new / old", "95 %", "")
    table: Rows = [headings]
    for each in comparison.changes:
        write = WRITERS[each.figure.name]
        verdict = each.verdict()
        mark = f"{verdict}, past the threshold" if each.is_regression(threshold) else verdict
        table.append((each.scenario, each.contestant, title(each.figure), write(each.old), write(each.new),
                      units.ratio(each.ratio.value), _ends(each.ratio), "" if verdict == "same" else mark))
    _print("", table, stream, texts=3)
    for note in comparison.notes:
        print(encodable(f"note: {note}", stream), file=stream)
    stream.flush()


def heading(scenario: Scenario) -> str:
    """What stands above a table: the scenario, and how it was measured."""
    said = scenario.settings
    parts = [f"{said['connections']} connections"] if said.get("connections") else []
    if said.get("rate"):
        parts.append(f"{units.plain(said['rate'])} requests/s")
    if numbers := sorted({len(each.rounds) for each in scenario.contestants}):
        rounds = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        parts.append(f"medians of {rounds} rounds of {said.get('seconds', 0):g} s")
    name = scenario.name + (f": {scenario.title}" if scenario.title else "")
    return f"{name} ({scenario.kind}; {'; '.join(parts)})"


def rows(scenario: Scenario) -> Rows:
    """Return the headings, and a row for each contestant."""
    contestants = [each for each in scenario.contestants if each.rounds]
    if not contestants:
        return [("nothing was measured",)]
    first, compared = contestants[0], _compared(contestants)
    rate = "saturation" if scenario.kind == "ramp" else "requests/s"
    beside = f"{'CPU' if compared is CPU else 'rate'} x {first.name}"
    table: Rows = [("", rate, "p50", "p99", "p99.9", "CPU/request", "memory", beside, "95 %", "errors",
                    "system calls", "idle, each", "rate kept")]
    for each in contestants:
        ratio = compare.pairwise(compare.values(each, compared), compare.values(first, compared))
        table.append((each.name, _median(each, lambda one: one.rate, units.plain),
                      *(_percentile(each, key) for key in ("50", "99", "99.9")),
                      _median(each, lambda one: one.cpu_per_request, units.seconds),
                      _median(each, lambda one: one.memory_peak, units.octets),
                      units.ratio(ratio.value) if ratio else units.NOTHING,
                      _ends(ratio) if ratio and each is not first else "",
                      str(sum(one.errors.total for one in each.rounds) or ""),
                      _median(each, lambda one: one.system_calls, units.plain, ""),
                      _median(each, Round.idle_octets, units.octets, ""),
                      _median(each, Round.rate_kept, units.ratio, "")))
    return _without_empty(table)


def calls(scenario: Scenario) -> Rows:
    """Return the system calls of a request by their names, a column for each contestant; [] without any."""
    found = {each.name: one.calls for each in scenario.contestants for one in each.rounds if one.calls}
    rows = figures.by_call(found)
    return [("", *found), *((name, *map(units.plain, each)) for name, each in rows)] if rows else []


def title(figure: Figure) -> str:
    return TITLES.get(figure.name, figure.name)


def _compared(contestants: Sequence[Contestant]) -> Figure:
    """CPU time, where it is known: rates are equal where the load bounds them."""
    return CPU if all(compare.known(each, CPU) for each in contestants) else RATE


def _median(contestant: Contestant, of: Callable[[Round], float | None], write: Writer,
            nothing: str = units.NOTHING) -> str:
    found = [value for one in contestant.rounds if (value := of(one)) is not None]
    return write(median(found)) if found else nothing


def _percentile(contestant: Contestant, key: str) -> str:
    return _median(contestant, lambda one: one.latency.within(key), units.seconds)


def _ends(ratio: Ratio) -> str:
    return "" if ratio.low is None else units.between(ratio.low, ratio.high, units.ratio)


def _without_empty(table: Rows) -> Rows:
    columns = [column for column in zip(*table, strict=True) if {*column[1:]} - {"", units.NOTHING}]
    return list(zip(*columns, strict=True))


# -- Printing ------------------------------------------------------------------------------------


def encodable(text: str, stream: TextIO) -> str:
    """Return a text that a stream can take: what its encoding lacks is written in ASCII."""
    try:
        text.encode(stream.encoding or "utf-8")
        return text
    except UnicodeEncodeError:
        for mark, other in PLAIN.items():
            text = text.replace(mark, other)
        return text.encode("ascii", "replace").decode("ascii")


def aligned(table: Rows, texts: int = 1) -> str:
    """Return a table as lines: the first columns to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(width) if at < texts else cell.rjust(width)
                       for at, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _print(said: str, table: Rows, stream: TextIO, texts: int = 1) -> None:
    rich = _rich(stream)
    if rich is None:
        text = aligned(table, texts)
        print(encodable(f"{said}\n{text}\n" if said else text, stream), file=stream)
        return
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(said) if said else None, title_justify="left")
    for at, column in enumerate(table[0]):
        drawn.add_column(Text(column), justify="left" if at < texts else "right", no_wrap=at < texts)
    for row in table[1:]:
        drawn.add_row(*map(Text, row))
    rich.print(drawn)


def _rich(stream: TextIO) -> Any:
    """A console of rich for a terminal, None where it is none or rich is missing."""
    if not stream.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream)
