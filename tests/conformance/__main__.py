"""`scripts/conformance CHECKOUT`: run Dramatiq's own tests with the package `broker` and print a summary.

CHECKOUT is a clone of Dramatiq's repository (github.com/Bogdanp/dramatiq); the lists of excluded tests were made for
commit 848b35f. The clone is copied and not changed. The run uses the Dramatiq of the copy.
With `--postgresql` the broker uses a PostgreSQL server, which is started for the run from the installed programs; with
`--redis` also a Redis server, through which relays wake the workers.
Two tests of `--watch` need `watchdog` (version 6) in .venv or on PYTHONPATH. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conformance.databases import SHARED
from tests.postgresql_server import postgresql_programs, running_server
from tests.transport_servers import running_transport

ROOT = Path(__file__).parents[2]
# Python imports this module at its start, so every Python process that a test starts uses our broker.
SITE_CUSTOMIZE = "from conformance.import_hook import install\n\ninstall()\n"


def main() -> int:
    """Run the suite; return pytest's exit code, or 0 if only known failures occurred."""
    options, pytest_options = _parser().parse_known_args()
    if not (options.checkout / "tests" / "test_worker.py").exists():
        sys.stderr.write(f"{options.checkout} is not a checkout of Dramatiq with its tests\n")
        return 2
    has_server = options.postgresql or options.redis
    if has_server and postgresql_programs() is None:
        sys.stderr.write("PostgreSQL's server is not installed\n")
        return 2
    if options.redis and shutil.which("redis-server") is None:
        sys.stderr.write("Redis's server is not installed\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        place = Path(name)
        for part in ("dramatiq", "tests"):
            shutil.copytree(options.checkout / part, place / "suite" / part)
        # Copied, because `tests` is the suite's own package in this run.
        shutil.copytree(
            Path(__file__).parent, place / "site" / "conformance", ignore=shutil.ignore_patterns("__pycache__")
        )
        (place / "site" / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
        (place / "files").mkdir()
        environment = _environment(place)
        with ExitStack() as servers:
            if has_server:
                environment["CONFORMANCE_SERVER"] = servers.enter_context(_server())
            if options.redis:
                environment["CONFORMANCE_REDIS"] = servers.enter_context(running_transport("redis")).url[: -len("/0")]
            return subprocess.call(_pytest(place, pytest_options), cwd=place / "suite", env=environment)


@contextmanager
def _server() -> Iterator[str]:
    """Run a PostgreSQL server with the database that all processes share; yields its URL without a database."""
    with running_server() as server:
        server.create_database(name=SHARED)
        yield server.url("")[:-1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "checkout", type=Path, metavar="CHECKOUT", help="other options go to pytest, such as -k retries"
    )
    parser.add_argument("--postgresql", action="store_true", help="use a PostgreSQL server instead of SQLite files")
    parser.add_argument("--redis", action="store_true", help="use a PostgreSQL server with relays and a Redis server")
    return parser


def _pytest(place: Path, options: list[str]) -> list[str]:
    plugin = "conformance.plugin"  # replaces the suite's conftest, whose fixtures connect to servers
    return [
        *(sys.executable, "-m", "pytest", "--noconftest", "-p", plugin, "-p", "no:cacheprovider", "-q"),
        *("-c", os.devnull, "--rootdir", str(place / "suite"), "--ignore", "tests/benchmarks", "tests"),
        *options,
    ]


def _environment(place: Path) -> dict[str, str]:
    given = os.environ.get("PYTHONPATH", "")
    # The last: dramatiq's command starts itself anew by a name of Python with which it does not find the environment.
    packages = sysconfig.get_path("purelib")
    paths = [str(place / "suite"), str(place / "site"), str(ROOT), *given.split(os.pathsep), packages]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CONFORMANCE_FILES": str(place / "files"),
    }


if __name__ == "__main__":
    sys.exit(main())
