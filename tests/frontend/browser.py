"""A driver for headless Chromium over the W3C WebDriver protocol."""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
import requests

from scripts.local.ports import free_ports

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, section 12: the key that marks an element reference
CHROMIUM_ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
    # Each test's pages have an origin of their own. Without these, Chromium starts a process for each, and one in
    # reserve: 1.0 CPU seconds a page instead of 0.67.
    "--renderer-process-limit=1", "--disable-site-isolation-trials", "--disable-extensions",
    "--disable-features=SpareRendererForSitePerProcess",
)  # fmt: skip
PATIENCE_S = 30.0
UNCOVER = """
  const { left, top, width, height } = arguments[0].getBoundingClientRect();
  const above = document.elementFromPoint(left + width / 2, top + height / 2);
  if (!above || !arguments[0].contains(above)) arguments[0].scrollIntoView({ block: 'center' });
"""
STORAGE_TYPES = "local_storage,indexeddb,cache_storage,service_workers,file_systems"
NETWORK_EVENTS = {"maxPostDataSize": 1}
"""Without it, the event of each request repeats the whole body: pieces of megabytes, as JSON, to chromedriver."""
READY = 'main[aria-busy="false"]'
"""The page once everything has been asked for that each view needs."""


@dataclass(frozen=True)
class Screen:
    """A screen: its size in CSS pixels, whether it is a touch screen, and its pixels for each CSS pixel."""

    width: int
    height: int
    touch: bool
    density: int = 0  # 0: as usual, 2 on a touch screen and 1 elsewhere


PHONE = Screen(390, 844, touch=True)
SMALL_PHONE = Screen(360, 640, touch=True)
DESKTOP = Screen(1280, 900, touch=False)


