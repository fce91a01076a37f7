"""The clerk: the one thread of a process that writes, claims, listens to the bells and keeps the lease.

Other threads hand it orders and wait. So no SQL runs on threads that dramatiq interrupts with exceptions, orders that
arrive together share one commit, and an acknowledgement and the next claim do, too. Which SQL an order runs is its own
business; where messages go in this process is the floor's.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from broker.engine.batch import Batch, Order
from broker.engine.claiming import PAUSE_AFTER_FAILURE_S, Claiming
from broker.engine.commits import Commits
from broker.engine.maintenance import Rounds
from broker.engine.notifications import CANCELLED, WORKERS, ring
from broker.engine.own_hand import OwnHand
from broker.engine.prefetch import Desk, Floor, Staff
from broker.engine.processes import Patrol
from broker.engine.tidying import Tidying
from broker.engine.watch import Watch
from broker.errors import BrokerClosed, DatabaseUnavailable, translated
from broker.storage.clock import now_ms
from broker.storage.database import Database, IfReplaced, Synchronous
from broker.storage.places import Places
from broker.storage.queue import Claim, Entry
from broker.storage.tally import Tally
from broker.storage.write_lock import WriteGate

__all__ = ["Clerk", "Terms"]

T = TypeVar("T")

ORDERS_AT_ONCE = 256
LONG_S = 3600.0
GATHERED_FOR_S = 0.00005
LISTEN_WHEN_BUSY_S = 0.02  # under load the clerk never sleeps, but must hear of deaths and cancelled messages

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the broker was told."""

    synchronous: Synchronous
    poll_interval_s: float  # safety net: how often the tables are looked at although no bell rang
    lease_s: float  # how long a frozen process keeps its messages
    max_deliveries: int  # how often a message is handed out that is never settled
    dead_letters_kept_s: float | None = None  # None: until they are purged
    if_replaced: IfReplaced = "reopen"  # what to do when the database file is deleted or replaced


