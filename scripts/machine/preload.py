"""Imports the code of all services once: each service is a fork and shares its memory (copy on write).

Nothing is opened and no thread is started: SQLite forbids connections across forks, and a fork has one thread.
`actors.wiring` is not imported, because it builds the machine of one process from its environment.
"""

from __future__ import annotations

import gc
import importlib

from actors import malloc

# With everything that they import; `tests/scripts/test_fork_server.py` finds what is missing.
MODULES = (
    "actors.database_check",
    "actors.databases",
    "actors.fenced_requests",
    "actors.flow.job_commands",
    "actors.flow.planning",
    "actors.flow.publishing",
    "actors.flow.rendering",
    "actors.flow.retention",
    "actors.flow.scheduling",
    "actors.flow.tokens",
    "actors.flow.webhook_delivery",
    "actors.local_clean_up",
    "actors.locked_database",
    "actors.logging_setup",
    "actors.recovery.lost_found",
    "actors.recovery.stuck_work",
    "actors.stop_children",
    "actors.storage",
    "api.app",
    "api.context",
    "api.server",
    "api.tus.requests",
    "api.uploads.incomplete",
    "periodiq",
    "platforms.http.adapter",
    "platforms.instagram.publisher",
    "platforms.tiktok.publisher",
    "platforms.youtube.publisher",
    "sqlalchemy.dialects.sqlite",
)


def load() -> None:
    """Import the modules, and take all their objects from the garbage collector, which would write to their pages."""
    malloc.share_among_threads()
    gc.disable()  # no holes, which each fork would fill with copies of their pages
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
