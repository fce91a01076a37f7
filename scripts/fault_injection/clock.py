"""The wall clock of the machine under test, which can be set; its monotonic clocks are those of the kernel."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")
_OFFSET = struct.Struct("=q")  # seconds


class WallClock:
    """A wall clock that differs from the real one by an offset, in all processes that have the environment."""

    def __init__(self, directory: Path) -> None:
        """Compile the library that shifts the clock.

        Raises:
            OSError: there is no C compiler.
            subprocess.CalledProcessError: the library cannot be compiled.
        """
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise FileNotFoundError("no C compiler: the wall clock cannot be set")
        library, file = directory / "wall_clock.so", directory / "wall_clock_offset"
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
        file.write_bytes(_OFFSET.pack(0))
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), _OFFSET.size)
        self.environ = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET_FILE": os.fspath(file)}

    def set_offset(self, offset_s: int) -> None:
        """Set the clock to the real time and these seconds."""
        self._offset[:] = _OFFSET.pack(offset_s)
