"""Sets up logging and error reports of a process: logs go to standard error."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from loguru import logger

from settings import Settings

SERVICE = "VIDPROD_SERVICE"
"""Environment variable with the supervisor's name for this process, used in the log."""


def set_up(settings: Settings) -> None:
    """Set up logging, and Sentry if there is a DSN."""
    logger.remove()
    logger.add(
        sys.stderr,
        level=settings.log_level,
        serialize=settings.log_format == "json",
        format="{time:HH:mm:ss.SSS} {level: <7} {extra[process]} {message}",
        backtrace=False,
        diagnose=False,  # it would print variables, and with them tokens
    )
    logger.configure(extra={"process": f"{process_name()}[{os.getpid()}]"})
    logging.basicConfig(handlers=[_LoguruHandler()], level=logging.INFO, force=True)
    logging.getLogger("requests_oauthlib").setLevel(logging.INFO)  # prints tokens at DEBUG
    logging.getLogger("alembic").setLevel(logging.WARNING)  # logs every plug-in it loads
    if settings.sentry_dsn is not None:
        import sentry_sdk  # noqa: PLC0415 (10 MB that only users of Sentry need)

        sentry_sdk.init(settings.sentry_dsn.get_secret_value(), send_default_pii=False, include_local_variables=False)


def process_name() -> str:
    """Return the supervisor's name for this process, or the name of its program."""
    return os.environ.get(SERVICE) or Path(sys.argv[0]).name or "python"


_STANDARD_ATTRIBUTES = {*vars(logging.makeLogRecord({})), "message"}  # other attributes are a caller's `extra`


class _LoguruHandler(logging.Handler):
    """Passes records of the standard library's logging to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Any = (
            record.levelname
            if record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
            else record.levelno
        )  # Any: name or number
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
        logger.bind(**extra).opt(exception=record.exc_info).log(level, "{}: {}", record.name, record.getMessage())
