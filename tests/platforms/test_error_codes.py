"""One vocabulary: docs/publishing-errors.md lists every code of the package, with the classes that carry it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from platforms import errors

ROOT = Path(__file__).resolve().parents[2]
BUILDERS = {
    "later": "TryLater",
    "limited": "RateLimited",
    "operator_needed": "OperatorNeeded",
    "reconnect": "Reconnect",
    "rejected": "Rejected",
    "post_failed": "PostFailed",
    "account_refused": "AccountRefused",
    "unknown": "OutcomeUnknown",
}
_CLASSES = {name for name, kind in vars(errors).items() if isinstance(kind, type) and not name.startswith("_")}
CLASSES = _CLASSES - {"PlatformError", "Origin"}
# Codes whose class the code passes on: a refusal becomes a failure once it is certain that nothing is public.
PASSED_ON = {"video_missing": "PostFailed", "video_changed": "PostFailed", "invalid_post": "PostFailed"}


def _codes() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for code, kind in PASSED_ON.items():
        found[code].add(kind)
    for path in (ROOT / "platforms").rglob("*.py"):
        if "mock" not in path.parts:
            for code, kind in _codes_of(ast.parse(path.read_text(encoding="utf-8"))):
                found[code].add(kind)
    return found


def _codes_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
            continue
        kind = BUILDERS.get(node.func.id, node.func.id)
        code = node.args[0]
        if kind in CLASSES and isinstance(code, ast.Constant):
            yield str(code.value), kind
        elif kind in CLASSES and isinstance(code, ast.Name) and code.id in constants:
            yield str(constants[code.id]), kind


def _table(header: str) -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "publishing-errors.md").read_text(encoding="utf-8")
    rows = text.split(header)[1].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| ([^|]+) \|", rows, re.MULTILINE)


def test_every_code_is_documented_with_its_classes() -> None:
    """A code that is missing here is one that nobody can look up."""
    documented = {code: set(re.findall(r"`(\w+)`", kinds)) for code, kinds in _table("| code | class | meaning |")}

    assert _codes() == documented


def test_every_class_says_who_acts() -> None:
    """The classes are the vocabulary; a new one needs its row."""
    assert {name for name, _ in _table("| class | what happens next | who acts |")} == CLASSES
