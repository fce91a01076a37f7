"""The packages: their folders, and the imports that are allowed between them and between the layers of the broker."""

from __future__ import annotations

import ast
import contextlib
import itertools
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VIDEO = {"av", "cv2", "mediapipe", "ai_edge_litert", "moviepy", "numpy", "imageio", "imageio_ffmpeg", "PIL"}
SHARED = {"loguru", "typing_extensions"}  # the second: newer parts of the standard library
ALLOWED: dict[str, set[str]] = {
    "broker": {"dramatiq", "pika", "prometheus_client", "psycopg", "redis"},
    "store": {"sqlalchemy", "alembic", "cryptography", "psycopg", "pydantic"},
    "media": {*VIDEO, "pydantic"},
    "platforms": {
        "apprise",
        "cryptography",
        "requests_oauthlib",
        "oauthlib",
        "requests",
        "urllib3",
        "pydantic",
        "redaction",
    },
    "platforms/mock": {"requests_oauthlib", "requests", "pydantic", "falcon", "waitress"},
    "files": {"obstore"},
    "actors": {
        "dramatiq",
        "periodiq",
        "sentry_sdk",
        "sqlalchemy",
        "liveness",
        "process_protection",
        "redaction",
        "settings",
        "broker",
        "files",
        "store",
        "platforms",
        "media.cutting.recut",
        "media.limits",
        "media.process.runner",
        "media.reading.spans",
    },
    "api": {
        "falcon",
        "waitress",
        "pydantic",
        "prometheus_client",
        "sqlalchemy",
        "liveness",
        "process_protection",
        "redaction",
        "settings",
        "broker",
        "files",
        "store",
        "platforms",
        "actors",
    },
}


# Subfolders of each package. A new folder is a new topic: it is entered here and in docs/architecture.md.
FOLDERS: dict[str, set[str]] = {
    "actors": {"flow", "recovery"},
    "api": {"http", "resources", "server", "tus", "uploads"},
    "broker": {"engine", "postgresql", "relay", "storage"},
    "files": set(),
    "frontend": set(),
    "media": {
        "container",
        "cutting",
        "gaze",
        "gaze/draw",
        "gaze/estimate",
        "gaze/face",
        "picture",
        "process",
        "reading",
        "reframing",
        "sample",
        "sound",
        "stages",
        "writing",
    },
    "platforms": {
        "http",
        "instagram",
        "messages",
        "mock",
        "mock/instagram",
        "mock/tiktok",
        "mock/youtube",
        "tiktok",
        "youtube",
    },
    "scripts": {
        "benchmarks",
        "benchmarks/broker",
        "benchmarks/cpu",
        "benchmarks/gaze",
        "benchmarks/machine",
        "benchmarks/render",
        "benchmarks/summary",
        "checks",
        "documentation",
        "fault_injection",
        "local",
        "machine",
        "monitoring",
        "training",
    },
    "store": {"migrations", "migrations/versions"},
}

# The layers of the broker, highest first. A module imports from its own layer and from lower ones. `broker.errors` is
# the lowest layer: all layers raise these errors.
BROKER_LAYERS = ("broker", "broker.engine", "broker.storage", "broker.errors")


def _modules() -> Iterator[tuple[str, Path]]:
    for package in ALLOWED:
        for path in sorted((ROOT / package).rglob("*.py")):
            if package == "platforms" and "mock" in path.parts:
                continue
            yield package, path


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("package", "path"), [pytest.param(r, p, id=str(p.relative_to(ROOT))) for r, p in _modules()])
def test_a_module_imports_only_what_its_package_may(package: str, path: Path) -> None:
    own = package.split("/", maxsplit=1)[0]
    allowed = ALLOWED[package] | SHARED | {own}
    forbidden = [
        name
        for name in _imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == known or name.startswith(f"{known}.") for known in allowed)
    ]
    assert forbidden == []


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


def _tracked(folder: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split()]


@pytest.mark.parametrize("package", FOLDERS)
def test_a_package_has_the_folders_of_the_table(package: str) -> None:
    folders = {str(path.parent.relative_to(package)) for path in _tracked(package)} - {"."}
    assert folders == FOLDERS[package]


def _layer(module: str) -> int:
    """Return the position of a module in BROKER_LAYERS."""
    return max(n for n, layer in enumerate(BROKER_LAYERS) if module == layer or module.startswith(f"{layer}."))


def test_the_layers_of_the_broker_import_only_downwards() -> None:
    upward = {
        (str(path), name)
        for path in _tracked("broker/*.py")
        for name in _imports(ROOT / path)
        if name.split(".")[0] == "broker" and _layer(name) < _layer(".".join(path.with_suffix("").parts))
    }
    assert upward == set()


def test_only_tests_import_the_debug_module_of_the_broker() -> None:
    """It shows private state. What production code needs belongs to a public name."""
    importing = {
        str(path)
        for path in _tracked("*.py")
        if path.parts[0] != "tests"
        for name in _imports(ROOT / path)
        if f"{name}.".startswith("broker.debug.")
    }
    assert importing == set()


