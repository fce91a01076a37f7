"""Process that measures one benchmark in a short run, and writes its lines to a file as JSON."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from scripts.benchmarks.summary.registry import BENCHMARKS
from scripts.benchmarks.summary.row import to_json

DISK = Path("/var/tmp")  # noqa: S108  # a new directory is created in it; /tmp may be memory


def main(arguments: list[str]) -> None:
    """Measure the benchmark of the given name into the given file; every line is written at once."""
    name, target = arguments
    [benchmark] = [one for one in BENCHMARKS if one.name == name]
    rows = importlib.import_module(benchmark.rows_module).rows
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=DISK) as folder, Path(target).open("a") as file:
        Path(folder).chmod(0o711)  # PostgreSQL's directory in it belongs to another user
        for line in rows(Path(folder)):
            file.write(to_json(line) + "\n")
            file.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
