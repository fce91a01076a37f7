"""Sends errors to Sentry, without secrets and without local variables. Imported only if there is a SENTRY_DSN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.loguru import LoguruIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration

import redaction
from actors import log_context

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint


def set_up(dsn: str, version: str) -> None:
    """Report each line of the log from ERROR on; the lines before it are sent along.

    Only these integrations: the others would import libraries that a process does not need, or send parts of requests.
    """
    sentry_sdk.init(
        dsn,
        release=version,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoguruIntegration(event_format="{message}", breadcrumb_format="{message}"),
            ExcepthookIntegration(),
            ThreadingIntegration(),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda *_: None),  # waits two seconds at most; its own callback prints that
        ],
        before_send=_prepared,
    )


def _prepared(event: Event, hint: Hint) -> Event:
    del hint
    redacted: Event = _redacted(event)
    redacted["tags"] = {**redacted.get("tags", {}), **{name: str(value) for name, value in log_context.ids().items()}}
    return redacted


def _redacted(value: Any) -> Any:  # Any: JSON
    if isinstance(value, str):
        return redaction.redact(value)
    if isinstance(value, dict):
        return {name: _redacted(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(entry) for entry in value]
    return value
