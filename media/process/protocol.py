"""The variables that a child gets from its parent, and the exit codes and refusals that both know.

The parent does not import `media.process.child`, which parses command lines and shows progress.
"""

from __future__ import annotations

import struct

ENV_PARENT_PIPE, ENV_CPU_S = "MEDIA_PARENT_PIPE", "MEDIA_CPU_S"
ENV_SOURCE = "MEDIA_SOURCE"  # of a source that lacks blocks: JSON of `media.process.block_server`
BLOCK_NUMBER, FETCHED = struct.Struct("<Q"), b"\1"  # a request for a block, and its answer
EXIT_REFUSED, EXIT_OUT_OF_MEMORY = 3, 4  # 2 is a wrong command line
EXIT_INTERNAL_ERROR = 70  # sysexits.h: an error in the program


def no_such_file(error: FileNotFoundError) -> tuple[str, str]:
    """Return the code and the detail of the refusal for a missing file."""
    return "no_such_file", f"there is no file {error.filename}"
