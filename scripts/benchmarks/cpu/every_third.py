"""Runs the gaze stage with every third frame measured, as it is near a deadline; without the sandbox of its command."""

import json

from media.gaze.__main__ import parser
from media.gaze.time_budget import TimeBudget
from media.process import memory
from media.stages import gaze


class EveryThirdFrame(TimeBudget):
    """A time budget that is short from the first frame on."""

    def interval(self, index: int) -> int:
        """Return the widest interval."""
        del index
        return 3


if __name__ == "__main__":
    memory.configure()
    command = parser()
    command.add_argument("--json", action="store_true", help="as the stage's command; always on")
    setattr(gaze, TimeBudget.__name__, EveryThirdFrame)  # the stage builds its budget itself
    print(json.dumps({"result": gaze.correct(command.parse_args(), lambda _: None)}))
