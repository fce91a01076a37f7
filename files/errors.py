"""Errors of the storage, by what the caller should do next.

FilesError (an OSError)
├── TryLater   the storage does not answer, or has no room: the same call may succeed later
├── Refused    the storage refuses the request: the configuration is wrong, and a repetition fails, too
└── Gone       there is no such file (a FileNotFoundError)
"""

from __future__ import annotations


class FilesError(OSError):
    """The storage cannot do what was asked.

    Attributes:
        key: of the file; empty if it is about the storage as a whole.
        detail: the reason, without secrets.
    """

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key}: {detail}" if key else detail)
        self.key = key
        self.detail = detail


class TryLater(FilesError):
    """The storage does not answer, or has no room; the same call may succeed later."""


class Refused(FilesError):
    """The storage refuses the request; a repetition fails, too, until the configuration is changed."""


class Gone(FilesError, FileNotFoundError):
    """There is no file with this key."""
