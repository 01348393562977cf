"""Servers and plans for tests that measure: real ones, small, in processes of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastserve.rig.measure import scenario
from fastserve.rig.measure.terminal import Watcher

SERVER = Path(__file__).with_name("small_server.py")
SHORT = {"seconds": 1, "rounds": 2, "warm_up": 0, "connections": 4}


def small(*arguments: str) -> dict[str, Any]:
    """A contestant of tests/rig/small_server.py, as the scenario file has it."""
    return {"command": ["{python}", str(SERVER), "{port}", *arguments]}


def plan_of(contestants: dict[str, Any], *scenarios: dict[str, Any], **more: Any) -> scenario.Plan:
    """A plan of short rounds; scenarios are named by their kind and place."""
    named = {f"{each.get('kind', 'closed')}-{at}": each for at, each in enumerate(scenarios)}
    data = {"defaults": SHORT, "contestant": contestants, "scenario": named, **more}
    return scenario.parsed(data, Path(__file__).parent)


class Lines(Watcher):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.done: list[tuple[str, str]] = []
        self.expected = self.over = 0.0

    def began(self, seconds: float) -> None:
        self.expected = seconds

    def doing(self, what: str, who: str = "") -> None:
        self.done.append((what, who))

    def spent(self, seconds: float) -> None:
        self.over += seconds

    def tell(self, line: str) -> None:
        self.told.append(line)

    def rounds(self) -> Sequence[str]:
        """Who was measured, in order."""
        return [who for what, who in self.done if "round" in what]