def _private_attributes(source: str) -> Iterator[str]:
    """Yield private attributes of other objects than `self` and `cls`, also in programs that stand in strings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = ast.unparse(node.value)
            if owner not in {"self", "cls"} and f"{owner}.{node.attr}" != "os._exit":
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "broker":
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
            with contextlib.suppress(SyntaxError):
                yield from _private_attributes(textwrap.dedent(node.value))


def test_tests_of_the_broker_use_no_private_attributes() -> None:
    """They use `broker.debug` instead."""
    found = [
        f"{path}: {name}"
        for path in _tracked("tests/broker/*.py")
        for name in _private_attributes((ROOT / path).read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("broker._engine().close()", ["broker._engine"]),
        ("from broker.engine.notifications import _Wait", ["_Wait"]),
        ('"""\n    import broker\n    broker.x._y = 1\n"""', ["broker.x._y"]),
        ("self._left, cls._locks, broker.__class__, os._exit(0)", []),
    ],
)
def test_private_attributes_are_found(source: str, found: list[str]) -> None:
    assert list(_private_attributes(source)) == found


def test_the_image_contains_all_that_its_modules_import() -> None:
    """Folders that .dockerignore omits are not imported by the others."""
    omitted = [line for line in (ROOT / ".dockerignore").read_text().split() if (ROOT / line).is_dir()]
    assert {"scripts/benchmarks", "scripts/documentation", "tests"} <= set(omitted)
    modules = tuple(f"{folder.replace('/', '.')}." for folder in omitted)
    missing = [
        (str(path), name)
        for path in _tracked("*.py")
        if not str(path).startswith(tuple(omitted))
        for name in _imports(ROOT / path)
        if f"{name}.".startswith(modules)
    ]
    assert missing == []


def test_the_media_package_imports_nothing_by_itself() -> None:
    assert list(_imports(ROOT / "media" / "__init__.py")) == []


# The folders of media, the lowest first: a module may import from its own entry and from those before it. The packages
# `media.gaze.face` and `media.gaze.errors` are lower than the rest of `media.gaze`, because reframing follows a face.
MEDIA_LAYERS = (
    ("media.errors", "media.frames", "media.limits", "media.packaged_file", "media.protobuf"),
    ("media.process",),
    ("media.container",),
    ("media.picture", "media.sound"),
    ("media.reading",),
    ("media.cutting", "media.gaze.face", "media.gaze.errors"),
    ("media.reframing",),
    ("media.writing",),
    ("media.gaze",),
    ("media.stages",),
    ("media.plan", "media.probe", "media.split", "media.gaze.__main__", "media.sample"),
)
BESIDE_EACH_OTHER = {"media.picture": "media.sound", "media.sound": "media.picture"}  # neither imports the other
WITHOUT_VIDEO = (
    "media.errors",
    "media.limits",
    "media.protobuf",
    "media.process",
    "media.plan",
    "media.probe",
    "media.split",
)


def _media_layer(module: str) -> int:
    """Return the layer of a module's longest known prefix."""
    known = {name: number for number, names in enumerate(MEDIA_LAYERS) for name in names}
    prefixes = [name for name in known if f"{module}.".startswith(f"{name}.")]
    return known[max(prefixes, key=len)]


def _media_modules() -> list[Path]:
    return [path for path in sorted((ROOT / "media").rglob("*.py")) if path != ROOT / "media" / "__init__.py"]


@pytest.mark.parametrize("path", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in _media_modules()])
def test_a_media_module_imports_only_from_its_own_layer_and_lower_ones(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    folder = ".".join(module.split(".")[:2])
    imported = [name for name in _imports(path) if name.startswith("media.")]
    higher = [name for name in imported if _media_layer(name) > _media_layer(module)]
    assert higher == []
    beside = BESIDE_EACH_OTHER.get(folder)
    assert [name for name in imported if beside and name.startswith(f"{beside}.")] == []


@pytest.mark.parametrize("module", WITHOUT_VIDEO)
def test_the_start_of_a_child_imports_no_video_library(module: str) -> None:
    """The sandbox must be entered before any of them is imported."""
    root = ROOT.joinpath(*module.split("."))
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    assert paths
    video = [name for path in paths for name in _imports(path) if name.split(".")[0] in VIDEO]
    assert video == []


def test_each_migration_follows_the_one_before() -> None:
    """Two branches may each add the next number."""
    folder = ROOT / "store" / "migrations" / "versions"
    names = sorted(path.name for path in folder.glob("v*.py"))
    found = [re.findall(r'^(?:down_)?revision = "?(\w+)"?$', (folder / name).read_text(), re.M) for name in names]
    numbers = ["None", *(f"{number:04}" for number in range(1, len(names) + 1))]
    assert found == [[this, before] for before, this in itertools.pairwise(numbers)]
    assert [name[1:5] for name in names] == numbers[1:]
