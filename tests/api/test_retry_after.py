"""Each 429 and 503 has Retry-After: the places in the source are enumerated."""

from __future__ import annotations

import ast

import pytest

from tests.api.conftest import ROOT

WAITING = {429, 503}


def refusals() -> list[tuple[str, ast.Call, str]]:
    """Return each place of the API that makes a 429 or 503: file and line, the call, and its function's text."""
    found = []
    for path in sorted((ROOT / "api").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for function in ast.walk(ast.parse(source)):
            if isinstance(function, ast.FunctionDef):
                text = ast.get_source_segment(source, function) or ""
                for call in ast.walk(function):
                    first = call.args[0] if isinstance(call, ast.Call) and call.args else None
                    if isinstance(call, ast.Call) and isinstance(first, ast.Constant) and first.value in WAITING:
                        found.append((f"{path.relative_to(ROOT)}:{call.lineno}", call, text))
    return found


@pytest.mark.parametrize(("place", "call", "text"), [pytest.param(*one, id=one[0]) for one in refusals()])
def test_each_429_and_503_says_when_to_come_back(place: str, call: ast.Call, text: str) -> None:
    assert any(keyword.arg == "headers" for keyword in call.keywords), place
    assert '"Retry-After"' in text, place


def test_the_places_are_found_and_there_are_no_others() -> None:
    assert len(refusals()) >= 9
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "api").rglob("*.py")]
    for name in ("HTTPTooManyRequests", "HTTPServiceUnavailable", "HTTP_429", "HTTP_TOO_MANY_REQUESTS"):
        assert not any(name in source for source in sources), name
    assert sum(source.count("HTTP_503") for source in sources) == 1  # /health, tested in test_health.py
