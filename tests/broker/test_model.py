"""Random lives of two processes at one file, step by step against the model: nothing lost, doubled or out of turn.

Each run lives the same lives. Let a changed broker live others, too, as many as there is time for:

    LIVES=5000 python -m pytest tests/broker/test_model.py -k random_lives --hypothesis-profile=random
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from broker.engine.message import SqliteMessage
from tests.broker.model import Buffer
from tests.broker.state_machine import ACTORS, NEVER_MS, QUEUES, BrokerMachine, Held, until

LIVES = int(os.environ.get("LIVES", "40"))

queues = st.sampled_from(QUEUES)
numbers = st.integers(0, 1)
picks = st.integers(0, 50)


class Life(BrokerMachine):
    """Each rule does the same to the broker and to the model. What the broker learns to do gets a rule here."""

    @initialize(counts=st.tuples(st.integers(0, 4), st.integers(0, 4)), working=st.integers(0, 3))
    def begin_at_work(self, counts: tuple[int, int], working: int) -> None:
        """Most lives begin with something to do: the first steps would else be spent on empty queues."""
        for queue, count in zip(QUEUES, counts, strict=True):
            self.send_many(0, queue, count, None)
        for number in range(working):
            self.take(number % 2, QUEUES[number // 2])

    # Sending.

    @rule(
        number=numbers,
        queue=queues,
        actor=st.sampled_from(sorted(ACTORS)),
        priority=st.sampled_from((None, 5)),
        delay=st.sampled_from((None, 0, 1000, 4000)),
        unique_key=st.sampled_from((None, None, "one", "other")),
    )
    def send(
        self,
        number: int,
        queue: str,
        actor: str,
        priority: int | None,
        delay: int | None,
        unique_key: str | None,
    ) -> None:
        options = {
            "broker_priority": priority,
            "unique_key": unique_key,
            "unique_for": 3 if unique_key else None,
        }
        message = self.message(queue, actor, {name: value for name, value in options.items() if value is not None})
        delay = self.at_no_other_time(delay)
        self.processes[number].broker.enqueue(message, delay=delay)
        self.note(message, delay)

    @rule(number=numbers, queue=queues, count=st.integers(1, 4), delay=st.sampled_from((None, 1000)))
    def send_many(self, number: int, queue: str, count: int, delay: int | None) -> None:
        messages = [self.message(queue) for _ in range(count)]
        delay = self.at_no_other_time(delay)
        self.processes[number].broker.enqueue_many(messages, delay=delay)
        for message in messages:
            self.note(message, delay)

    @rule(number=numbers, queue=queues, commit=st.booleans(), unique_key=st.sampled_from((None, "one")))
    def send_in_a_transaction(self, number: int, queue: str, commit: bool, unique_key: str | None) -> None:
        broker = self.processes[number].broker
        message = self.message(queue, options={"unique_key": unique_key, "unique_for": 3} if unique_key else None)
        with broker.write_lock:
            self.application.execute("BEGIN IMMEDIATE")
            with broker.joining(self.application):
                self.application.execute("INSERT INTO notes VALUES (1)")
                broker.enqueue(message)
                self.application.execute("COMMIT" if commit else "ROLLBACK")
        if commit:
            self.noted += 1
            self.note(message, None)

    @precondition(lambda self: self.held)
    @rule(number=numbers, pick=picks, delay=st.sampled_from((None, 0, 1000)))
    def send_again_what_is_in_hand(self, number: int, pick: int, delay: int | None) -> None:
        """As dramatiq's Retries does: the same id, before the original is settled."""
        message = self.held[pick % len(self.held)].message
        self.sent += 1
        delay = self.at_no_other_time(delay)
        self.processes[number].broker.enqueue(message, delay=delay)  # type: ignore[arg-type]  # a proxy will do
        self.note(message, delay, attempts=message.held.attempts)

    # Working.

    @rule(number=numbers, queue=queues, prefetch=st.sampled_from((1, 1, 3)))
    def consume(self, number: int, queue: str, prefetch: int) -> None:
        process = self.processes[number]
        process.consumers.setdefault(queue, []).append(process.broker.consume(queue, prefetch, NEVER_MS))
        buffer = process.buffers.setdefault(queue, Buffer(prefetch))
        buffer.prefetch, buffer.open = prefetch, True
        self.reclaim()
        self.fall_due()

    @rule(number=numbers, queue=queues)
    def take(self, number: int, queue: str) -> None:
        process = self.processes[number]
        buffer = process.buffers.get(queue)
        if buffer is None or not buffer.open:
            self.consume(number, queue, 1)
            buffer = process.buffers[queue]
        if not buffer.inbox:
            self.model.claim(queue, buffer, number)
        got = process.fetch(queue, expected=bool(buffer.inbox))
        process.let_go()
        assert (None if got is None else got.message_id) == (buffer.inbox[0].name if buffer.inbox else None)
        if got is not None:
            assert isinstance(got, SqliteMessage)
            self.held.append(Held(process, queue, got, buffer.inbox.pop(0)))

    @precondition(lambda self: self.held)
    @rule(pick=picks, end=st.sampled_from(("ack", "ack", "nack", "requeue")))
    def settle(self, pick: int, end: str) -> None:
        """Also late, when the process has been taken for lost meanwhile, or its broker was closed."""
        held = self.held.pop(pick % len(self.held))
        self.settled.append(held)
        held.settle(end)
        held.buffer.held -= 1
        if held.ours is not None:
            self.model.settle(held.ours, end)
        held.item = None

    @precondition(lambda self: self.held)
    @rule(pick=picks, end=st.sampled_from(("ack", "nack")), delay=st.sampled_from((None, 1000)))
    def settle_and_send_on(self, pick: int, end: str, delay: int | None) -> None:
        """Messages that an actor sends are committed with the end of its claim, or not at all."""
        held = self.held[pick % len(self.held)]
        ours, message = held.ours is not None, self.message(held.message.queue_name)
        delay = self.at_no_other_time(delay)
        with held.process.debug.collect(held.message, failed=end == "nack"):
            held.process.broker.enqueue(message, delay=delay)
        self.settle(pick, end)
        if ours:
            self.note(message, delay)

    @precondition(lambda self: self.held)
    @rule(pick=picks, end=st.sampled_from(("ack", "nack", "requeue")))
    def settle_what_was_given_back_and_taken_again(self, pick: int, end: str) -> None:
        """The same process holds it again, but under another claim."""
        old = self.held[pick % len(self.held)]
        self.settle(pick, "requeue")
        self.take(old.process.number, old.message.queue_name)
        old.settle(end)

    @precondition(lambda self: self.settled)
    @rule(pick=picks, end=st.sampled_from(("ack", "nack", "requeue")))
    def settle_twice(self, pick: int, end: str) -> None:
        self.settled[pick % len(self.settled)].settle(end)

    @rule(number=numbers, queue=queues)
    def stop_consuming(self, number: int, queue: str) -> None:
        process = self.processes[number]
        buffer = process.buffers.get(queue)
        if buffer is None or not buffer.open:
            return
        for consumer in process.consumers.pop(queue):
            consumer.close()
        self.model.give_back(item for item in buffer.inbox if item.holder == number)
        buffer.held -= len(buffer.inbox)
        buffer.inbox.clear()
        buffer.open = False

    # Ends of processes.

    @rule(number=numbers)
    def close_and_open(self, number: int) -> None:
        process = self.processes[number]
        process.broker.close()
        self.model.lose(number, limited=False)
        self.leave(process)

    @rule(number=numbers)
    def die(self, number: int) -> None:
        """The lease is let go, nothing else is done. A new process takes its place."""
        process = self.processes[number]
        if process.consumes:
            process.debug.die()
        process.broker.close()
        for item in self.model.held_by(number):
            item.holder = -1  # nobody's, until somebody looks
        self.leave(process)
        self.reclaim()

    @rule(number=numbers)
    def freeze(self, number: int) -> None:
        """The lease runs out; the others take what is held; then the process goes on and knows of nothing."""
        process, other = self.processes[number], self.processes[1 - number]
        if not process.consumes or not other.consumes:
            return
        process.let_go()
        own = process.debug.process_id
        if not self.rows("SELECT 1 FROM broker_workers WHERE id = ?", own):
            return  # frozen before, and not noticed yet
        process.freeze()
        until(lambda: not self.rows("SELECT 1 FROM broker_workers WHERE id = ?", own), other.hurry)
        for item in self.model.held_by(number):
            item.holder = -1
        for held in self.held:
            if held.process is process:
                held.item = None
        self.model.lose(-1, limited=True)

    # Operators and time.

    @rule(number=numbers, queue=queues)
    def pause(self, number: int, queue: str) -> None:
        self.processes[number].broker.admin.pause_queue(queue)
        self.model.paused.add(queue)

    @rule(number=numbers, queue=queues)
    def resume(self, number: int, queue: str) -> None:
        assert self.processes[number].broker.admin.resume_queue(queue) == (queue in self.model.paused)
        self.model.paused.discard(queue)

    @precondition(lambda self: self.model.items)
    @rule(number=numbers, pick=picks)
    def cancel(self, number: int, pick: int) -> None:
        name = self.model.items[pick % len(self.model.items)].name
        assert self.processes[number].broker.admin.cancel(name) == self.model.cancel(name)

    @rule(number=numbers, queue=queues)
    def flush(self, number: int, queue: str) -> None:
        self.processes[number].broker.flush(queue)
        self.model.flush(queue)

    @precondition(lambda self: self.model.dead)
    @rule(number=numbers, pick=picks)
    def retry(self, number: int, pick: int) -> None:
        broker = self.processes[number].broker
        letter = self.model.dead[pick % len(self.model.dead)]
        found = [dead.id for dead in broker.admin.dead_letters(limit=1000) if dead.message_id == letter.item.name]
        same = [dead for dead in self.model.dead if dead.item.name == letter.item.name]
        assert broker.admin.retry_dead_letter(found[-1])  # the oldest of this name
        self.model.retry(same[0])

    @rule(number=numbers)
    def purge(self, number: int) -> None:
        before = len(self.model.dead)
        purged = self.processes[number].broker.admin.purge_dead_letters()
        self.model.purge()
        assert purged == before - len(self.model.dead)

    @rule(ms=st.sampled_from((500, 1000, 5000, -1500)))
    def pass_time(self, ms: int) -> None:
        """The wall clock goes on, or is set back.

        It stops wherever something falls due: which of two queues is seen to first is nobody's promise, but would show
        if one were moved into the other later.
        """
        end_ms = self.model.now_ms + ms
        while stops := [eta_ms for eta_ms in self.model.etas() if self.model.now_ms < eta_ms <= end_ms]:
            self.model.now_ms = min(stops)
            self.fall_due()
        self.model.now_ms = end_ms


