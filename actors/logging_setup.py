"""Sets up logging and error reports of a process: logs go to standard error, without secrets.

A line of LOG_FORMAT=json is one JSON object: time, level, process, message, exception where there is one, and all ids
of its context (`actors.log_context`). In the text format the ids follow the message.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from loguru import logger

import redaction
from actors import log_context
from settings import VERSION, Settings

if TYPE_CHECKING:
    from loguru import Message, Record

SERVICE = "VIDPROD_SERVICE"
"""Environment variable with the supervisor's name for this process, used in the log."""

MAX_EXCEPTION_CHARS = 30_000  # of a JSON line; log collectors cut or refuse longer lines


def set_up(settings: Settings) -> None:
    """Set up logging, and Sentry if there is a DSN."""
    add_output(settings)
    logging.basicConfig(handlers=[_LoguruHandler()], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("requests_oauthlib").setLevel(logging.INFO)  # prints tokens at DEBUG
    logging.getLogger("alembic").setLevel(logging.WARNING)  # logs every plug-in it loads
    sys.excepthook, threading.excepthook = _log_uncaught, _log_uncaught_in_thread
    if settings.sentry_dsn is not None:
        from actors import error_reports  # noqa: PLC0415 (3 MB that only users of Sentry need)

        error_reports.set_up(settings.sentry_dsn.get_secret_value(), VERSION)


def add_output(settings: Settings) -> None:
    """Write the log to standard error, without the secrets of the settings and those that are decrypted later."""
    redaction.add(settings.secret_values())
    for address in settings.secret_addresses():
        redaction.add_address(address)
    line = _json_line if settings.log_format == "json" else _text_line
    logger.configure(extra={"process": f"{process_name()}[{os.getpid()}]"}, patcher=log_context.add_ids)
    logger.remove()
    # `diagnose` would print variables; both formats show the traceback themselves.
    logger.add(
        lambda message: _write(line(message)), level=settings.log_level, format="{message}",
        backtrace=False, diagnose=False,
    )  # fmt: skip


def process_name() -> str:
    """Return the supervisor's name for this process, or the name of its program."""
    return os.environ.get(SERVICE) or Path(sys.argv[0]).name or "python"


def _write(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _json_line(message: Message) -> str:
    record = message.record
    ids = {name: value for name, value in record["extra"].items() if name != "process"}
    facts: dict[str, Any] = {  # Any: JSON
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "process": record["extra"].get("process"),
        "message": redaction.redact(record["message"]),
        "source": f"{record['name']}:{record['line']}",
        **{name: redaction.redact(value) if isinstance(value, str) else value for name, value in ids.items()},
    }
    if (trace := _traceback(record)) is not None:
        facts["exception"] = redaction.redact(trace)[-MAX_EXCEPTION_CHARS:]
    return json.dumps(facts, default=lambda value: redaction.redact(repr(value)))


def _text_line(message: Message) -> str:
    record = message.record
    text, extra = record["message"], record["extra"]
    ids = [f"{name}={value}" for name, value in extra.items() if name != "process" and not _contains(text, value)]
    head = f"{record['time']:HH:mm:ss.SSS} {record['level'].name:<7} {extra.get('process', '')} {text}"
    trace = _traceback(record)
    return redaction.redact("\n".join([f"{head} [{' '.join(ids)}]" if ids else head, *([trace] if trace else [])]))


def _contains(text: str, value: object) -> bool:
    return isinstance(value, str) and bool(value) and value in text


def _traceback(record: Record) -> str | None:
    exception = record["exception"]
    if exception is None or exception.type is None:
        return None
    return "".join(traceback.format_exception(exception.type, exception.value, exception.traceback)).rstrip()


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an exception that ends the process, instead of Python's own output, which may show secrets."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logger.opt(exception=(kind, error, trace)).critical("The process ends: uncaught {}", kind.__name__)


def _log_uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit:
        return
    name = ended.thread.name if ended.thread is not None else "?"
    error = ended.exc_value or ended.exc_type()
    logger.opt(exception=(ended.exc_type, error, ended.exc_traceback)).critical(
        "Thread {}: ends, uncaught {}", name, ended.exc_type.__name__
    )


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
