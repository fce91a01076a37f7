"""How many messages each consuming process has worked off, queue by queue: counted in memory, seen in its lease file.

Counting in the tables would make every commit larger. The price: the counts go with the process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Counts", "Tally", "parsed"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a process has done for a queue since it began to consume."""

    done: int  # messages worked off, retries that are to come included
    died: int  # messages that went to the dead letters after their work


class Tally:
    """The counts of this process."""

    def __init__(self) -> None:
        self._done: Counter[str] = Counter()
        self._died: Counter[str] = Counter()
        self.fresh = False  # whether something was counted that nobody has been shown

    def count(self, done: Sequence[str], died: Sequence[str]) -> None:
        """Count one for each queue named."""
        if done or died:
            self._done.update(done)
            self._died.update(died)
            self.fresh = True

    def text(self) -> str:
        """Return one line for `parsed`."""
        queues = sorted(self._done | self._died)
        return json.dumps({queue: [self._done[queue], self._died[queue]] for queue in queues})


def parsed(line: str) -> dict[str, Counts]:
    """Return the counts by queue; none for a line that is empty or half-written."""
    try:
        return {queue: Counts(*counts) for queue, counts in json.loads(line).items()}
    except ValueError:
        return {}
