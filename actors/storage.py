"""Opens the storage of the files of jobs that the settings name."""

from __future__ import annotations

from dataclasses import replace

from files.local import LocalFiles
from files.storage import Storage
from media.process import runner
from platforms.http import fencing
from settings import Settings

QUESTION_TIMEOUT_S = 10.0  # of a request that asks what is there


def open_files(settings: Settings) -> Storage:
    """Return the storage; a remote one is connected to at its first use."""
    local = LocalFiles(settings.files_dir.resolve(), runner.remove_abandoned)
    if not settings.is_remote or settings.aws_access_key_id is None or settings.aws_secret_access_key is None:
        return local
    # 18 MB of memory that a local directory does not need.
    from files import s3  # noqa: PLC0415
    from files.scratch import Scratch  # noqa: PLC0415

    bucket, _, prefix = settings.files_url.removeprefix("s3://").partition("/")
    options = s3.S3Options(
        bucket=bucket,
        prefix=prefix.strip("/"),
        endpoint=settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key_id=settings.aws_access_key_id.get_secret_value(),
        secret_access_key=settings.aws_secret_access_key.get_secret_value(),
    )
    scratch = Scratch(settings.scratch_dir or settings.data_dir.resolve() / "scratch", settings.scratch_size)
    return s3.S3Files(
        s3.open_store(options),
        scratch,
        local,
        patient=s3.open_store(options, is_patient=True),
        brief=s3.open_store(replace(options, timeout_s=QUESTION_TIMEOUT_S)),
        before_deletion=_check_fence,
    )


def _check_fence() -> None:
    """Check that the calling thread may delete; raises as of its `Fence`. Threads of the API always may."""
    fencing.current().check()
