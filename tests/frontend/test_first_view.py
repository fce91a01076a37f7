"""The size of the page, and the files that are loaded when a view is opened first; with the real API in Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.context import Context
from tests.api.conftest import KEY, clock, context, serving
from tests.frontend.browser import DESKTOP, PHONE, READY, Browser, Screen
from tests.frontend.network import Network
from tests.frontend.stand_in import FRONTEND
from tests.frontend.uploading import assert_arrived_once, between, change, choose, clip, page, until_worker

__all__ = ["between", "clip", "clock", "context", "page"]  # fixtures

FIRST_VIEW_BYTES = 40_000
PAGE_BYTES = 20_000  # of a page or a tool, beside the first view; loaded when it is opened first
ALL_BYTES = 117_000  # 115.9 kB on 2026-11-29; fetched by the service worker, when the first page is complete

LOADED = """
    const loaded = performance.getEntries().filter(({ transferSize }) => transferSize > 0);
    const files = loaded.filter(({ name }) => new URL(name).pathname.match(/^[/](assets[/].*)?$/));
    return files.map(({ name, encodedBodySize }) => [name.split('/').pop(), encodedBodySize]);
"""
"""Name and compressed size of each file of the page that came over the network; one from the cache has no size."""

FETCH = """
    const [names] = arguments;
    return Promise.all(names.map(async (name) => {
      const answer = await fetch(`/static/${name}`, { cache: 'no-store' });
      await answer.arrayBuffer();
      const [{ encodedBodySize }] = performance.getEntriesByName(answer.url).slice(-1);
      return encodedBodySize;
    }));
"""


def loaded(window: Browser) -> dict[str, int]:
    files: list[tuple[str, int]] = window.run(LOADED)
    names = [name for name, _ in files]
    assert len(names) == len(set(names)), "a file came over the network twice"
    return dict(files)


@pytest.fixture
def fresh(window: Browser, between: Network) -> Iterator[Browser]:
    """A browser that has never seen the page, and is signed in."""
    window.reset()
    window.devtools("Network.clearBrowserCache")
    sign_in = "return fetch('/login', {method: 'POST', body: JSON.stringify({key: arguments[0]}), headers: {'Content-Type': 'application/json'}})"  # fmt: skip  # noqa: E501
    window.open(f"{between.url}health")
    assert window.run(f"{sign_in}.then(({{ ok }}) => ok)", KEY)
    window.devtools("Network.clearBrowserCache")
    yield window
    window.offline(False)
    window.leave()
    window.complaints()


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_first_view_is_small(fresh: Browser, between: Network, screen: Screen) -> None:
    """On a slow phone each 50 kB are a second of waiting: the form must not wait for what is not shown."""
    fresh.show_on(screen).open(between.url).find(READY)
    until_worker(fresh)  # the last thing that the page asks for
    files = loaded(fresh)
    assert sum(files.values()) <= FIRST_VIEW_BYTES, files
    assert {"", "app.js", "base.css", "icon.svg", "notices.js"} <= files.keys()
    assert files.keys().isdisjoint({"status.js", "job.css", "upload.js", "tus.js"})


def test_all_files_of_the_page_are_small(fresh: Browser, between: Network) -> None:
    names = [path.name for path in FRONTEND.iterdir() if path.suffix not in {".png", ".md"}]
    sizes = dict(zip(names, fresh.run(FETCH, names), strict=True))
    assert min(sizes.values()) > 0
    assert sum(sizes.values()) <= ALL_BYTES, sizes


def test_each_page_is_small(fresh: Browser, between: Network) -> None:
    """A page is opened on the same slow phone: its files are what it waits for."""
    templates = re.split(r'<template id="files-', (FRONTEND / "index.html").read_text())[1:]
    assert len(templates) > 5
    for template in templates:
        names = re.findall(r'="/static/([^"]+)"', template)
        assert sum(fresh.run(FETCH, names)) <= PAGE_BYTES, names


@pytest.fixture
def without_worker(fresh: Browser) -> Iterator[Browser]:
    """A browser that has no service worker, as on a page served over http: nothing is stored for later."""
    source = "Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined })"
    script = fresh.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)
    yield fresh
    fresh.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_what_is_opened_later_comes_over_the_network_once(
    without_worker: Browser, between: Network, context: Context, clip: Path
) -> None:
    window = without_worker.show_on(PHONE).open(between.url)
    window.find(READY)
    choose(window, clip)
    assert loaded(window).keys() >= {"upload.js", "tus.js"}
    assert loaded(window).keys().isdisjoint({"status.js", "job.css"})
    window.click("#upload-start")
    assert_arrived_once(window, context, clip)
    assert loaded(window).keys() >= {"status.js", "job.css"}
    assert window.run("return getComputedStyle(document.querySelector('.job-head')).display") == "grid"


def test_a_view_that_cannot_be_loaded_is_tried_again(without_worker: Browser, between: Network) -> None:
    window = without_worker.open(between.url)
    window.find(READY)
    window.offline(True)
    window.run("location.hash = '#job=nowhere'")
    window.until_text("#page .notice", "You are offline. Trying again by itself.")
    window.offline(False)
    window.until_text("#job-title", "This video is not here")


def test_a_network_that_says_nothing_is_not_waited_for(without_worker: Browser, between: Network) -> None:
    window = without_worker.open(between.url)
    window.find(READY)
    change(window, "load.js", "LIMITS", {"file": 300})
    between.silence(True)
    window.run("location.hash = '#job=nowhere'")
    window.until_text("#page .notice", "The server cannot be reached. Trying again by itself.")
    between.silence(False)
    window.until_text("#job-title", "This video is not here")


def test_a_video_that_is_chosen_without_a_connection_waits_for_one(
    without_worker: Browser, between: Network, context: Context, clip: Path
) -> None:
    window = without_worker.open(between.url)
    window.find(READY)
    window.offline(True)
    window.choose_file("#file", clip)
    window.until_text("#file-error", "You are offline. Your upload goes on when there is a connection again.")
    window.offline(False)
    window.fill("#title", "Once only")
    assert window.text_content("#file-error") == ""
    window.click("#upload-start")
    assert_arrived_once(window, context, clip)


def test_files_of_two_versions_are_never_mixed(
    without_worker: Browser, between: Network, context: Context, tmp_path: Path
) -> None:
    """A page from before an update would call functions that its other modules do not have."""
    window = without_worker.open(between.url)
    window.find(READY)
    new = tmp_path / "pages"
    shutil.copytree(FRONTEND, new)
    (new / "status.js").write_text((new / "status.js").read_text() + "\nglobalThis.isNewer = true;\n")
    with serving(replace(context, pages=new)) as root:
        between.lead_to(root)
        window.run("location.hash = '#job=nowhere'")
        window.until_text("#page .notice", "VidProd has been updated. Please load this page again.")
        assert not window.run("return globalThis.isNewer ?? false")
        window.click("#load-again")
        window.until_text("#job-title", "This video is not here")
        assert window.run("return globalThis.isNewer")
        window.open("about:blank")


def test_a_job_is_shown_without_a_connection_from_the_stored_files(fresh: Browser, between: Network) -> None:
    fresh.open(between.url).find(READY)
    until_worker(fresh)
    fresh.open(between.url).find(READY)
    fresh.devtools("Network.clearBrowserCache")
    between.broken = True
    fresh.run("location.hash = '#job=nowhere'")
    fresh.until_text("#page .notice", "The server cannot be reached. Trying again")
    assert fresh.run("return !!document.head.querySelector('link[href$=\"job.css\"]')")
    between.broken = False
    fresh.until_text("#job-title", "This video is not here")
