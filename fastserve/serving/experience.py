"""Which requests wait: what a moving loop has learned from those that were late.

The rule. A request that kept the loop so long that another thread took the lead was late. Its like, which
is all of the same method and path, is suspected; after the second time it waits by habit, and goes to a
thread at once. Every now and then one is tried in the loop again, at first after a tenth of a second and
after twice as long each time that the trial was late too. One that returned promptly takes back one time of
being late. So a path that has stopped to wait is back in the loop after two trials, and one that waits now
and then costs the others a few milliseconds now and then.

Only so many are known. When another is late and there is no room for it, those are forgotten that nobody has
asked about for longer than two trials are ever apart. All that find no room even so are judged together.

Knows keys and times, neither requests nor threads; serving.leader calls it.
"""

from collections.abc import Hashable

from fastserve.limits import FIRST_TRIAL, LAST_TRIAL, LATE_TWICE, SUSPECTS


class Suspect:
    """How often it was late of late, and when it is tried again."""

    __slots__ = ("late", "pause", "trial")

    def __init__(self) -> None:
        self.late = 0
        self.pause = FIRST_TRIAL
        self.trial = 0.0


class Experience:
    """``now`` is time.monotonic() everywhere. Where there are no ``suspects`` there is nothing to ask."""

    def __init__(self) -> None:
        self.suspects: dict[Hashable, Suspect] = {}

    def waits(self, key: Hashable, now: float) -> bool:
        """Whether to give a request to a thread at once."""
        suspect = self.suspects.get(self._known(key))
        if suspect is None or suspect.late < LATE_TWICE:
            return False
        if now < suspect.trial:
            return True
        suspect.trial = now + suspect.pause  # the others wait for what this trial says
        return False

    def was_late(self, key: Hashable, now: float) -> None:
        """A request was late."""
        if self._known(key) is None:
            self._forget(now)
        key = self._known(key)
        suspect = self.suspects.get(key)
        if suspect is None:
            self.suspects[key] = suspect = Suspect()
        elif suspect.late >= LATE_TWICE:
            suspect.pause = min(suspect.pause * 2, LAST_TRIAL)
        suspect.late = min(suspect.late + 1, LATE_TWICE)
        suspect.trial = now + suspect.pause

    def was_prompt(self, key: Hashable) -> None:
        """A request was not late."""
        key = self._known(key)
        suspect = self.suspects.get(key)
        if suspect is not None:
            suspect.late -= 1
            if not suspect.late:
                del self.suspects[key]

    def _forget(self, now: float) -> None:
        """Drop those nobody has asked about for long: one that is in use has its trial renewed in time."""
        self.suspects = {key: s for key, s in self.suspects.items() if s.trial + LAST_TRIAL >= now}

    def _known(self, key: Hashable) -> Hashable:
        return key if key in self.suspects or len(self.suspects) < SUSPECTS else None
