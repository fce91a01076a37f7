"""The clerk: the one thread of a process that writes, claims, listens to the bells and keeps the lease.

Other threads hand it orders and wait. So no SQL runs on threads that dramatiq interrupts with exceptions, orders that
arrive together share one commit, and an acknowledgement and the next claim do, too. Which SQL an order runs is its own
business; where messages go in this process is the floor's.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from broker.bell import WORKERS, ring
from broker.database import Database, Synchronous
from broker.errors import BrokerClosed, NotJoined, is_locked, translated
from broker.floor import Desk, Floor, Staff
from broker.gate import WriteGate
from broker.messages import Claim, claim, give_back, promote
from broker.orders import Batch, Order
from broker.patrol import Patrol, Peer
from broker.places import Places
from broker.watch import Watch

__all__ = ["Clerk", "Terms", "now_ms"]

T = TypeVar("T")

ORDERS_AT_ONCE = 256
PAUSE_AFTER_FAILURE_S = 1.0
DEAF_POLL_S = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the broker was told."""

    synchronous: Synchronous
    poll_interval_s: float  # safety net: how often the tables are looked at although no bell rang
    lease_s: float  # how long a frozen process keeps its messages
    max_deliveries: int  # how often a message is handed out that is never settled


def now_ms() -> int:
    """Return the wall clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Clerk:
    """Starts its thread when made; `close` ends it. Belongs to the process that made it."""

    def __init__(self, places: Places, gate: WriteGate, staff: Staff, terms: Terms) -> None:
        self._places = places
        self._gate = gate
        self._terms = terms
        self.database = Database(places.database, gate, terms.synchronous)
        self._floor = Floor(staff)
        self._watch = Watch(places)
        self._patrol = Patrol(places.leases, lease_s=terms.lease_s, max_deliveries=terms.max_deliveries)
        self._orders: deque[Order[Any]] = deque()
        self._claims = 0
        self._closing = False
        self._over = False
        self._next_round_s = 0.0
        self._resume_claims_s = 0.0
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

    def submit(self, order: Order[T]) -> None:
        """Hand over an order without waiting for it. Handing it over twice does no harm."""
        if sys.is_finalizing():
            raise BrokerClosed("the interpreter is shutting down")
        if self._gate.held:
            self._serve_inside(order)
            return
        self._orders.append(order)
        self._watch.nudge()
        if self._over:
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
        leftovers: list[Claim] = []

        def work(batch: Batch) -> None:
            # On the clerk's thread, so that no claim is on its way to the desk any more.
            desk.closed = True
            leftovers.extend(desk.leftovers())
            for held in leftovers:
                give_back(batch.connection, held)
            if leftovers:
                batch.settled += leftovers
                batch.readied.add(desk.queue)

        self.call(work)

    def close(self) -> None:
        """Finish the orders at hand, give back what is held, end the thread, close the file."""
        self._closing = True
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
        self._leave()
        self._over = True
        self._refuse_orders()

    def _turn(self) -> None:
        orders = self._taken_orders()
        if orders or self._may_claim():
            self._serve(orders)
        elif not self._look():
            self._sleep()
        self._go_round()

    def _refuse_orders(self) -> None:
        for order in self._taken_orders():
            order.fail(BrokerClosed("the broker was closed"))

    def _taken_orders(self) -> list[Order[Any]]:
        orders: list[Order[Any]] = []
        while self._orders and len(orders) < ORDERS_AT_ONCE:
            order = self._orders.popleft()
            if not order.answered and order not in orders:
                orders.append(order)
        return orders

    def _may_claim(self) -> bool:
        return time.monotonic() >= self._resume_claims_s and self._floor.hungry()

    def _serve(self, orders: list[Order[Any]]) -> None:
        """Commit these orders together, with what can be claimed; one by one if that fails."""
        try:
            results = self._committed(orders, claiming=True)
        except Exception as error:  # noqa: BLE001  # the edge of the thread: every error goes to whoever waits for it
            self._serve_singly(orders, error)
        else:
            for order, result in zip(orders, results, strict=True):
                order.finish(result)

    def _serve_singly(self, orders: list[Order[Any]], error: Exception) -> None:
        if not orders:
            self._resume_claims_s = time.monotonic() + PAUSE_AFTER_FAILURE_S
            self._floor.disappoint(translated(error))
        for order in orders:
            try:
                result = self._committed([order], claiming=False)[0]
            except Exception as own_error:  # noqa: BLE001  # as above
                order.fail(translated(own_error))
            else:
                order.finish(result)

    def _serve_inside(self, order: Order[Any]) -> None:
        """Serve a thread that holds the gate: the clerk could not, so the thread does it itself."""
        try:
            result = self._committed([order], claiming=False, patience_s=0.0)[0]
        except sqlite3.OperationalError as error:
            if is_locked(error):
                order.fail(NotJoined(f"this thread holds the gate and a transaction; join it ({error})"))
            else:
                order.fail(translated(error))
        except Exception as error:  # noqa: BLE001  # as above
            order.fail(translated(error))
        else:
            order.finish(result)

    def _committed(self, orders: list[Order[Any]], *, claiming: bool, patience_s: float | None = None) -> list[Any]:
        with self.database.writing(patience_s) as connection:
            batch = Batch(connection, now_ms())
            results = [order.work(batch) for order in orders]
            if claiming and time.monotonic() >= self._resume_claims_s:
                self._claim(batch)
        self._floor.take_in(batch)
        self._tell(batch)
        return results

    def _claim(self, batch: Batch) -> None:
        for queue in batch.readied:
            if queue in self._floor.desks:
                self._floor.desks[queue].ready = True
        for desk, wanted in self._floor.asking(batch.settled, batch.claimed):
            holder = self._patrol.enlist(batch, self._floor.open_queues())
            self._patrol.beat(holding=True)
            if desk.eta_ms is not None and desk.eta_ms <= batch.now_ms:
                promote(batch.connection, desk.queue, batch.now_ms)
                desk.unsure = True  # for the eta of the next one
            self._claims += 1
            claims = claim(batch.connection, desk.queue, wanted, holder=holder, number=self._claims)
            desk.ready = len(claims) == wanted
            batch.claimed += claims

    def _tell(self, batch: Batch) -> None:
        """Ring for the other processes, unless we took all there was; look ourselves at what is delayed."""
        desks = self._floor.desks
        for queue in batch.readied | batch.delayed:
            desk = desks.get(queue)
            if desk is not None:
                desk.unsure = desk.unsure or queue in batch.delayed
                desk.ready = desk.ready or queue in batch.readied
            if queue in batch.delayed or desk is None or desk.ready:
                with contextlib.suppress(OSError):  # not heard: the others look at poll_interval_s
                    ring(self._places.bells, queue)
        if threading.current_thread() is not self._thread:
            self._watch.nudge()

    def _look(self) -> bool:
        """Look at the tables for desks that are unsure; True when there is something to claim."""
        moment_ms = now_ms()
        for desk in list(self._floor.desks.values()):
            if desk.unsure and not desk.closed:
                desk.unsure = False
                self._watch.listen(desk.queue)
                with contextlib.suppress(sqlite3.Error):  # claiming will meet it again, and says so
                    desk.ready, desk.eta_ms = self._glance(desk.queue)
            if desk.eta_ms is not None and desk.eta_ms <= moment_ms:
                desk.ready = True
        return self._may_claim()

    def _glance(self, queue: str) -> tuple[bool, int | None]:
        rows = self.database.read(
            """
            SELECT EXISTS (SELECT 1 FROM broker_messages WHERE state = 0 AND queue = ?),
                (SELECT min(eta_ms) FROM broker_messages WHERE state = 1 AND queue = ?)
            """,
            (queue, queue),
        )
        return bool(rows[0][0]), rows[0][1]

    def _sleep(self) -> None:
        woken = self._watch.wait(self._time_left_s())
        if woken.death or WORKERS in woken.bells:
            self._next_round_s = 0.0
        for queue in woken.bells & self._floor.desks.keys():
            self._floor.desks[queue].unsure = True

    def _time_left_s(self) -> float:
        """Return how long nothing will fall due: round, heartbeat, next eta, end of a pause."""
        open_desks = [desk for desk in list(self._floor.desks.values()) if not desk.closed]
        if not open_desks and self._patrol.holder is None:
            return 3600.0  # a process that only sends has no timers
        now_s = time.monotonic()
        due = [self._next_round_s - now_s]
        due += [(desk.eta_ms - now_ms()) / 1000 for desk in open_desks if desk.eta_ms is not None and not desk.ready]
        beat_s = self._patrol.next_beat_s(holding=bool(self._floor.held))
        if beat_s is not None:
            due.append(beat_s)
        if self._resume_claims_s > now_s:
            due.append(self._resume_claims_s - now_s)
        return max(0.0, min(due))

    def _go_round(self) -> None:
        """Keep the lease; look after the others and, as a safety net, at the tables, when it is time."""
        if self._patrol.holder is None:
            return
        holding = bool(self._floor.held)
        if self._patrol.next_beat_s(holding=holding) == 0.0:
            self._patrol.beat(holding=holding)
        if time.monotonic() < self._next_round_s:
            return
        for desk in list(self._floor.desks.values()):
            desk.unsure = True
        self._watch.listen(WORKERS)
        try:
            self._visit_peers()
        except (sqlite3.Error, OSError) as error:
            logger.warning("Could not look after the other processes: %s", error)
        self._next_round_s = time.monotonic() + self._round_interval_s()

    def _round_interval_s(self) -> float:
        if self._watch.deaf:
            return DEAF_POLL_S
        if self._patrol.suspicious:
            return self._terms.lease_s / 4
        return min(self._terms.poll_interval_s, self._terms.lease_s)

    def _visit_peers(self) -> None:
        rows = self.database.read("SELECT id, lease, pid FROM broker_workers")
        peers = [Peer(*row) for row in rows]
        lost = self._patrol.lost(peers)
        if lost:
            self._committed([Order(lambda batch: self._patrol.sweep(batch, lost))], claiming=False)
        self._watch.mourn({peer.pid for peer in peers if peer.id != self._patrol.holder and peer not in lost})

    def _leave(self) -> None:
        try:
            if self._patrol.holder is not None:
                self._committed([Order(self._patrol.leave)], claiming=False)
        except (sqlite3.Error, OSError) as error:
            logger.warning("Could not sign off (%s); others will find the lease free.", error)
        self._patrol.release()
        self._watch.close()
        self.database.close()
