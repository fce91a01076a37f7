"""Copy the videos and parts of this machine into the bucket of FILES_URL, and check them there.

Set FILES_URL=s3://BUCKET/PREFIX and the keys in the environment of this command. Run it first while VidProd runs with
its old settings: that takes long. Then stop VidProd, run it again: only what is new is sent, and start VidProd with the
new FILES_URL. Each file is read again from the bucket and compared. Nothing is deleted: the files on the disk go with
their jobs.

    scripts/move-files                 files below DATA_DIR
    scripts/move-files --from PATH     files below PATH, of an old FILES_URL=file://PATH
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.machine import command
from scripts.machine.installation import is_running

if TYPE_CHECKING:
    from actors.machine import Machine
    from files.local import LocalFiles


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a file is not in the bucket, or is not the same there."""
    parser = argparse.ArgumentParser(
        prog="scripts/move-files", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="PATH", help="of the files, instead of DATA_DIR")
    chosen = parser.parse_args(arguments)
    source = chosen.source and Path(os.environ.get("STARTED_IN", ""), chosen.source)
    return command.run(lambda machine: _run(machine, source))


def _run(machine: Machine, source: Path | None) -> int:
    if not machine.settings.is_remote:
        return command.fail("FILES_URL names no bucket (s3://BUCKET/PREFIX); there is nowhere to copy files to")
    from files import migration  # noqa: PLC0415 (obstore takes memory)
    from files.errors import FilesError  # noqa: PLC0415 (likewise)
    from files.local import LocalFiles  # noqa: PLC0415 (likewise)
    from files.s3 import S3Files  # noqa: PLC0415 (likewise)

    assert isinstance(machine.files, S3Files)  # `is_remote`
    local = LocalFiles((source or machine.settings.data_dir).resolve())
    count = new = total_bytes = failed = 0
    for key in _keys(machine, local):
        try:
            copied = migration.copy(local, machine.files, key)
        except FilesError as error:
            command.fail(str(error))
            failed += 1
            continue
        if copied is not None:
            count, new, total_bytes = count + 1, new + copied.is_new, total_bytes + copied.size_bytes
    print(f"{count} files with {total_bytes} bytes are in {machine.settings.files_url}; {new} were copied now")
    if failed:
        return command.fail(f"{failed} files are not there; run the command again")
    if is_running(machine.settings.data_dir):
        print("VidProd is running and may make further files: stop it, and run the command again.")
    return 0


def _keys(machine: Machine, local: LocalFiles) -> Iterator[str]:
    """Yield the files of all jobs that the database knows."""
    from files import keys  # noqa: PLC0415 (as above)
    from store import jobs  # noqa: PLC0415 (as above)

    for root in (keys.UPLOADS, keys.JOBS):
        for job_id in local.folders(root):
            with machine.store.reading() as connection:
                is_known = jobs.get(connection, job_id) is not None
            found = [file.key for file in local.list_files(f"{root}{job_id}/")] if is_known else []
            yield from (key for key in found if root == keys.JOBS or key == keys.source(job_id))


if __name__ == "__main__":
    command.exit_with(main)
