"""What can go wrong with a piece of media work, named by what to do next; no video library.

ChildError
├── Refused         the file is not what we take: tell its owner, do not repeat
├── OutOfMemory     too big for this machine in this way: repeat with less to do
├── DeadlinePassed  took too long: repeat with less to do
├── ChildDied       a crash in a codec, or no answer: repeat, then report
│   └── InternalError   an exception in our own code: repeat with less to do, then report
└── Stopped         the caller asked for it: put the work back
"""


class ChildError(Exception):
    """Media work that gave no result."""


class Refused(ChildError):
    """The file is at fault; `code` is stable, `detail` is a sentence for people that names the limit."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, str]]:
        return type(self), (self.code, self.detail)


class OutOfMemory(ChildError):
    """The work needs more memory than its limit; `held_bytes` and `limit_bytes` if they are known."""

    def __init__(
        self,
        detail: str,
        *,
        held_bytes: int | None = None,
        limit_bytes: int | None = None,
        exit_code: int | None = None,
        signal: int | None = None,
        stderr_tail: str = "",
    ) -> None:
        super().__init__(detail)
        self.held_bytes = held_bytes
        self.limit_bytes = limit_bytes
        self.exit_code = exit_code
        self.signal = signal
        self.stderr_tail = stderr_tail


class DeadlinePassed(ChildError):
    """The work was ended because its time was over."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(f"not finished within {deadline_s:g} seconds")
        self.deadline_s = deadline_s


class ChildDied(ChildError):
    """The child ended without an answer; `exit_code` or `signal` says how, `stderr_tail` what it said last."""

    def __init__(self, *, exit_code: int | None = None, signal: int | None = None, stderr_tail: str = "") -> None:
        how = f"signal {signal}" if signal is not None else f"exit code {exit_code}"
        super().__init__(f"the child ended with {how}" + (f": {stderr_tail.strip()[-300:]}" if stderr_tail else ""))
        self.exit_code = exit_code
        self.signal = signal
        self.stderr_tail = stderr_tail


class InternalError(ChildDied):
    """Our own code raised an unexpected exception; the traceback is in `stderr_tail`."""

    def __init__(self, exception: str, *, exit_code: int | None = None, stderr_tail: str = "") -> None:
        super().__init__(exit_code=exit_code, stderr_tail=stderr_tail)
        self.exception = exception  # type and message, such as "ValueError: 29 is not a valid Type"


class Stopped(ChildError):
    """The work was ended because the caller asked for it."""
