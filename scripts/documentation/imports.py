"""Imports between the packages and folders of the project, as Mermaid diagrams.

An arrow from A to B means that a module of A imports a module of B. Imports inside of functions count.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["folders", "packages"]

PACKAGES = ("scripts", "api", "actors", "settings", "platforms", "media", "files", "store", "broker")
OMITTED = ("scripts/benchmarks", "scripts/documentation", "scripts/local", "platforms/mock")  # development only


def packages(root: Path) -> str:
    """Return the diagram of the top-level packages."""
    return _diagram(root, PACKAGES, lambda module: module.split(".")[0])


def folders(root: Path, package: str) -> str:
    """Return the diagram of one package's folders.

    The package's own modules form one node with its name. Imports of these modules by the folders are left out: they
    are what all folders share, such as errors and contracts.

    Args:
        package: name of a top-level package, such as "broker".
    """

    def node(module: str) -> str:
        if module.split(".", maxsplit=1)[0] != package:
            return ""
        path = root / module.replace(".", "/")
        folder = path if (path / "__init__.py").exists() else path.parent
        return folder.relative_to(root).as_posix()

    return _diagram(root, (package,), node, shared=package)


def _diagram(root: Path, names: tuple[str, ...], node: Callable[[str], str], shared: str = "") -> str:
    edges = sorted(
        {
            (node(importer), node(imported))
            for importer, imported in _imports(root, names)
            if imported.split(".")[0] in PACKAGES and node(imported) not in {shared, "", node(importer)}
        }
    )
    return "\n".join(["```mermaid", "flowchart TD", *(f"    {a} --> {b}" for a, b in edges), "```", ""])


def _imports(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the dotted names of an importing and an imported module of the project."""
    for path in sorted(path for name in names for path in _files(root, name)):
        relative = path.relative_to(root)
        if relative.as_posix().startswith(OMITTED):
            continue
        importer = ".".join(relative.with_suffix("").parts)
        for imported in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            yield importer, _module(root, imported)


def _files(root: Path, name: str) -> list[Path]:
    return [root / f"{name}.py"] if (root / f"{name}.py").exists() else list((root / name).rglob("*.py"))


def _imported(tree: ast.Module) -> Iterator[str]:
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def _module(root: Path, name: str) -> str:
    """Return the longest part of a dotted name that is a module or a package of the project; else the name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = root.joinpath(*parts[:length])
        if (path / "__init__.py").exists() or path.with_suffix(".py").exists():
            return ".".join(parts[:length])
    return name
