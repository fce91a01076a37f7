"""GET /health: the health checks of the machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Set
from typing import Any, cast

import falcon
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from actors import clock_check, kernel_clock, sealed_rows
from actors.database_check import DATABASE_ERRORS
from actors.flow import media_child
from actors.recovery import backups, lost_found
from api.context import Context
from api.damage_check import DamageCheck
from api.http.problems import database_unavailable
from api.resources import server_documents
from api.resources.base import Resource
from api.resources.status_document import outage_document
from store import accounts, endpoints, heartbeats, jobs, platform_states
from store.states import EndpointState

Check = dict[str, Any]  # Any: JSON

BALLAST_MISSING = "the ballast file is missing: the disk is full, or was; it is made again when there is room"
MAX_TICK_AGE_S = 90.0
RETRY_AFTER_S = 30  # most failures end by themselves or by a person, and none is worth asking more often
MAX_QUEUE_LATENCY_S = 60.0
MAX_LOCK_S = 60.0  # twice the time after which those that wait for the write lock give up
MAX_CLOCK_JUMP_S = 60.0
LATE_BACKUPS = 1.5  # intervals without a backup, after which it is reported


OF_REQUESTS = frozenset({"database", "disk", "write_lock"})
"""The checks of what a request needs; the others are about work in the background, on this or on other machines."""


class HealthChecks:
    """The health checks of the machine, by name."""

    def __init__(self, context: Context, names: Set[str] | None = None) -> None:
        """Choose the checks; by default all."""
        self._context = context
        self._names = names
        self._damage_check = DamageCheck(context.store)
        self._started_at, self._started_boot_s = context.now(), context.boot_time().seconds
        self._condition = threading.Condition()
        self._begun = self._ended = 0  # runs
        self._results: dict[str, Check] = {}

    def run(self) -> dict[str, Check]:
        """Return the results by check: `ok`, and what it measured.

        Concurrent calls share one run that began after all of them: a run takes 4 ms, and the route needs no key.
        """
        with self._condition:
            wanted = self._begun + 1
            while self._ended < wanted:
                if self._begun > self._ended:
                    self._condition.wait()
                    continue
                self._begun += 1
                self._condition.release()
                results: dict[str, Check] = {}
                try:
                    results = self._run_all()
                finally:
                    self._condition.acquire()
                    self._ended, self._results = self._begun, results
                    self._condition.notify_all()
            return self._results

    def _run_all(self) -> dict[str, Check]:
        return {
            name: self._run(name, check)
            for name, check in {
                "database": self._database,
                "secret_key": self._secret_key,
                "disk": self._disk,
                "clock": self._clock,
                "scheduler": self._scheduler,
                "workers": self._workers,
                "write_lock": self._write_lock,
                "lost_found": self._lost_found,
                "accounts": self._accounts,
                "webhooks": self._webhooks,
                "platforms": self._platforms,
                "backup": self._backup,
                "sandbox": media_child.sandbox_report,
                **({"relay": self._relay} if self._context.settings.transport_url else {}),
            }.items()
            if self._names is None or name in self._names
        }

    def _run(self, name: str, check: Callable[[], Check]) -> Check:
        try:
            return check()
        except DATABASE_ERRORS as exc:
            logger.warning("health: check {} failed: {}", name, exc)
            problem = database_unavailable(exc)
            return {"ok": False, "reason": problem.extensions["reason"], "detail": problem.description}
        except (SQLAlchemyError, OSError) as exc:
            logger.warning("health: check {} failed: {}", name, exc)
            return {"ok": False, "detail": f"the check failed: {type(exc).__name__}"}

    def _database(self) -> Check:
        with self._context.store.reading() as connection:
            count = sum(jobs.count_by_status(connection).values())
        damage = self._damage_check.result()
        if damage is not None:
            logger.error("health: the database is damaged: {}", damage)
            return {"ok": False, "reason": "damaged", "detail": "the database is damaged", "jobs": count}
        return {"ok": True, "jobs": count}

    def _secret_key(self) -> Check:
        """Count what cannot be decrypted; the log of each start names it, this response is public."""
        found = sealed_rows.find(self._context.store, self._context.sealer)
        check: Check = {"ok": not found, "accounts": len(found.accounts), "endpoints": len(found.endpoints)}
        if found:
            check["reason"] = "wrong_key"
            check["detail"] = (
                "accounts or webhook endpoints were encrypted with another SECRET_KEY; put it back and restart, or "
                "connect the accounts again and replace the secrets of the endpoints; the log names them"
            )
        return check

    def _disk(self) -> Check:
        directory, disk = self._context.settings.data_dir, self._context.disk
        free, ballast = disk.free_bytes, disk.has_ballast()
        ok = free > disk.sizes.headroom_bytes and os.access(directory, os.W_OK)
        check: Check = {"ok": ok, "free_bytes": free, "ballast": "present" if ballast else "missing"}
        details = [] if ballast else [BALLAST_MISSING]
        lost_bytes = sum(entry.size_bytes for entry in lost_found.entries(self._context))
        if lost_bytes:
            check["lost_found_bytes"] = lost_bytes
        if lost_bytes and not check["ok"]:
            details.append(f"lost+found takes {lost_bytes} bytes; free them with scripts/adopt")
        if details:
            check["detail"] = ". ".join(details)
        return check

    def _lost_found(self) -> Check:
        lost = lost_found.entries(self._context)
        check: Check = {"ok": True, "count": len(lost), "bytes": sum(entry.size_bytes for entry in lost)}
        if lost:
            check["detail"] = "videos without a record in the database; list and restore them with scripts/adopt"
            check["next_deleted_at"] = min(entry.kept_until for entry in lost).isoformat(timespec="seconds")
        return check

    def _clock(self) -> Check:
        """Check that the wall clock is not behind what is recorded; report by how much it was set since the start.

        A clock that NTP keeps right was ahead when that was recorded. A failure would take a machine that works away
        from its users until then.
        """
        now, boot_s = self._context.now(), self._context.boot_time().seconds
        with self._context.store.reading() as connection:
            wrong = clock_check.examine(connection, now)
        set_by_s = (now - self._started_at).total_seconds() - (boot_s - self._started_boot_s)
        was_ahead = wrong is not None and wrong.reason == "clock_behind" and kernel_clock.is_synchronised()
        check: Check = {"ok": wrong is None or was_ahead, "set_by_s": round(set_by_s, 1)}
        if wrong is not None:
            check |= {"reason": wrong.reason, "detail": wrong.detail}
        elif abs(set_by_s) > MAX_CLOCK_JUMP_S:
            ahead = "ahead" if set_by_s > 0 else "back"
            check["detail"] = f"the clock was set {ahead} by {abs(set_by_s):.0f} s since the start of the API"
        return check

    def _accounts(self) -> Check:
        """Count the accounts that cannot publish. The server is well without them, so the check never fails."""
        with self._context.store.reading() as connection:
            counts = accounts.unusable(connection, self._context.now())
        check: Check = {"ok": True, **counts}
        if counts["reconnect"] or counts["refused"]:
            check["detail"] = "accounts must be connected again, or are refused by their platform; see GET /accounts"
        elif counts["expired"]:
            check["detail"] = "tokens have expired and are not refreshed; posts wait, and the log says why"
        return check

    def _webhooks(self) -> Check:
        """Count the endpoints in trouble. It is their receivers' trouble, so the check never fails."""
        with self._context.store.reading() as connection:
            found = endpoints.in_trouble(connection, None)
        disabled = [endpoint.id for endpoint in found if endpoint.state is EndpointState.DISABLED]
        check: Check = {"ok": True, "disabled": len(disabled), "failing": len(found) - len(disabled)}
        if disabled:
            check["detail"] = f"disabled, events are missed: {', '.join(disabled)}; see GET /webhooks"
        return check

    def _platforms(self) -> Check:
        """Return the outages of platforms; the server is well in spite of them."""
        with self._context.store.reading() as connection:
            outages = platform_states.list_out(connection)
        return {"ok": True, "outages": {state.platform: outage_document(state) for state in outages}}

    def _backup(self) -> Check:
        """Return the age of the last backup. The machine works without one, so the check never fails."""
        settings, age_s = self._context.settings, backups.age_s(self._context)
        check: Check = {"ok": True, "last_age_s": age_s if age_s is None else round(age_s)}
        if settings.backup_dir is None:
            return check
        limit_s = LATE_BACKUPS * settings.backup_hours * 3600
        if age_s is None or age_s > limit_s:
            last = "none was made yet" if age_s is None else f"the last one is {age_s / 3600:.0f} hours old"
            check["detail"] = f"a backup is due each {settings.backup_hours:g} hours, but {last}; the log says why"
        return check

    def _scheduler(self) -> Check:
        now, boot_time = self._context.now(), self._context.boot_time()
        with self._context.store.reading() as connection:
            age_s = heartbeats.age_s(connection, "scheduler", now, boot_time)
        just_started = boot_time.seconds - self._context.started_s < MAX_TICK_AGE_S
        return {
            "ok": just_started or (age_s is not None and age_s < MAX_TICK_AGE_S),
            "last_tick_age_s": age_s if age_s is None else round(age_s, 1),
        }

    def _write_lock(self) -> Check:
        lock = self._context.broker.write_lock
        held_s = 0.0 if lock is None else lock.held_s()
        check: Check = {"ok": held_s < MAX_LOCK_S, "held_s": round(held_s, 1)}
        if lock is not None and not check["ok"]:
            check["detail"] = f"nothing can be written: the write lock is held by {lock.holder()}"
        return check

    def _workers(self) -> Check:
        alive = self._context.broker.admin.consumers()
        queues = {}
        for stats in self._context.broker.admin.queue_stats():
            workers = sum(stats.queue in worker.queues for worker in alive)
            latency_s = stats.oldest_ready_age_s or 0.0
            queues[stats.queue] = {
                "ok": workers > 0 or latency_s <= MAX_QUEUE_LATENCY_S,
                "workers": workers,
                "ready": stats.ready,
                "oldest_ready_age_s": round(latency_s, 1),
            }
        return {"ok": all(queue["ok"] for queue in queues.values()), "queues": queues}

    def _relay(self) -> Check:
        """Count the relays of all machines. Without one, work only begins some seconds late: the check never fails."""
        from broker.relay.relay import RELAY  # noqa: PLC0415 (needed only with a transport)

        relays = sum(worker.queues == (RELAY,) for worker in self._context.broker.admin.consumers())
        check: Check = {"ok": True, "relays": relays}
        if not relays:
            check["detail"] = "no relay runs, so that workers only look for messages every some seconds; see SERVICES"
        return check


class HealthResource(Resource):
    """GET /health, and GET /health/ready with the checks of what a request needs."""

    public = True

    def __init__(self, context: Context, names: Set[str] | None = None) -> None:
        super().__init__(context)
        self._checks = HealthChecks(context, names)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Run the checks; 200 if all succeed, else 503 with the same document."""
        del request
        checks = self._checks.run()
        ok = all(check["ok"] for check in checks.values())
        response.status = falcon.HTTP_200 if ok else falcon.HTTP_503
        response.cache_control = ["no-store"]
        if not ok:
            response.retry_after = RETRY_AFTER_S
        document: server_documents.HealthDocument = {
            "status": "ok" if ok else "failing",
            "checks": cast("dict[str, server_documents.HealthCheckDocument]", checks),
        }
        response.media = document

    on_head = on_get
