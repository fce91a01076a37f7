"""The page against the real API, over a network that a test controls: fixtures, and steps of an upload."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.recovery.lost_found import SOURCE
from api.context import Context
from store import jobs
from store.owners import DEFAULT_OWNER
from tests.api.conftest import KEY, VIDEO, serving
from tests.frontend.browser import DESKTOP, Browser
from tests.frontend.network import Network, network

ACTIVE = """
    const registration = await navigator.serviceWorker.getRegistration();
    return registration?.active?.state === 'activated' && !registration.installing && !registration.waiting;
"""
KEPT = """
    const database = await new Promise((resolve) => {
      const request = indexedDB.open('vidprod');
      request.onsuccess = () => resolve(request.result);
    });
    const count = database.objectStoreNames.length
      ? await new Promise((resolve) => {
          const request = database.transaction('files').objectStore('files').count();
          request.onsuccess = () => resolve(request.result);
        })
      : 0;
    database.close();
    return count;
"""

SIZE = 12_000_000
PIECES = {"minPiece": 500_000, "maxPiece": 1_000_000}
SLOW_BYTES_PER_S = 600_000
"""With this rate an upload takes 20 s, so that a test on a busy machine still finds it in the middle."""


@pytest.fixture
def between(context: Context) -> Iterator[Network]:
    """The network between the browser and the real API."""
    with serving(context) as root, network(root) as found:
        yield found


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(VIDEO + random.Random(1).randbytes(SIZE))
    return path


@pytest.fixture
def page(window: Browser, between: Network) -> Iterator[Browser]:
    """The page, signed in, with small pieces and short waits."""
    window.reset().show_on(DESKTOP)
    window.open(between.url)
    window.fill("#key", KEY)
    window.click("#sign-in button")
    window.find("#file-label")
    until_worker(window)  # a new worker ends the browser's emulation of a slow network
    quicken(window)
    yield window
    window.offline(False)
    window.leave()
    window.complaints()  # the browser's own lines about broken connections and refused requests


def run(window: Browser, script: str) -> Any:  # Any: what the script returns, as JSON
    """Run the body of an asynchronous function."""
    return window.run(f"return (async () => {{ {script} }})()")


def until_worker(window: Browser) -> None:
    """Wait until the service worker is active."""
    window.until("the service worker", lambda: run(window, ACTIVE))


def kept(window: Browser) -> int:
    """Return the number of files that the browser keeps for later pages."""
    return int(run(window, KEPT))


def quicken(window: Browser, **limits: int) -> None:
    """Make the pieces small and the waits short, so that a test takes seconds."""
    change(window, "tus.js", "LIMITS", {**PIECES, "firstWait": 100, "longestWait": 500, "suspicious": 500, **limits})


def change(window: Browser, module: str, name: str, values: dict[str, int]) -> None:
    """Change an exported object of a module of the page."""
    window.run(
        """
        const [module, name, values] = arguments;
        const address = document.querySelector('script[type=module]').src.replace('app.js', module);
        return import(address).then((found) => { Object.assign(found[name], values); });
        """,
        module,
        name,
        values,
    )


def choose(window: Browser, clip: Path, title: str = "Once only") -> None:
    window.choose_file("#file", clip)
    window.fill("#title", title)


def until_begun(window: Browser) -> None:
    """Wait until the server has confirmed a tenth."""
    window.until("a tenth of the bytes", lambda: share(window) > 0.1)
    assert share(window) < 0.9, "too late: the test needs an upload in the middle"


def share(window: Browser) -> float:
    record = stored(window)
    return float(record["confirmed"] / record["size"]) if record else 0.0


def stored(window: Browser) -> dict[str, Any] | None:
    """Return the record of the first unfinished upload."""
    return next(iter(records(window)), None)


def records(window: Browser) -> list[dict[str, Any]]:
    """Return the records of unfinished uploads, as the browser keeps them."""
    return window.run("return JSON.parse(localStorage.getItem('vidprod-uploads')) ?? []")  # type: ignore[no-any-return]  # JSON


def only_job(context: Context) -> jobs.Job:
    with context.store.reading() as connection:
        [job] = jobs.page(connection, DEFAULT_OWNER, limit=9)
    return job


def assert_arrived_once(window: Browser, context: Context, clip: Path, title: str = "Once only") -> None:
    """The page shows the only job, whose file is the chosen one, byte for byte; nothing else is left anywhere."""
    window.until_text("#job-title", title)
    job = only_job(context)
    assert window.run("return location.pathname") == f"/videos/{job.id}"
    assert (context.settings.uploads_dir / job.id / SOURCE).read_bytes() == clip.read_bytes()
    assert [path.name for path in context.settings.uploads_dir.iterdir()] == [job.id]
    assert stored(window) is None
