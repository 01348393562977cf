"""What one load has seen of a server, by whatever tool it was made. Knows no tool and no server."""

from __future__ import annotations

from dataclasses import dataclass

from fastserve.rig.measure.asking import Wrong
from fastserve.rig.measure.latency import Latency
from fastserve.rig.measure.result import Errors

BUSY = 0.95  # of a core; from there on it is the load that is slow, not the server
TOLERANCE = 0.05  # of an answer's size: under load its fields may be a little longer or shorter


@dataclass
class Load:
    """``seconds`` is how long it lasted, ``octets`` is what was received, heads and all."""

    requests: int
    seconds: float
    octets: int
    errors: Errors
    latency: Latency
    uncorrected: Latency | None = None
    first_byte: Latency | None = None
    busy: float | None = None  # the part of its time in which who made it had something to do
    limit: str = ""  # says why who made it rather than the server may be what was slow

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    def ensure_answers_of(self, size: float, cut_off: int) -> None:
        """Raise Wrong unless these were answers of that size (octets, whole), as when they were verified.

        Of an answer that its time cuts off the octets alone are counted: up to ``cut_off`` of them come on
        top.
        """
        if not self.requests:
            raise Wrong(f"answered nothing within {self.seconds:.0f} s")
        least = self.requests * size * (1 - TOLERANCE)
        most = (self.requests + cut_off) * size * (1 + TOLERANCE)
        if not least <= self.octets <= most:
            raise Wrong(f"answered otherwise under load: {self.octets / self.requests:.0f} octets each, "
                        f"{size:.0f} when verified")
