"""`python -m broker DATABASE …`: inspect and administer the queues and messages of a file or a PostgreSQL database."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from broker.broker import DatabaseBroker, SqliteBroker
from broker.errors import DatabaseUnavailable, SchemaTooNew
from broker.storage.inspection import WorkerProcess

LINE_CHARS = 200
_URL_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (1: nothing with that id, 2: no usable database)."""
    options = _parser().parse_args(arguments)
    is_url = options.database.startswith(_URL_SCHEMES)
    if not is_url and not Path(options.database).exists():
        sys.stderr.write(f"{options.database} does not exist\n")
        return 2
    return _run_on_server(options) if is_url else _run(SqliteBroker(options.database, middleware=[]), options)


def _run_on_server(options: argparse.Namespace) -> int:
    from broker.postgresql.broker import PostgresqlBroker  # noqa: PLC0415  # needs psycopg
    from broker.postgresql.database import has_tables, url_without_password  # noqa: PLC0415

    url, options.database = options.database, url_without_password(options.database)
    try:
        exists = has_tables(url)
    except DatabaseUnavailable as error:
        sys.stderr.write(f"{options.database}: {error}\n")
        return 2
    if not exists:
        sys.stderr.write(f"{options.database} has no tables of a broker\n")
        return 2
    return _run(PostgresqlBroker(url, middleware=[]), options)


