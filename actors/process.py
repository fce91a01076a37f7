"""What every process of ours does first: log to standard error in the chosen form, and report errors if asked to."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import dramatiq
from loguru import logger

from broker import DatabaseUnavailable as BrokerUnavailable
from broker import SchemaTooNew
from settings import Settings
from store import DatabaseUnavailable, Store

DATABASE_ERRORS = (DatabaseUnavailable, BrokerUnavailable, SchemaTooNew)

SERVICE = "VIDPROD_SERVICE"
"""What the supervisor calls this process."""


def start(settings: Settings) -> None:
    """Set up logging, and Sentry when there is a DSN."""
    logger.remove()
    logger.add(
        sys.stderr,
        level=settings.log_level,
        serialize=settings.log_format == "json",
        format="{time:HH:mm:ss.SSS} {level: <7} {extra[process]} {message}",
        backtrace=False,
        diagnose=False,  # it would print variables, and with them tokens
    )
    name = os.environ.get(SERVICE) or Path(sys.argv[0]).name or "python"
    logger.configure(extra={"process": f"{name}[{os.getpid()}]"})
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    logging.getLogger("requests_oauthlib").setLevel(logging.INFO)  # prints tokens at DEBUG
    logging.getLogger("alembic").setLevel(logging.WARNING)  # names every plug-in it loads
    if settings.sentry_dsn is not None:
        import sentry_sdk  # noqa: PLC0415 (10 MB that only those pay who want it)

        sentry_sdk.init(settings.sentry_dsn.get_secret_value(), send_default_pii=False, include_local_variables=False)


def require_database(store: Store) -> None:
    """Exit with an error message if the database cannot be used.

    Raises:
        SystemExit: with the message, which Python prints; the exit code is 1.
    """
    try:
        store.require_usable()
    except DATABASE_ERRORS as error:
        raise SystemExit(f"{store.path}: {error}") from None


class RequireDatabase(dramatiq.Middleware):
    """Dramatiq middleware that ends a worker process at its start if the database cannot be used."""

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        """Check the actors' database."""
        del broker
        from actors import wiring  # noqa: PLC0415 (it makes this middleware)

        require_database(wiring.store)
        # Worker processes run no atexit handlers: an open connection would leave the WAL beside a stopped database.
        wiring.store.close()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Close the database; its last connection checkpoints the WAL."""
        del broker, worker
        from actors import wiring  # noqa: PLC0415 (as above)

        wiring.store.close()


_USUAL = {*vars(logging.makeLogRecord({})), "message"}  # of a record; what else it has are facts of the one who logs


class _ToLoguru(logging.Handler):
    """Brings what libraries log into the one log."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Any = (
            record.levelname
            if record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
            else record.levelno
        )  # Any: name or number
        facts = {name: value for name, value in vars(record).items() if name not in _USUAL}
        logger.bind(**facts).opt(exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())
