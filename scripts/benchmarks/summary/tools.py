"""Installs the packages of others that are only there for the comparison, into `build/bench`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from scripts.benchmarks.summary.environment import FOLDER, ROOT

__all__ = ["TUS_FOLDER", "install", "make_importable"]

PYTHON_FOLDER = FOLDER / "python"
TUS_FOLDER = FOLDER / "tus"
TUS_PACKAGES = ("@tus/server@2.4.5", "@tus/file-store@2.1.1")


def install() -> None:
    """Install them; without npm, the tus server is left out."""
    target = ["--target", str(PYTHON_FOLDER), "--upgrade", "--no-deps", "--quiet"]
    packages = ["-r", str(ROOT / "requirements-bench.in")]
    subprocess.run([sys.executable, "-m", "pip", "install", *target, *packages], check=True)
    if npm := shutil.which("npm"):
        TUS_FOLDER.mkdir(parents=True, exist_ok=True)
        options = ["--prefix", str(TUS_FOLDER), "--no-save", "--no-audit", "--no-fund", "--silent"]
        subprocess.run([npm, "install", *options, *TUS_PACKAGES], check=True)
    else:
        print("Without npm: the tus server is not installed.")


def make_importable() -> None:
    """Let processes that are started from now on import the Python packages."""
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (known, str(PYTHON_FOLDER))))
