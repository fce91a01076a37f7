"""Check of a remote storage: its bucket can be listed, written, read and deleted from."""

from __future__ import annotations

from collections.abc import Iterator

from actors.storage import open_files
from files.errors import FilesError, Refused
from scripts.checks.finding import Examined, Finding, error, ok

TOPIC = "storage"


def check(examined: Examined) -> Iterator[Finding]:
    """Check the storage by a file of its own, which is deleted."""
    if not examined.settings.is_remote:
        yield ok(TOPIC, "videos and parts are on the disk of this machine")
        return
    url = examined.settings.files_url
    try:
        open_files(examined.settings).check()
    except Refused as refused:
        fix = "correct FILES_URL, S3_ENDPOINT_URL, S3_REGION or the AWS keys; the bucket must exist, and allow all four"
        yield error(TOPIC, f"{url} cannot be used: {refused}", fix)
    except FilesError as down:
        fix = "check S3_ENDPOINT_URL, the network and the storage; work waits for it meanwhile"
        yield error(TOPIC, f"{url} does not answer: {down}", fix)
    else:
        yield ok(TOPIC, f"{url} can be listed, written, read and deleted from")
