"""The output of a stage: JSON lines for the parent process, a progress bar and text for a terminal."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

Progress = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""

MIN_INTERVAL_S = 0.25  # between two reports of progress


class Output(Protocol):
    """Reports the progress and the result of a stage."""

    def progress(self, share: float) -> None:
        """Report the share of the work that is done, 0 to 1."""
        ...

    def write(self, message: dict[str, Any]) -> None:  # Any: JSON
        """Write the final message: "result", "refused", "out_of_memory" or "internal_error"."""
        ...


class JsonLinesOutput:
    """One JSON object a line, for the parent process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = 0.0

    def progress(self, share: float) -> None:
        """Write the progress, at most once in `MIN_INTERVAL_S`."""
        now = time.monotonic()
        if now - self._last >= MIN_INTERVAL_S:
            self._last = now
            self.write({"progress": round(share, 4)})

    def write(self, message: dict[str, Any]) -> None:  # Any: JSON
        """Write a message as one line."""
        self._stream.write(json.dumps(message, allow_nan=False) + "\n")
        self._stream.flush()


class TerminalOutput:
    """A progress bar on standard error if it is a terminal; the result as indented JSON on standard output."""

    WIDTH = 40

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = 0.0

    def progress(self, share: float) -> None:
        """Draw the progress bar, at most once in `MIN_INTERVAL_S`."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (share < 1 and now - self._last < MIN_INTERVAL_S):
            return
        self._last = now
        left_s = (now - self._began) * (1 - share) / share if share > 0 else 0.0
        bar = "#" * round(self.WIDTH * share)
        sys.stderr.write(f"\r{bar:<{self.WIDTH}} {share:6.1%}  {left_s:5.0f} s left ")
        sys.stderr.flush()

    def write(self, message: dict[str, Any]) -> None:  # Any: JSON
        """Clear the progress bar and print the result or the error."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        if "result" in message:
            sys.stdout.write(json.dumps(message["result"], indent=2) + "\n")
        elif "refused" in message:
            sys.stderr.write(f"refused ({message['refused']['code']}): {message['refused']['detail']}\n")
        elif "internal_error" in message:
            sys.stderr.write("internal error: the program failed, not the file\n")
        else:
            sys.stderr.write("not enough memory\n")
