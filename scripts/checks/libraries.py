"""Checks of the libraries: the system's, the codecs of libav, and the versions of the locked packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from scripts.checks.finding import Examined, Finding, error, ok, warning

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
TIMEOUT_S = 60
TOPIC = "libraries"
SYSTEM = {  # file name → Debian package and what fails without it
    "libEGL.so.1": ("libegl1", "MediaPipe, so no eyes are corrected"),
    "libGLESv2.so.2": ("libgles2", "MediaPipe, so no eyes are corrected"),
}
CODECS = {"encode": ("libx264", "aac"), "decode": ("h264", "hevc", "vp9", "av1", "aac", "opus", "mp3")}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)([^\n]*)", re.M)

# In a process of its own: this one imports no video library.
_CHILD = f"""
import ctypes, json
found = {{"missing": [], "codecs": [], "errors": []}}
for name in {list(SYSTEM)!r}:
    try:
        ctypes.CDLL(name)
    except OSError:
        found["missing"].append(name)
try:
    import av
    for name in {CODECS["encode"]!r}:
        av.Codec(name, "w")
    for name in {CODECS["decode"]!r}:
        av.Codec(name, "r")
    found["av"] = av.__version__
except Exception as error:
    found["errors"].append(f"PyAV: {{type(error).__name__}}: {{error}}")
try:
    from PIL import features
    found["raqm"] = bool(features.check("raqm"))
except Exception as error:
    found["errors"].append(f"Pillow: {{type(error).__name__}}: {{error}}")
print(json.dumps(found))
"""


def check(examined: Examined) -> Iterator[Finding]:
    """Check the libraries that media processes use."""
    del examined
    yield ok(TOPIC, f"Python {sys.version.split()[0]}")
    try:
        ran = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        yield from media(json.loads(ran.stdout))
    except (subprocess.SubprocessError, ValueError) as failed:
        yield error(TOPIC, f"the video libraries cannot be loaded ({type(failed).__name__})", "install them again")
    yield locked(LOCK)


def media(found: dict[str, Any]) -> Iterator[Finding]:  # Any: JSON of the child
    """Check what the child process has found."""
    for name in found["missing"]:
        package, use = SYSTEM[name]
        yield error(TOPIC, f"{name} is missing, which is needed by {use}", f"sudo apt-get install {package}")
    for text in found["errors"]:
        yield error(TOPIC, text, "install the locked requirements again")
    if "av" in found:
        yield ok(TOPIC, f"PyAV {found['av']} with {', '.join(sorted({*CODECS['encode'], *CODECS['decode']}))}")
    if found.get("raqm") is False:
        text = "libfribidi is missing: covers have no titles in Arabic, Hebrew or Indic scripts"
        yield warning(TOPIC, text, "sudo apt-get install libfribidi0")


def locked(lock: Path) -> Finding:
    """Compare the installed packages with the lock file."""
    wanted: dict[str, set[str]] = {}
    for name, version, marker in _REQUIREMENT.findall(lock.read_text() if lock.exists() else ""):
        if "win32" not in marker:
            wanted.setdefault(name, set()).add(version)  # one for each version of Python
    others = [
        f"{name} {found or 'none'} instead of {' or '.join(sorted(versions))}"
        for name, versions in sorted(wanted.items())
        if (found := _version(name)) not in versions
    ]
    if others:
        fix = "install the locked requirements: scripts/setup, or a new image"
        return warning(TOPIC, f"other versions are installed than locked: {', '.join(others[:5])}", fix)
    return ok(TOPIC, f"{len(wanted)} packages have their locked versions")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
