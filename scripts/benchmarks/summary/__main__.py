"""Process that measures one benchmark in a short run, and writes its lines to a file as JSON."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from scripts.benchmarks.summary.registry import BENCHMARKS
from scripts.benchmarks.summary.row import to_json


def main(arguments: list[str]) -> None:
    """Measure the benchmark of a name, with a folder for its files, into a file; every line is written at once."""
    name, folder, target = arguments
    [benchmark] = [one for one in BENCHMARKS if one.name == name]
    rows = importlib.import_module(benchmark.rows_module).rows
    with Path(target).open("a") as file:
        for line in rows(Path(folder)):
            file.write(to_json(line) + "\n")
            file.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