def require_chromedriver() -> None:
    """Skip the test where chromedriver is missing; fail instead under continuous integration, which must have it."""
    if shutil.which("chromedriver"):
        return
    reason = "chromedriver is not installed (Debian: apt-get install chromium chromium-driver)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Refused(AssertionError):
    """The browser does not carry out a command; `code` is WebDriver's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Browser:
    """One browser window with a fresh profile."""

    def __init__(self, driver_url: str, profile: Path) -> None:
        options = {
            "args": [*CHROMIUM_ARGUMENTS, f"--user-data-dir={profile}"],
            "excludeSwitches": ["enable-automation"],
        }
        capabilities = {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "accept",
        }  # fmt: skip
        self._origins: set[str] = set()  # of the pages since the last reset
        self._http = requests.Session()
        self._http.trust_env = False
        self._root = f"{driver_url}/session"
        answer = self._call("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self._root = f"{driver_url}/session/{answer['sessionId']}"

    def open(self, url: str) -> Self:
        if url.startswith("http"):
            self._origins.add("{0.scheme}://{0.netloc}".format(urlsplit(url)))
        self._call("POST", "/url", {"url": url})
        return self

    def leave(self) -> Self:
        """Leave the page, and remove all that pages have stored: a later test's page may have the same address."""
        if self._call("GET", "/url") != "about:blank":  # opening it again costs as much as a page without content
            self.run("try { sessionStorage.clear() } catch { /* a page of the browser's own */ }")
            self.open("about:blank")
        for origin in self._origins:
            self.devtools("Storage.clearDataForOrigin", origin=origin, storageTypes=STORAGE_TYPES)
        self._origins.clear()
        return self

    def reset(self) -> Self:
        """Clear the storage, cookies, emulations and console of the previous test."""
        self.leave()
        self.devtools("Network.clearBrowserCookies")
        self.devtools("Network.disable")  # ends limits, too; enabled, it sends messages about each request
        self.devtools("Emulation.setEmulatedMedia", features=[])
        self.complaints()
        return self

    def show_on(self, screen: Screen) -> Self:
        """Emulate a screen: width, height, and a coarse or a fine pointer."""
        metrics = {
            "width": screen.width,
            "height": screen.height,
            "deviceScaleFactor": screen.density or (2 if screen.touch else 1),
        }
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics, mobile=screen.touch)
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=screen.touch)
        return self

    def colour_scheme(self, scheme: str) -> Self:
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        return self

    def upload_at(self, bytes_per_s: int) -> None:
        """Limit the upload rate of the network; -1 removes the limit."""
        self.devtools("Network.enable", **NETWORK_EVENTS)
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
        self.devtools("Network.emulateNetworkConditions", **limits)

    def offline(self, cut: bool) -> None:
        """Disconnect the network, or connect it again."""
        self.devtools("Network.enable", **NETWORK_EVENTS)
        limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.devtools("Network.emulateNetworkConditions", offline=cut, **limits)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Open another tab in front of this one for a while."""
        own = self._call("GET", "/window")
        other = self._call("POST", "/window/new", {"type": "tab"})["handle"]
        self._call("POST", "/window", {"handle": other})
        try:
            yield
        finally:
            self._call("DELETE", "/window")
            self._call("POST", "/window", {"handle": own})

    def wait(self, duration_s: float) -> None:
        """Wait for a time in which nothing must happen."""
        time.sleep(duration_s)

    def devtools(self, command: str, **parameters: Any) -> Any:  # Any: whatever that command answers
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def find(self, css: str) -> str:
        """Return the first element's reference; wait until one is displayed."""
        look = "const found = document.querySelector(arguments[0]); return found?.checkVisibility() ? found : null"
        found: dict[str, str] = {}
        self.until(f"an element {css}", lambda: found.update(self.run(look, css) or {}) or found)
        return found[ELEMENT]

    def visible(self, css: str) -> bool:
        return bool(self.run("return !!document.querySelector(arguments[0])?.checkVisibility()", css))

    def text(self, css: str) -> str:
        """Return the displayed text of an element; wait until it is displayed."""
        self.until(f"an element {css}", lambda: self.visible(css))
        # One call: between two, the page may replace the element.
        return str(self.run("return document.querySelector(arguments[0])?.innerText.trim() ?? ''", css))

    def text_content(self, css: str) -> str:
        """Return the text of an element, displayed or not."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", css))

    def click(self, css: str) -> None:
        """Press an element, once nothing covers it; one behind a bar of the page is scrolled to the middle first.

        While the page takes its places, an element may move between the look and the press.
        """
        self.until(f"an element {css} that can be pressed", lambda: self._is_clicked(css))

    def _is_clicked(self, css: str) -> bool:
        found = self.find(css)
        try:
            self.run(UNCOVER, {ELEMENT: found})
            self._call("POST", f"/element/{found}/click", {})
        except Refused as refused:
            if refused.code in {"element click intercepted", "stale element reference"}:
                return False
            raise
        return True

    def fill(self, css: str, keys: str) -> None:
        self._call("POST", f"/element/{self.find(css)}/value", {"text": keys})

    def choose_file(self, css: str, path: Path) -> None:
        """Give a file to an <input type=file>, displayed or not."""
        element = self._call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]
        self._call("POST", f"/element/{element}/value", {"text": str(path)})

    def drop_file(self, css: str, path: Path) -> None:
        """Drag a file from the desktop and drop it on an element."""
        self.find(css)
        centre = "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
        x, y = self.run(centre + "return [box.x + box.width / 2, box.y + box.height / 2]", css)
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.devtools("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        strokes = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def run(self, script: str, *arguments: Any) -> Any:  # Any: what the script returns, as JSON
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, what: str, true: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        """Wait until something is true of the page; fail saying what was waited for."""
        end, interval_s = time.monotonic() + patience_s, 0.02
        while not true():
            if time.monotonic() > end:
                seen = self.run("return document.body.innerText")
                pytest.fail(f"waited {patience_s:g} s for {what}; the page says:\n{seen}")
            time.sleep(interval_s)
            interval_s = min(interval_s * 1.5, 0.2)  # each look costs 10 ms of CPU time in four processes

    def until_text(self, css: str, part: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until an element's text contains `part`; any white space counts as one space."""
        read = "return document.querySelector(arguments[0])?.textContent ?? ''"
        self.until(f"{part!r} in {css}", lambda: part in " ".join(self.run(read, css).split()), patience_s)

    def complaints(self) -> list[str]:
        """Return errors and warnings of the console since the last call: scripts, policies, refused requests."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]

    def refusals(self) -> list[str]:
        """Return "/path status" of each refused request in the console's new entries; any other entry is a failure."""
        pattern = re.compile(
            r"https?://[^/]+(/\S*) - Failed to load resource: the server responded with a status of (\d+)"
        )
        complaints = self.complaints()
        found = [pattern.match(message) for message in complaints]
        assert all(found), complaints
        return [f"{match[1]} {match[2]}" for match in found if match]

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def whole_page(self, path: Path, max_height: int) -> None:
        """Write a picture of the page from its top, also of what is below the screen, as a JPEG file.

        A dialog covers the screen only, so its picture is that of the screen.
        """
        size = "return [innerWidth, document.documentElement.scrollHeight, !!document.querySelector('dialog[open]')]"
        width, height, is_covered = self.run(size)
        more: dict[str, Any] = {}
        if not is_covered:
            clip = {"x": 0, "y": 0, "width": width, "height": min(height, max_height), "scale": 1}
            more = {"clip": clip, "captureBeyondViewport": True}
        taken = self.devtools("Page.captureScreenshot", format="jpeg", quality=80, optimizeForSpeed=True, **more)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def close(self) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._http.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # Any: WebDriver's JSON value
        answer = self._http.request(
            method, self._root + path, data=json.dumps(body) if body is not None else None, timeout=60
        )
        value = answer.json()["value"]
        if not answer.ok:
            raise Refused(value["error"], f"{method} {path}: {value['error']}: {value['message']}")
        return value


@contextmanager
def chromedriver() -> Iterator[str]:
    """Run chromedriver on a free port of the loopback and give its address; every browser of it ends with it."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="chromedriver-", ignore_cleanup_errors=True) as home:
        command = ["chromedriver", f"--port={port}", "--log-level=SEVERE"]
        environment = {**os.environ, "HOME": home, "TMPDIR": home}
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            try:
                _until_ready(port)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(timeout=10)


@contextmanager
def browser(driver_url: str) -> Iterator[Browser]:
    """Open a browser with a profile of its own, and close it."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        window = Browser(driver_url, Path(profile))
        try:
            yield window
        finally:
            window.close()


def _until_ready(port: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
