"""Who may import whom: the table of rooms, kept true."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"settings", "broker", "store", "media", "platforms", "actors", "api", "scripts"}
VIDEO = {"av", "cv2", "mediapipe", "ai_edge_litert", "moviepy", "numpy", "imageio", "imageio_ffmpeg", "PIL"}
SHARED = {"loguru"}
ALLOWED: dict[str, set[str]] = {
    "broker": {"dramatiq", "prometheus_client"},
    "store": {"sqlalchemy", "alembic", "cryptography", "pydantic"},
    "media": {*VIDEO, "pydantic"},
    "platforms": {"requests_oauthlib", "oauthlib", "requests", "urllib3", "pydantic"},
    "platforms/mock": {"requests_oauthlib", "requests", "pydantic", "falcon", "waitress"},
    "actors": {
        "dramatiq",
        "periodiq",
        "sentry_sdk",
        "sqlalchemy",
        "settings",
        "broker",
        "store",
        "platforms",
        "media.process.runner",
    },
    "api": {
        "falcon",
        "waitress",
        "pydantic",
        "prometheus_client",
        "sqlalchemy",
        "settings",
        "broker",
        "store",
        "platforms",
        "actors",
    },
}


def _modules() -> Iterator[tuple[str, Path]]:
    for room in ALLOWED:
        for path in sorted((ROOT / room).rglob("*.py")):
            if room == "platforms" and "mock" in path.parts:
                continue
            yield room, path


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("room", "path"), [pytest.param(r, p, id=str(p.relative_to(ROOT))) for r, p in _modules()])
def test_a_module_imports_only_what_its_room_may(room: str, path: Path) -> None:
    own = room.split("/", maxsplit=1)[0]
    allowed = ALLOWED[room] | SHARED | {own}
    strangers = [
        name
        for name in _imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == known or name.startswith(f"{known}.") for known in allowed)
    ]
    assert strangers == []


@pytest.mark.parametrize("module", ["api.app", "actors.worker", "scripts.machine.serve", "platforms.mock"])
def test_a_process_that_stays_holds_no_video_library(module: str, tmp_path: Path) -> None:
    """Video code lives in short children only, so that its crashes and its memory go with them."""
    code = f"import sys, {module}; print(sorted({VIDEO!r} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


def test_the_media_room_imports_nothing_by_itself() -> None:
    assert list(_imports(ROOT / "media" / "__init__.py")) == []
