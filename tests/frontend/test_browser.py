"""Without an installed browser, the tests of the page are skipped."""

from pathlib import Path

import pytest

from tests.frontend.browser import require_chromedriver


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
