"""Finds names in prose that refer to nothing. It reads the project's source texts and imports none of its modules."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FILE_ENDINGS = {
    *("db", "html", "in", "jpg", "js", "json", "log", "md", "mp4", "onnx", "png", "py", "sqlite", "task", "toml"),
    *("txt", "yml"),
}

_QUOTED = re.compile(r"`([^`\n]+)`")
_DOTTED = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)(?:\(.*\))?")
_WORD = re.compile(r"([A-Za-z_]\w*)(?:\(.*\))?")


@dataclass
class Scope:
    """The names that a module, class or function defines; `bases` are those of a class."""

    names: dict[str, Scope] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)
    is_foreign: bool = False  # imported, or a subclass of an unknown class: has attributes that are not listed


class Project:
    """The modules and classes of the project.

    Args:
        sources: the source text of each Python file by its path from the project's root.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        trees = {_module_name(path): ast.parse(text) for path, text in sources.items()}
        self._modules = {name: _scope(tree.body) for name, tree in trees.items()}
        self._packages = {name.split(".")[0] for name in trees}  # never imported
        self._classes: defaultdict[str, list[Scope]] = defaultdict(list)
        for module in self._modules.values():
            for name, scope in module.names.items():
                if scope.bases or scope.names:
                    self._classes[name].append(scope)

    def resolves(self, name: str) -> bool:
        """Return whether a dotted name is one of the project's, or of an installed package.

        The name may begin at any package, a class, or an instance that is named like its class:
        `broker.storage.queue.claim`, `queue.claim`, `Store.writing` and `store.writing` are found.
        """
        parts = name.split(".")
        return self._is_own(parts) or (parts[0] not in self._packages and _is_installed(parts))

    def _is_own(self, parts: list[str]) -> bool:
        for count in range(len(parts), 0, -1):
            start = ".".join(parts[:count])
            for module, scope in self._modules.items():
                if f".{module}".endswith(f".{start}") and self._has(scope, parts[count:]):
                    return True
            if count == len(parts) and any(f".{module}".find(f".{start}.") >= 0 for module in self._modules):
                return True  # a package without a module of its own
        kind = parts[0].title().replace("_", "")
        return any(self._has(scope, parts[1:]) for name in (parts[0], kind) for scope in self._classes.get(name, []))

    def _has(self, scope: Scope, parts: list[str]) -> bool:
        if not parts or scope.is_foreign:
            return True
        if parts[0] in scope.names:
            return self._has(scope.names[parts[0]], parts[1:])
        bases = [base.split("[")[0].split(".")[-1] for base in scope.bases if base != "ABC"]
        return any(
            base not in self._classes or any(self._has(scope, parts) for scope in self._classes[base]) for base in bases
        )


def dotted_names(text: str) -> Iterator[str]:
    """Yield the dotted names in backticks, without calls' arguments and file names."""
    for quoted in _QUOTED.findall(text):
        if (match := _DOTTED.fullmatch(quoted)) and match[1].rsplit(".", 1)[1] not in FILE_ENDINGS:
            yield match[1]


def words(text: str) -> Iterator[str]:
    """Yield the identifiers in backticks that have no dot."""
    for quoted in _QUOTED.findall(text):
        if match := _WORD.fullmatch(quoted):
            yield match[1]


@dataclass(frozen=True)
class SourceWords:
    """The comments and docstrings of a Python file, and the words of all its other text."""

    prose: list[str]
    identifiers: set[str]


def read(source: str) -> SourceWords:
    """Separate the prose of a Python file from its code."""
    found = SourceWords([], set())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
            found.prose.append(token.string)
        else:
            found.identifiers.update(re.findall(r"\w+", token.string))
    return found


def _module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _scope(body: list[ast.stmt]) -> Scope:
    scope = Scope()
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope.names[node.name] = Scope()
            case ast.ClassDef():
                scope.names[node.name] = _class_scope(node)
            case ast.Assign():
                targets = [name for target in node.targets for name in ast.walk(target)]
                scope.names |= {name.id: Scope() for name in targets if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                scope.names[name] = Scope()
            case ast.Import() | ast.ImportFrom():
                names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
                scope.names |= {name: Scope(is_foreign=True) for name in names}
            case ast.If() | ast.Try():
                scope.names |= _scope(node.body).names | _scope(node.orelse).names
    return scope


def _class_scope(node: ast.ClassDef) -> Scope:
    scope = _scope(node.body)
    scope.bases = [ast.unparse(base) for base in node.bases]
    for attribute in ast.walk(node):
        match attribute:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                scope.names.setdefault(name, Scope())
    return scope


def _is_installed(parts: list[str]) -> bool:
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
