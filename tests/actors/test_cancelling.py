"""Cancelling a job ends its media work: real messages, a real worker, and real child processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dramatiq import Worker

from actors import wiring
from actors.flow import job_commands, planning, rendering
from media.process import runner
from store import Store, jobs, segments
from store.states import JobStatus
from tests.actors.queues import waiting
from tests.store.rows import job, segment
from tests.support.waiting import wait_for

SILENT_STAGE = """
import os, time
from pathlib import Path

ON_EVERY_ENGINE = True
Path({started!r}).write_text(str(os.getpid()))
time.sleep(600)  # reports no progress, and opens no file whose deletion it could notice
"""


@pytest.fixture
def worker(store: Store) -> Iterator[Worker]:
    """Return a running worker of the media queue with one thread."""
    del store
    worker = Worker(wiring.machine.broker, queues={"media"}, worker_timeout=50, worker_threads=1)
    worker.start()
    yield worker
    worker.stop()
    wiring.machine.broker.close()  # else this process stays registered as a consumer of the queue


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace both media stages by one that blocks; return the file into which its process writes its id."""
    path = tmp_path / "started"
    (tmp_path / "media").mkdir()
    for stage in ("plan", "gaze"):
        (tmp_path / "media" / f"{stage}.py").write_text(SILENT_STAGE.format(started=str(path)))
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    return path


def _add_job(job_id: str, parts: int | None) -> None:
    """Add a job with its messages: to be planned if `parts` is None, else to be rendered."""
    with wiring.machine.store.writing(scope="everything") as connection:
        jobs.create(connection, job(job_id, parts=parts))
        if parts is None:
            planning.send(wiring.machine, job_id)
        for number in range(1, (parts or 0) + 1):
            segments.create(connection, [segment(number, job_id=job_id)])
            rendering.send(wiring.machine, segment(number, job_id=job_id))


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("parts", [None, 1], ids=["planning", "rendering"])
def test_cancelling_a_job_ends_its_child(started: Path, parts: int | None) -> None:
    """The child reports no progress, so nothing else would end it."""
    _add_job("job", parts)
    wait_for(lambda: started.exists() and started.read_text(), "the child to start")
    child = int(started.read_text())

    assert job_commands.cancel(wiring.machine, "job")

    wait_for(lambda: not _runs(child), "the child to end", 20)
    wiring.machine.broker.join("media", timeout=20_000)
    assert wiring.machine.broker.admin.dead_letters("media") == []
    with wiring.machine.store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.status is JobStatus.CANCELLED


@pytest.mark.usefixtures("worker")
def test_the_worker_renders_other_jobs_after_a_cancellation(started: Path) -> None:
    _add_job("job", 1)
    wait_for(lambda: started.exists() and started.read_text(), "the child to start")
    started.unlink()
    _add_job("next", 1)
    assert job_commands.cancel(wiring.machine, "job")
    wait_for(lambda: started.exists() and started.read_text(), "the child of the next job")
    assert job_commands.cancel(wiring.machine, "next")
    wiring.machine.broker.join("media", timeout=20_000)


@pytest.mark.parametrize("parts", [None, 3], ids=["planning", "rendering"])
def test_waiting_messages_of_a_cancelled_job_are_deleted(store: Store, parts: int | None) -> None:
    del store
    _add_job("job", parts)
    _add_job("other", 2)
    assert job_commands.cancel(wiring.machine, "job")
    media = [message for message in waiting() if message[0] in {"split", "gaze"}]
    assert media == [("gaze", ("other-1",)), ("gaze", ("other-2",))]


@pytest.mark.parametrize(("parts", "message"), [(None, ("split", ("job",))), (1, ("gaze", ("job-1",)))])
def test_a_worker_that_stops_ends_a_child_that_reports_no_progress(
    worker: Worker, started: Path, parts: int | None, message: tuple[str, tuple[str, ...]]
) -> None:
    """Its message is sent again."""
    _add_job("job", parts)
    wait_for(lambda: started.exists() and started.read_text(), "the child to start")
    worker.stop()
    assert not _runs(int(started.read_text()))
    assert message in waiting()
