"""The tests' browser: missing, it skips the tests of the page; it keeps nothing of a test for the next one."""

from pathlib import Path

import pytest

from tests.frontend.browser import READY, Browser, require_chromedriver
from tests.frontend.stand_in import StandIn

STORE = """
    localStorage.setItem('left', 'over');
    sessionStorage.setItem('left', 'over');
    document.cookie = 'left=over';
    return (async () => {
      await caches.open('left');
      await navigator.serviceWorker.ready;
      await new Promise((resolve) => { indexedDB.open('left').onsuccess = resolve; });
    })();
"""
STORED = """
    return (async () => [
      localStorage.length, sessionStorage.length, document.cookie, (await caches.keys()).length,
      (await navigator.serviceWorker.getRegistrations()).length, (await indexedDB.databases()).length,
    ])();
"""


def test_without_chromedriver_the_pages_tests_are_skipped_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium chromium-driver"):
        require_chromedriver()


def test_continuous_integration_fails_without_chromedriver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A proof that silently does not run is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="chromedriver is not installed"):
        require_chromedriver()


@pytest.mark.parametrize("leaves", [True, False], ids=["by the test", "by the reset"])
def test_a_test_finds_nothing_that_another_one_left(window: Browser, api: StandIn, leaves: bool) -> None:
    """The kernel gives the stand-in of a later test the same port at times."""
    window.reset().open(api.url).find(READY)
    window.run(STORE)
    assert all(window.run(STORED))
    if leaves:
        window.leave()
    without_script = f"{api.url}static/icon.svg"
    assert not any(window.reset().open(without_script).run(STORED))
    window.leave()
