"""The media worker of scripts/serve runs while its queue has work, including messages whose delay is over."""

from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from scripts.machine.serve import MediaDemand
from tests.support.waiting import wait_for


@pytest.fixture
def broker(tmp_path: Path) -> SqliteBroker:
    made = SqliteBroker(tmp_path / "queue.sqlite3")

    @dramatiq.actor(broker=made, queue_name="media")
    def render() -> None:
        """Do nothing."""

    return made


def _send(broker: SqliteBroker, delay_ms: int | None = None) -> None:
    broker.get_actor("render").send_with_options(delay=delay_ms)


def test_no_worker_is_wanted_for_an_empty_queue(broker: SqliteBroker, tmp_path: Path) -> None:
    broker.declare_queue("media")
    broker.get_queue_message_counts("media")  # makes the file, as the migration does before anything is served
    assert not MediaDemand(tmp_path / "queue.sqlite3", 1)()


@pytest.mark.parametrize(("delay_ms", "wanted"), [(None, True), (3_600_000, False)])
def test_a_worker_is_wanted_when_there_is_work_and_not_while_it_is_delayed(
    broker: SqliteBroker, tmp_path: Path, delay_ms: int | None, *, wanted: bool
) -> None:
    _send(broker, delay_ms)
    assert MediaDemand(tmp_path / "queue.sqlite3", 1)() is wanted


def test_a_worker_is_wanted_again_when_a_delay_is_over(broker: SqliteBroker, tmp_path: Path) -> None:
    """A part waits minutes to be tried again; the idle worker is stopped by then, and nobody else moves its message."""
    _send(broker, 300)
    demand = MediaDemand(tmp_path / "queue.sqlite3", 1)
    wait_for(demand, "the delayed message to ask for a worker", 10)
    [media] = [queue for queue in broker.admin.queue_stats() if queue.queue == "media"]
    assert (media.ready, media.delayed) == (1, 0)
    assert (media.oldest_ready_age_s or 0.0) >= 0.0
