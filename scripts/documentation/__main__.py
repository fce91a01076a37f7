"""Write the generated sections of docs/architecture.md and THIRD-PARTY.md.

The diagrams show the imports of the code; the table shows the licences of the installed packages. A test fails when a
section is out of date.
"""

from __future__ import annotations

import argparse
import sys

from scripts.documentation.sections import outdated, write


def main(arguments: list[str] | None = None) -> int:
    """Write the sections, or name those that are out of date (exit code 1)."""
    parser = argparse.ArgumentParser(prog="scripts/docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name the sections that are out of date")
    options = parser.parse_args(arguments)
    names = outdated()
    for name in names:
        print(f"{'out of date' if options.check else 'written'}: {name}")
    if options.check:
        return 1 if names else 0
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
