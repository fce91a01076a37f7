"""Documentation that can be checked: paths, names, commands, generated sections, the version number."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

import settings
from api.resources import openapi
from platforms.registry import LOGINS
from platforms.webhook_events import EVENT_TYPES
from scripts.documentation.sections import outdated
from tests import pictures
from tests.support import references

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "THIRD-PARTY.md",
    "docs/architecture.md",
    "docs/publishing-errors.md",
    "broker/README.md",
)
FOLDERS = "actors|api|broker|docs|frontend|media|platforms|scripts|store|tests"
IMAGINED = ("platforms/clipper", "platforms/mock/clipper")  # the example of CONTRIBUTING.md

_PATH = re.compile(rf"(?<![\w/.:-])(?:\./)?((?:{FOLDERS})/[\w./-]*)")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
_FILE = re.compile(r"`([\w-]+\.(?:py|toml|md|in|txt)|Dockerfile|LICENSE)`")
_MODULE = re.compile(rf"python -m ((?:{FOLDERS})[\w.]*)")


def _exists(path: str, folder: Path) -> bool:
    """Return whether a path exists, seen from the root or from the document; a bare name may be that of any file."""
    return (
        (ROOT / path).exists()
        or (folder / path).exists()
        or path.startswith(IMAGINED)
        or ("/" not in path and path in _file_names())
    )


@cache
def _file_names() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {Path(name).name for name in listed.stdout.split()}


def _tracked(*patterns: str) -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in listed.stdout.split() if (ROOT / name).exists()}


@cache
def _sources() -> dict[str, str]:
    return _tracked("*.py")


@cache
def _words() -> dict[str, references.SourceWords]:
    return {name: references.read(source) for name, source in _sources().items()}


# Names in backticks that are neither the project's nor an installed package's.
FOREIGN_NAMES = {
    "AVChannel": "libavutil's enumeration of channels",
    "NAME_FILE": "any setting's name with this ending",
    "__dealloc__": "the destructor of PyAV's AudioLayout",
    "av_guess_sample_aspect_ratio": "libavformat's function",
    "broker_": "the prefix of the broker's tables",
    "colr": "a box of ISO/IEC 14496-12",
    "connection.connection": "SQLAlchemy's Connection of an open connection",
    "get_audio_layout": "PyAV's function",
    "vX.Y.Z": "the tag of a version",
    "video.list": "a scope of TikTok's API",
    "video.publish": "a scope of TikTok's API",
    "video.upload": "a scope of TikTok's API",
}


def test_every_dotted_name_in_prose_exists() -> None:
    """A docstring named a module for weeks after it had been renamed."""
    project = references.Project(_sources())
    texts = [(name, text) for name, words in _words().items() for text in words.prose]
    texts += [(name, (ROOT / name).read_text(encoding="utf-8")) for name in DOCUMENTS]
    found = {(name, dotted) for name, text in texts for dotted in references.dotted_names(text)}
    assert len(found) > 100
    assert not any(project.resolves(name) for name in ("store.turns", "broker.no_module", "Store.no_method"))
    other = FOREIGN_NAMES.keys() | EVENT_TYPES.keys()  # types of webhook events have dots, too
    unknown = [found for found in sorted(found) if found[1] not in other and not project.resolves(found[1])]
    assert unknown == []


def test_every_name_in_the_prose_of_code_exists() -> None:
    others = _tracked("*.js", "*.html", "*.toml", "scripts/*", "Dockerfile", "requirements*")
    known = {word for name, text in others.items() if not name.endswith(".py") for word in re.findall(r"\w+", text)}
    known |= FOREIGN_NAMES.keys() | {name for words in _words().values() for name in words.identifiers}
    texts = [(name, text) for name, words in _words().items() for text in words.prose]
    found = {(name, word) for name, text in texts for word in references.words(text)}
    assert sorted(found_ for found_ in found if found_[1] not in known) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_in_a_document_exists(name: str) -> None:
    text, folder = (ROOT / name).read_text(encoding="utf-8"), (ROOT / name).parent
    paths = {path.rstrip("./") for path in _PATH.findall(text)} | set(_LINK.findall(text)) | set(_FILE.findall(text))
    assert sorted(path for path in paths if not _exists(path, folder)) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_module_that_a_document_starts_exists(name: str) -> None:
    modules = [module.rstrip(".") for module in _MODULE.findall((ROOT / name).read_text(encoding="utf-8"))]
    paths = [ROOT / module.replace(".", "/") for module in modules]
    assert [path for path in paths if not ((path / "__main__.py").exists() or path.with_suffix(".py").exists())] == []


def test_every_command_has_a_help_text() -> None:
    commands = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix == ""]
    assert len(commands) >= 9
    assert [path.name for path in commands if not path.read_text().splitlines()[1].startswith("# ")] == []


def test_generated_sections_are_current() -> None:
    """After a change of imports or dependencies: run `scripts/docs`."""
    assert outdated() == []


def test_every_setting_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}
    clients = {name for login in LOGINS.values() for name in (login.client_id_variable, login.client_secret_variable)}
    fields = settings.Settings.model_fields.keys() - {"oauth_clients", "platform_roots"}
    assert {name.upper() for name in fields} | clients <= documented


def test_there_is_one_version_number() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "settings.VERSION"}
    assert openapi.document(settings.read({}))["info"]["version"] == settings.VERSION
    command = ["git", "grep", "-lF", f'"{settings.VERSION}"', "--", "*.py", "*.toml"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in found if not name.startswith("tests/")] == ["settings.py"]


def test_the_pictures_of_the_pages_are_those_that_the_command_takes() -> None:
    shown = re.findall(r"\(docs/pictures/([\w-]+)\.webp\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(pictures.NAMES)
    assert {path.name for path in pictures.DIRECTORY.iterdir()} == {f"{name}.webp" for name in shown}
