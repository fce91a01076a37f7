"""Errors of media work, classed by what the caller should do next; no video library.

ChildError
├── Refused           the file is not accepted: report it to its owner, do not retry
├── OutOfMemory       too large for this machine: retry with less work
├── DeadlineExceeded  took too long: retry with less work
├── ChildFailed       a crash in a codec, or no result: retry, then report
│   └── InternalError     an exception in the program: retry with less work, then report
└── Stopped           the caller stopped the work: return it to the queue
"""


class ChildError(Exception):
    """Media work without a result."""


class Refused(ChildError):
    """The file is not accepted; `code` is stable, `detail` is a sentence for users that names the limit."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, str]]:
        return type(self), (self.code, self.detail)


class OutOfMemory(ChildError):
    """The work needs more memory than its limit; `held_bytes` and `limit_bytes` if known."""

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


class DeadlineExceeded(ChildError):
    """The work was not finished by its deadline and was killed."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(f"not finished within {deadline_s:g} seconds")
        self.deadline_s = deadline_s


class ChildFailed(ChildError):
    """The child ended without a result: `exit_code` or `signal`, and the end of its standard error."""

    def __init__(self, *, exit_code: int | None = None, signal: int | None = None, stderr_tail: str = "") -> None:
        how = f"signal {signal}" if signal is not None else f"exit code {exit_code}"
        super().__init__(f"the child ended with {how}" + (f": {stderr_tail.strip()[-300:]}" if stderr_tail else ""))
        self.exit_code = exit_code
        self.signal = signal
        self.stderr_tail = stderr_tail


class InternalError(ChildFailed):
    """The program raised an unexpected exception; the traceback is in `stderr_tail`."""

    def __init__(self, exception: str, *, exit_code: int | None = None, stderr_tail: str = "") -> None:
        super().__init__(exit_code=exit_code, stderr_tail=stderr_tail)
        self.exception = exception  # type and message, such as "ValueError: 29 is not a valid Type"


class Stopped(ChildError):
    """The caller stopped the work."""


class SandboxUnavailable(Exception):
    """The sandbox cannot be entered, so the work must not be done."""