def _run(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    try:
        code = _COMMANDS[options.command](broker, options)
        sys.stdout.flush()
    except (DatabaseUnavailable, SchemaTooNew) as error:
        sys.stderr.write(f"{options.database}: {error}\n")
        return 2
    except BrokenPipeError:  # nobody reads the output to the end, as with `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its exit
        return 128 + signal.SIGPIPE
    else:
        return code
    finally:
        broker.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m broker", description=__doc__)
    parser.add_argument(
        "database", metavar="DATABASE", help="the file, or postgresql://… (a password is better in PGPASSWORD)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("stats", help="show the depth of each queue, and the processes that consume")
    dead = commands.add_parser("dead", help="list dead letters, newest first")
    dead.add_argument("--queue")
    dead.add_argument("--limit", type=int, default=20)
    dead.add_argument("--traceback", action="store_true", help="with tracebacks")
    for name, purpose in (("pause", "stop claiming messages from a queue"), ("resume", "resume a paused queue")):
        commands.add_parser(name, help=purpose).add_argument("queue", metavar="QUEUE")
    peek = commands.add_parser("peek", help="list the waiting messages of a queue, in order")
    peek.add_argument("queue", metavar="QUEUE")
    peek.add_argument("--limit", type=int, default=20)
    commands.add_parser("who", help="list the claimed messages, with process and time")
    cancel = commands.add_parser("cancel", help="delete a waiting or delayed message")
    cancel.add_argument("message_id", metavar="MESSAGE_ID")
    cancel.add_argument("--abort", action="store_true", help="also interrupt the actor that is running it")
    retry = commands.add_parser("retry", help="send one dead letter again, or all that match")
    retry.add_argument("id", type=int, nargs="?", metavar="ID")
    retry.add_argument("--all", action="store_true", help="all, or those that match all of the following options")
    retry.add_argument("--queue")
    retry.add_argument("--actor")
    retry.add_argument("--error", metavar="TEXT", help="only those whose error line contains this")
    rates = commands.add_parser("rates", help="measure messages per second")
    rates.add_argument("--seconds", type=float, default=5.0)
    purge = commands.add_parser("purge", help="delete dead letters")
    purge.add_argument("--older-than-s", type=float, default=0.0, metavar="SECONDS")
    return parser


def _stats(broker: DatabaseBroker, _: argparse.Namespace) -> int:
    _say(f"{'queue':<24}{'ready':>8}{'blocked':>9}{'delayed':>9}{'leased':>8}{'dead':>7}{'oldest s':>10}")
    for queue in broker.admin.queue_stats():
        oldest = "-" if queue.oldest_ready_age_s is None else f"{queue.oldest_ready_age_s:.1f}"
        paused = "  paused" if queue.paused else ""
        _say(
            f"{queue.queue:<24}{queue.ready:>8}{queue.blocked:>9}{queue.delayed:>9}{queue.leased:>8}{queue.dead:>7}"
            f"{oldest:>10}{paused}"
        )
    for worker in broker.admin.consumers():
        done, died = _totals([worker])
        _say(
            f"process {worker.pid} on {worker.host} holds {worker.leased}, has done {done} and dead-lettered {died} "
            f"since {worker.started_at:%Y-%m-%d %H:%M:%S}Z, and serves {', '.join(worker.queues)}"
        )
    return 0


def _rates(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    began_s, workers_before, depths_before = time.monotonic(), broker.admin.consumers(), _depths(broker)
    time.sleep(options.seconds)
    passed_s, workers, depths = time.monotonic() - began_s, broker.admin.consumers(), _depths(broker)
    for queue in sorted({*depths, *depths_before}):
        before, after = _totals(workers_before, queue), _totals(workers, queue)
        done, dead_lettered = (now - then for now, then in zip(after, before, strict=True))
        came = depths.get(queue, 0) - depths_before.get(queue, 0) + done + dead_lettered
        counts = {"in": came, "done": done, "dead-lettered": dead_lettered}
        _say(f"{queue:<24}{', '.join(f'{word} {count / passed_s:.1f}/s' for word, count in counts.items())}")
    return 0


def _depths(broker: DatabaseBroker) -> dict[str, int]:
    return {
        queue.queue: queue.ready + queue.blocked + queue.delayed + queue.leased for queue in broker.admin.queue_stats()
    }


def _totals(workers: list[WorkerProcess], queue: str | None = None) -> tuple[int, int]:
    counts = [count for worker in workers for name, count in worker.counts.items() if queue in {None, name}]
    return sum(count.done for count in counts), sum(count.died for count in counts)


def _dead(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    for letter in broker.admin.dead_letters(options.queue, options.limit):
        _say(f"{letter.id}  {letter.died_at:%Y-%m-%d %H:%M:%S}Z  {letter.queue}  {letter.actor}  ×{letter.attempts}")
        _say(f"    {letter.error}")
        if options.traceback and letter.traceback:
            _say(letter.traceback)
    return 0


def _peek(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    for message in broker.admin.peek(options.queue, options.limit):
        words = [*map(repr, message.args), *(f"{name}={value!r}" for name, value in message.kwargs.items())]
        state = "due" if message.delayed else "blocked since" if message.blocked else "ready since"
        _say(f"{message.message_id}  {state} {message.due_at:%Y-%m-%d %H:%M:%S}Z  ×{message.attempts}")
        _say(f"    {message.actor}({', '.join(words)})"[:LINE_CHARS])
    return 0


def _who(broker: DatabaseBroker, _: argparse.Namespace) -> int:
    for held in broker.admin.held_messages():
        since = "-" if held.since is None else f"{held.since:%Y-%m-%d %H:%M:%S}Z"
        _say(f"{held.pid:>8}  {since:<20}  {held.queue}  {held.actor}  {held.message_id}  ×{held.attempts}")
    return 0


def _pause(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    broker.admin.pause_queue(options.queue)
    return 0


def _resume(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    if broker.admin.resume_queue(options.queue):
        return 0
    sys.stderr.write(f"queue {options.queue} is not paused\n")
    return 1


def _cancel(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    if broker.admin.cancel(options.message_id, abort=options.abort):
        return 0
    sys.stderr.write(f"message {options.message_id} does not wait: it is running, has ended, or never was\n")
    return 1


def _retry(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    filters = {"queue": options.queue, "actor": options.actor, "error": options.error}
    if options.id is None:
        if not options.all and not any(filters.values()):
            sys.stderr.write("name an ID, a filter, or --all\n")
            return 2
        _say(f"{broker.admin.retry_dead_letters(**filters)} sent again")
        return 0
    if broker.admin.retry_dead_letter(options.id):
        return 0
    sys.stderr.write(f"there is no dead letter {options.id}\n")
    return 1


def _purge(broker: DatabaseBroker, options: argparse.Namespace) -> int:
    _say(f"{broker.admin.purge_dead_letters(options.older_than_s)} deleted")
    return 0


_COMMANDS = {
    "stats": _stats,
    "rates": _rates,
    "dead": _dead,
    "peek": _peek,
    "who": _who,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
    "purge": _purge,
}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    os.umask(0o077)  # the side files are for the user of the database only
    sys.exit(main())