class Clerk:
    """Starts its thread when made; `close` ends it. Belongs to the process that made it."""

    def __init__(self, places: Places, gate: WriteGate, staff: Staff, terms: Terms) -> None:
        self._places = places
        self._gate = gate
        self._terms = terms
        self.database = Database(places.database, gate, terms.synchronous, terms.if_replaced)
        self._floor = Floor(staff)
        self._watch = Watch(places)
        self._patrol = Patrol(places.leases, lease_s=terms.lease_s, max_deliveries=terms.max_deliveries)
        self._orders: deque[Order[Any]] = deque()
        self._claiming = Claiming(self._floor, self.database)
        self._closing = False
        self.closed = False
        tidying = Tidying(self.database, terms.dead_letters_kept_s)
        self._rounds = Rounds(self._patrol, self._floor, self._watch, self.database, tidying, terms.poll_interval_s)
        self._tally = Tally()
        self._commits = Commits(places, self.database, self._floor, self._claiming, self._patrol, self._tally)
        self._own_hand = OwnHand(self._commits, self.database, gate, self._floor, self._watch)
        self._heard_s = 0.0
        self._thread = threading.Thread(target=self._run, name="broker-clerk", daemon=True)
        self._thread.start()

    # What other threads call.

    def call(self, work: Callable[[Batch], T]) -> T:
        """Have a piece of writing committed and return its result.

        Raises:
            DatabaseUnavailable: nothing was written; the cause lies in the file or the disk.
            NotJoined: this thread is inside the gate with a transaction of its own, which it did not join.
        """
        order = Order(work)
        self.submit(order)
        return order.wait()

    def store(self, entries: Sequence[Entry]) -> None:
        """Have messages committed, all or none; on this thread, if it may.

        Raises:
            As `call`.
        """

        def work(batch: Batch) -> None:
            batch.store(entries)

        if not self._own_hand.commit(work):
            self.call(work)

    def submit(self, order: Order[T]) -> None:
        """Hand over an order without waiting for it. Handing it over twice does no harm."""
        if sys.is_finalizing():
            raise BrokerClosed("the interpreter is shutting down")
        if order.answered:
            return
        if self._gate.held:
            self._own_hand.serve(order)
            return
        self._orders.append(order)
        self._watch.nudge()
        if self.closed:
            self._refuse_orders()

    def nudge(self) -> None:
        """Make the clerk look whether there is something to claim."""
        self._watch.nudge()

    def open_desk(self, queue: str, prefetch: int) -> Desk:
        """Begin to consume a queue in this process."""
        desk = self._floor.desk(queue, prefetch)
        self.call(lambda batch: self._patrol.enlist(batch, self._floor.open_queues()))
        ring(self._places.bells, WORKERS)
        return desk

    def close_desk(self, desk: Desk) -> None:
        """Claim nothing more for a queue and give back, in order, what no consumer picked up."""
        desk.closed = True
        self._clear([desk])

    def clear_desks(self) -> None:
        """Give back, in order, what no consumer has picked up of any queue."""
        self._clear(self._floor.open_desks())

    def _clear(self, desks: list[Desk]) -> None:
        leftovers: list[Claim] = []

        def work(batch: Batch) -> None:
            # On the clerk's thread, so that no claim is on its way to a desk any more.
            for desk in desks:
                leftovers.extend(desk.leftovers())
            batch.give_back(leftovers)

        self.call(work)

    def abandon(self, held: Claim) -> None:
        """Return a message that its thread dropped unsettled. Called by the garbage collector, so it only notes it."""

        def work(batch: Batch) -> None:
            self.return_unsettled(batch, held)

        self._orders.append(Order(work))
        self._watch.nudge()

    def return_unsettled(self, batch: Batch, held: Claim) -> bool:
        """Return a message whose work was cut off; False when the claim had been lost before."""
        return batch.abandon(held, self._terms.max_deliveries)

    def close(self) -> None:
        """Finish the orders at hand, give back what is held, end the thread, close the file."""
        self._closing = self._own_hand.closed = True
        self._watch.nudge()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def forget(self) -> None:
        """Drop what is the parent's in a forked child."""
        self.database.forget()
        self._patrol.forget()
        self._watch.close()

    # What runs on the clerk's thread.

    def _run(self) -> None:
        while not self._closing or self._orders:
            try:
                self._turn()
            except Exception:
                # The edge of the thread. Everything foreseen is answered to whoever waits for it; this is a mistake
                # in the clerk, and a process without a clerk would wait for ever.
                logger.exception("The broker's clerk stumbled; it goes on.")
                time.sleep(PAUSE_AFTER_FAILURE_S)
        try:
            self._leave()
        finally:
            self.closed = True
            self._refuse_orders()

    def _turn(self) -> None:
        self._gather()
        orders = self._taken_orders()
        if orders or self._claiming.possible():
            self._serve(orders)
            if time.monotonic() > self._heard_s + LISTEN_WHEN_BUSY_S:
                self._hear(0.0)
        elif not self._closing and not self._claiming.look(self._watch.listen, now_ms()):
            if self._claiming.overdue(now_ms()):
                self._promote()
            else:
                self._sleep()
        self._rounds.go(lambda work: self._commits.commit([Order(work)]))

    def _gather(self) -> None:
        """Wait for acknowledgements that will come in a moment, if a backlog waits for their threads.

        One commit then serves them all.
        """
        here = 0
        while here < len(self._orders) < len(self._floor.held) and self._floor.has_backlog() and not self._closing:
            here = len(self._orders)
            time.sleep(GATHERED_FOR_S)

    def _refuse_orders(self) -> None:
        for order in self._taken_orders():
            order.fail(BrokerClosed("the broker was closed"))

    def _taken_orders(self) -> list[Order[Any]]:
        orders: dict[Order[Any], None] = {}
        while self._orders and len(orders) < ORDERS_AT_ONCE:
            order = self._orders.popleft()
            if not order.answered:
                orders[order] = None  # handed over twice, it is still one
        return list(orders)

    def _serve(self, orders: list[Order[Any]]) -> None:
        """Commit these orders together, with what can be claimed; one by one if that fails."""
        try:
            results, _ = self._commits.commit(orders, claiming=True)
        except Exception as error:  # noqa: BLE001  # the edge of the thread: every error goes to whoever waits for it
            self._serve_singly(orders, error)
        else:
            for order, result in zip(orders, results, strict=True):
                order.finish(result)

    def _serve_singly(self, orders: list[Order[Any]], error: Exception) -> None:
        if not orders:
            self._claiming.fail(translated(error))
        for order in orders:
            try:
                [result], _ = self._commits.commit([order])
            except Exception as own_error:  # noqa: BLE001  # as above
                order.fail(translated(own_error))
            else:
                order.finish(result)

    def _promote(self) -> None:
        try:
            self._commits.commit([Order(self._claiming.promote_due)])
        except Exception as error:  # noqa: BLE001  # as above
            self._claiming.fail(translated(error))

    def _sleep(self) -> None:
        self._hear(self._time_left_s())

    def _hear(self, timeout_s: float) -> None:
        if self._tally.fresh:
            self._tally.fresh = False
            self._patrol.publish(self._tally.text())
        woken = self._watch.wait(timeout_s)
        self._heard_s = time.monotonic()
        if woken.death or woken.bells & {WORKERS, CANCELLED}:
            self._rounds.hurry()
        for queue in woken.bells & self._floor.desks.keys():
            desk = self._floor.desks[queue]
            # Claimed at once, looked at afterwards: a look first would cost the message 0.2 of its 1.2 ms (measured).
            desk.ready = desk.unsure = True

    def _time_left_s(self) -> float:
        """Return how long nothing will fall due. A process that only sends has no timers at all."""
        if self._patrol.holder is None:
            return LONG_S
        return max(0.0, min(self._rounds.due_in_s() + self._claiming.due_in_s(now_ms())))

    def _leave(self) -> None:
        try:
            if self._patrol.holder is not None:
                self._commits.commit([Order(self._patrol.leave)])
            self.database.close()
        except (sqlite3.Error, OSError, DatabaseUnavailable) as error:
            logger.warning("Could not sign off (%s); others will find the lease free.", error)
        self._patrol.release()
        self._watch.close()
