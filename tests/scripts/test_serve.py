"""The services that scripts/serve runs; the media worker while its queue has work, also after a delay."""

from pathlib import Path

import dramatiq
import pytest

import settings
from broker import SqliteBroker
from scripts.machine.serve import MediaDemand, services_of
from settings import Settings
from tests.support.waiting import wait_for

SERVER = {"DATABASE_URL": "postgresql://127.0.0.1:1/vidprod", "SECRET_KEY": "s" * 16, "API_KEYS": "k" * 16}
BUCKET = {"FILES_URL": "s3://videos", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def broker(tmp_path: Path) -> SqliteBroker:
    made = SqliteBroker(tmp_path / "queue.sqlite3")

    @dramatiq.actor(broker=made, queue_name="media")
    def render() -> None:
        """Do nothing."""

    return made


def _settings(directory: Path) -> Settings:
    return settings.read({"DATABASE_URL": f"sqlite:///{directory / 'queue.sqlite3'}"})


def _send(broker: SqliteBroker, delay_ms: int | None = None) -> None:
    broker.get_actor("render").send_with_options(delay=delay_ms)


def test_no_worker_is_wanted_for_an_empty_queue(broker: SqliteBroker, tmp_path: Path) -> None:
    broker.declare_queue("media")
    broker.get_queue_message_counts("media")  # makes the file, as the migration does before anything is served
    assert not MediaDemand(_settings(tmp_path))()


@pytest.mark.parametrize(("delay_ms", "wanted"), [(None, True), (3_600_000, False)])
def test_a_worker_is_wanted_when_there_is_work_and_not_while_it_is_delayed(
    broker: SqliteBroker, tmp_path: Path, delay_ms: int | None, *, wanted: bool
) -> None:
    _send(broker, delay_ms)
    assert MediaDemand(_settings(tmp_path))() is wanted


def test_a_worker_is_wanted_again_when_a_delay_is_over(broker: SqliteBroker, tmp_path: Path) -> None:
    """A part waits minutes to be tried again; the idle worker is stopped by then, and nobody else moves its message."""
    _send(broker, 300)
    demand = MediaDemand(_settings(tmp_path))
    wait_for(demand, "the delayed message to ask for a worker", 10)
    [media] = [queue for queue in broker.admin.queue_stats() if queue.queue == "media"]
    assert (media.ready, media.delayed) == (1, 0)
    assert (media.oldest_ready_age_s or 0.0) >= 0.0


@pytest.mark.parametrize(
    ("chosen", "names"), [("", ["api", "network", "media"]), ("api", ["api"]), ("media, network", ["network", "media"])]
)
def test_a_machine_runs_the_services_that_are_named(chosen: str, names: list[str]) -> None:
    found = services_of(settings.read(SERVER | BUCKET | {"SERVICES": chosen}))
    assert [service.name for service in found] == names


@pytest.mark.parametrize(
    ("chosen", "names"),
    [("", ["api", "network", "media", "relay"]), ("relay", ["relay"]), ("media,network", ["network", "media"])],
)
def test_a_machine_runs_a_relay_if_rabbitmq_or_redis_wake_the_workers(chosen: str, names: list[str]) -> None:
    found = services_of(settings.read(SERVER | BUCKET | {"SERVICES": chosen, "BROKER_URL": "amqp://mq/videos"}))
    assert [service.name for service in found] == names


def test_a_relay_alone_needs_something_to_relay_to() -> None:
    with pytest.raises(settings.BadSettings, match=r"^SERVICES names the relay alone, which needs BROKER_URL"):
        settings.read(SERVER | BUCKET | {"SERVICES": "relay"})
