"""Idle threads of a worker sleep until there is work or the worker stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import dramatiq
import pytest
from dramatiq import Worker

from broker import SqliteBroker
from scripts.machine.work_queue import WorkQueue
from scripts.machine.worker_process import start_workers, stop_workers
from tests.support.waiting import wait_for

STOP_WITHIN_S = 5.0  # a consumer's wait is one second long


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SqliteBroker]:
    made = SqliteBroker(tmp_path / "queue.sqlite3")
    yield made
    made.close()


def switches(worker: Worker) -> int:
    """Return how often the threads of a worker have gone to sleep."""
    paths = [Path(f"/proc/self/task/{thread.native_id}/status") for thread in worker.workers]
    return sum(int(path.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for path in paths)


def test_idle_threads_do_not_wake_up_and_still_work_and_stop_at_once(broker: SqliteBroker) -> None:
    done = threading.Event()

    @dramatiq.actor(broker=broker, queue_name="one")
    def act() -> None:
        done.set()

    workers = start_workers(broker, {"one": 8})
    [worker] = workers
    wait_for(lambda: all(thread.running for thread in worker.workers), "the threads")
    act.send()
    assert done.wait(10)
    wait_for(lambda: worker.work_queue.unfinished_tasks == 0, "the end of the work")
    before = switches(worker)
    for _ in range(3):  # as often as threads with a timeout of a second would wake up
        assert not threading.Event().wait(1.0)
    assert switches(worker) - before < len(worker.workers)

    stop = threading.Thread(target=stop_workers, args=(workers,))
    stop.start()
    stop.join(STOP_WITHIN_S)
    assert not stop.is_alive()


def test_a_stopping_queue_keeps_its_items_for_the_worker_that_returns_them() -> None:
    queue = WorkQueue()
    queue.put(1)
    queue.stop_waiting()
    with pytest.raises(Empty):
        queue.get(timeout=30)
    assert queue.get_nowait() == 1
    with pytest.raises(Empty):
        queue.get_nowait()


def test_items_are_returned_by_priority_and_to_every_waiting_thread() -> None:
    queue, found = WorkQueue(), []
    lock = threading.Lock()

    def take() -> None:
        item = queue.get(timeout=1)
        with lock:
            found.append(item)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for item in (3, 1, 2):
        queue.put(item)
    for thread in threads:
        thread.join(10)
    assert sorted(found) == [1, 2, 3]
    queue.put(2)
    queue.put(1)
    assert [queue.get(), queue.get()] == [1, 2]
