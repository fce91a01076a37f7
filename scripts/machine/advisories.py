"""List the known security advisories of the locked packages.

Asks OSV, the public database of advisories (osv.dev), which contains those of PyPI and GitHub. It is sent the names and
versions of the packages, and nothing else.

    scripts/advisories                      those of requirements.txt, and of requirements-dev.txt if it is there
    scripts/advisories FILE…                those of other lock files
    scripts/advisories --url URL            ask another server with the same API (https://google.github.io/osv.dev/api/)

Exit code: 0 without advisories, 1 with some, 2 if the database cannot be asked.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import process_protection
from platforms.http import client
from scripts.machine import command
from scripts.machine.child import ROOT

DATABASE_URL = "https://api.osv.dev"
LOCK_FILES = ("requirements.txt", "requirements-dev.txt")
BATCH = 500  # packages in one request; OSV takes 1,000 (POST /v1/querybatch, read 2026-11-29)
MAX_PAGES = 50
BODY_CAP_BYTES = 8 * 2**20
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


class NotAnswered(Exception):
    """The database of advisories cannot be asked, or its answer cannot be read."""


@dataclass(frozen=True, order=True)
class Package:
    """A locked package."""

    name: str
    version: str


@dataclass(frozen=True)
class Advisory:
    """A known weakness of a package.

    Attributes:
        ids: of the same advisory in all databases, such as GHSA-…, CVE-…, PYSEC-….
        fixed: versions in which it is fixed; empty if there is none.
    """

    package: Package
    ids: tuple[str, ...]
    fixed: tuple[str, ...]
    summary: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="scripts/advisories", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="lock files")
    parser.add_argument("--url", default=DATABASE_URL, help=f"root of the database's API (default: {DATABASE_URL})")
    chosen = parser.parse_args(arguments)
    files = chosen.files or [path for path in (ROOT / name for name in LOCK_FILES) if path.exists()]
    try:
        packages = locked(files)
        found = advisories(chosen.url.rstrip("/"), packages)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    except NotAnswered as error:
        return _fail(f"{chosen.url}: {error}")
    for one in found:
        print(_line(one))
    print(f"{len(packages)} packages, {len(found)} known advisories")
    return 1 if found else 0


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def _line(one: Advisory) -> str:
    fixed = f"fixed in {', '.join(one.fixed)}" if one.fixed else "not fixed"
    return f"{one.package.name} {one.package.version}: {', '.join(one.ids)} ({fixed}) {one.summary}".rstrip()


def locked(files: Iterable[Path]) -> list[Package]:
    """Return the packages of lock files, each version once, also those for other systems and Python versions."""
    texts = (path.read_text(encoding="utf-8") for path in files)
    return sorted({Package(name.lower(), version) for text in texts for name, version in _LOCKED.findall(text)})


def advisories(url: str, packages: Sequence[Package]) -> list[Advisory]:
    """Return the advisories of packages.

    Raises:
        NotAnswered: the database cannot be asked.
    """
    found: list[Advisory] = []
    for package, ids in _ids(url, packages):
        described = [_described(url, package, one) for one in sorted(ids)]
        found += _merged([one for one in described if one is not None])
    return found


def _ids(url: str, packages: Sequence[Package]) -> Iterator[tuple[Package, set[str]]]:
    """Yield the packages that have advisories, with their ids."""
    for first in range(0, len(packages), BATCH):
        ids: dict[Package, set[str]] = {}
        waiting = [(package, "") for package in packages[first : first + BATCH]]
        for _ in range(MAX_PAGES):
            results = _asked(url, waiting)
            for (package, _), result in zip(waiting, results, strict=True):
                ids.setdefault(package, set()).update(str(one["id"]) for one in result.get("vulns") or ())
            pairs = zip(waiting, results, strict=True)
            waiting = [(package, result["next_page_token"]) for (package, _), result in pairs if _goes_on(result)]
            if not waiting:
                break
        else:
            raise NotAnswered(f"the answer has more than {MAX_PAGES} pages")
        yield from ((package, names) for package, names in ids.items() if names)


def _goes_on(result: dict[str, Any]) -> bool:  # Any: JSON
    return bool(result.get("next_page_token"))


def _asked(url: str, waiting: Sequence[tuple[Package, str]]) -> list[dict[str, Any]]:  # Any: JSON
    queries = [
        {"package": {"name": package.name, "ecosystem": "PyPI"}, "version": package.version}
        | ({"page_token": token} if token else {})
        for package, token in waiting
    ]
    results = _json("POST", f"{url}/v1/querybatch", {"queries": queries}).get("results")
    if not isinstance(results, list) or len(results) != len(queries):
        raise NotAnswered("the answer does not fit the question")
    return [result or {} for result in results]


def _described(url: str, package: Package, advisory_id: str) -> Advisory | None:
    """Return an advisory with its details; None if it was withdrawn."""
    if not _ID.fullmatch(advisory_id):
        raise NotAnswered("the answer has an id that is none")
    details = _json("GET", f"{url}/v1/vulns/{advisory_id}")
    if details.get("withdrawn"):
        return None
    affected = [one for one in details.get("affected") or () if _is_about(one, package)]
    events = [event for one in affected for span in one.get("ranges") or () for event in span.get("events") or ()]
    fixed = dict.fromkeys(str(event["fixed"]) for event in events if "fixed" in event)
    ids = dict.fromkeys((advisory_id, *map(str, details.get("aliases") or ())))
    return Advisory(package, tuple(ids), tuple(fixed), " ".join(str(details.get("summary") or "").split())[:200])


def _is_about(affected: dict[str, Any], package: Package) -> bool:  # Any: JSON
    named = affected.get("package") or {}
    return str(named.get("name", "")).lower() == package.name and named.get("ecosystem") == "PyPI"


def _merged(found: Sequence[Advisory]) -> list[Advisory]:
    """Return advisories of one package, with those that name each other as one."""
    merged: list[Advisory] = []
    for one in found:
        known = next((other for other in merged if {*other.ids} & {*one.ids}), None)
        if known is None:
            merged.append(one)
            continue
        ids, fixed = dict.fromkeys(known.ids + one.ids), dict.fromkeys(known.fixed + one.fixed)
        merged[merged.index(known)] = Advisory(one.package, tuple(ids), tuple(fixed), known.summary or one.summary)
    return merged


def _json(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:  # Any: JSON
    try:
        answer = client.request(method, url, json=body, body_cap=BODY_CAP_BYTES)
    except client.TransportError as error:
        raise NotAnswered(error.failure.detail) from error
    if answer.status != 200 or not answer.whole:
        raise NotAnswered(f"HTTP {answer.status}" if answer.whole else "the answer is too large or was cut off")
    try:
        document = json.loads(answer.body)
    except ValueError as error:
        raise NotAnswered("the answer is not JSON") from error
    if not isinstance(document, dict):
        raise NotAnswered("the answer is not a JSON object")
    return document


if __name__ == "__main__":
    process_protection.protect()
    command.exit_with(main)
