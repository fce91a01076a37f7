"""An import hook that replaces the modules of Dramatiq's brokers and their client libraries.

It is installed in every Python process of a run and imports nothing before a test does. If workers are woken through
Redis, the client libraries stay, and Redis's broker carries the tokens: `stand_ins` loads it past the hook.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["install", "load_relay"]

BROKERS = frozenset({"dramatiq.brokers.rabbitmq", "dramatiq.brokers.redis", "dramatiq.brokers.stub"})
CLIENTS = frozenset() if "CONFORMANCE_REDIS" in os.environ else frozenset({"pika", "pika.exceptions", "redis"})
TRANSPORT = "dramatiq.brokers.redis"


def install() -> None:
    """Install the hook."""
    sys.meta_path.insert(0, _Finder())


def load_relay() -> None:
    """Import the module of the broker that uses Dramatiq's broker for Redis, which tests find replaced all the same."""
    replaced = sys.modules.pop(TRANSPORT, None)
    finders = [finder for finder in sys.meta_path if isinstance(finder, _Finder)]
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in finders]
    importlib.import_module("broker.relay.redis")
    sys.meta_path[:0] = finders
    del sys.modules[TRANSPORT]
    if replaced is not None:
        sys.modules[TRANSPORT] = replaced


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname not in BROKERS | CLIENTS:
            return None
        return ModuleSpec(fullname, self, is_package=fullname == "pika")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty: attributes are created on access."""


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:  # Any: a broker, or any attribute of a client library
        if name.startswith("__"):
            raise AttributeError(name)
        peers = importlib.import_module("conformance.stand_ins")
        stand_in = getattr(peers, name, None) if self.__name__ in BROKERS else None
        # An exception class can be used wherever the suite names an attribute of a client library: it can be caught
        # and called.
        unused = _Module(f"{self.__name__}.{name}") if name.islower() else type(name, (Exception,), {})
        setattr(self, name, stand_in or unused)
        return self.__dict__[name]