@pytest.mark.parametrize("lives", [LIVES, pytest.param(max(LIVES, 300), marks=pytest.mark.slow)])
def test_random_lives_go_as_the_model_says(lives: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    steps = settings(max_examples=lives, stateful_step_count=25, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Life, settings=steps)


# Lives that random search has found, shortened by it; each showed an error of the broker or of the model.
CONSUMER_OPENED_TWICE = (
    ("begin_at_work", {"counts": (2, 0), "working": 1}),
    ("settle", {"end": "ack", "pick": 0}),
    ("stop_consuming", {"number": 0, "queue": "a"}),
    ("send_many", {"count": 1, "delay": None, "number": 0, "queue": "a"}),
    ("take", {"number": 0, "queue": "a"}),
    ("send_again_what_is_in_hand", {"delay": None, "number": 0, "pick": 0}),
    ("settle", {"end": "nack", "pick": 0}),
    ("consume", {"number": 1, "prefetch": 3, "queue": "a"}),
    ("take", {"number": 1, "queue": "a"}),
    ("consume", {"number": 1, "prefetch": 1, "queue": "a"}),
    ("stop_consuming", {"number": 1, "queue": "a"}),
)
RETRY_AFTER_TWO_LOSSES = (
    ("begin_at_work", {"counts": (1, 1), "working": 1}),
    ("close_and_open", {"number": 0}),
    ("settle_what_was_given_back_and_taken_again", {"end": "ack", "pick": 0}),
    ("close_and_open", {"number": 0}),
    ("flush", {"number": 0, "queue": "a"}),
    ("send_again_what_is_in_hand", {"delay": None, "number": 0, "pick": 0}),
    ("settle_what_was_given_back_and_taken_again", {"end": "ack", "pick": 0}),
    ("die", {"number": 0}),
    ("settle_what_was_given_back_and_taken_again", {"end": "ack", "pick": 0}),
)
CLAIMS_OF_A_PRUNED_PROCESS = (  # were taken for claims of the process that pruned it, which then claimed too much
    ("begin_at_work", {"counts": (2, 1), "working": 2}),
    ("take", {"number": 1, "queue": "b"}),
    ("freeze", {"number": 1}),
    ("freeze", {"number": 0}),
    ("take", {"number": 0, "queue": "b"}),
    ("freeze", {"number": 0}),
    ("take", {"number": 1, "queue": "b"}),
)


@pytest.mark.parametrize("life", [CONSUMER_OPENED_TWICE, RETRY_AFTER_TWO_LOSSES, CLAIMS_OF_A_PRUNED_PROCESS])
def test_lives_found_earlier_go_as_the_model_says(life: tuple[tuple[str, dict[str, object]], ...]) -> None:
    state = Life()
    try:
        for rule_name, arguments in life:
            getattr(state, rule_name)(**arguments)
            state.everything_is_where_it_belongs()
    finally:
        state.teardown()
