"""Health, metrics, the pages, the description of the API, and the process itself."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from falcon.testing import Result, TestClient
from pydantic import SecretStr

from actors import kernel_clock, wiring
from actors.disk import Sizes
from actors.recovery import backups
from api.app import create_app
from api.context import Context
from broker.storage.inspection import QueueStats, WorkerProcess
from scripts.local.ports import free_ports
from store import accounts, heartbeats, jobs, stage_durations
from store.states import AccountStatus
from tests.api.conftest import connect
from tests.store import rows
from tests.support.clock import Clock
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
MAX_RSS_KB = 82_000  # the budget of the API's process; 78,800 to 80,200 on 2026-11-30
# What the start of the API must not import: 6 MB that only a connection to a platform needs (a login).
CONNECTING = {"requests", "urllib3", "charset_normalizer", "idna", "certifi", "requests_oauthlib"}


def tick(context: Context, clock: Clock) -> None:
    with context.store.writing(scope="everything") as connection:
        heartbeats.record(connection, "scheduler", clock(), clock.boot_time())


def test_all_is_well_when_everything_is(client: TestClient, context: Context, clock: Clock) -> None:
    tick(context, clock)

    answer = client.simulate_get("/health")

    assert (answer.status_code, answer.json["status"]) == (200, "ok")
    expected = {"database", "secret_key", "disk", "scheduler", "workers", "write_lock"}
    expected |= {"lost_found", "clock", "accounts", "webhooks", "platforms", "sandbox", "backup"}
    assert set(answer.json["checks"]) == expected


@pytest.mark.parametrize(("relays", "is_missing"), [(0, True), (2, False)])
def test_health_counts_the_relays_of_a_transport_and_stays_green(
    context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch, relays: int, *, is_missing: bool
) -> None:
    tick(context, clock)
    found = [SimpleNamespace(queues=(".relay",))] * relays + [SimpleNamespace(queues=("media",))]
    monkeypatch.setattr(context.broker.admin, "consumers", lambda: found)
    settings = context.settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    answer = TestClient(create_app(replace(context, settings=settings))).simulate_get("/health")
    assert answer.status_code == 200
    check = answer.json["checks"]["relay"]
    assert (check["ok"], check["relays"], "detail" in check) == (True, relays, is_missing)


@pytest.mark.sqlite_only("a server has its own backups")
def test_health_tells_the_age_of_the_last_backup_and_stays_green(
    client: TestClient, context: Context, clock: Clock, tmp_path: Path
) -> None:
    tick(context, clock)
    assert client.simulate_get("/health").json["checks"]["backup"] == {"ok": True, "last_age_s": None}
    with_backups = context.settings.model_copy(update={"backup_dir": tmp_path, "backup_hours": 2.0})
    scheduled = TestClient(create_app(replace(context, settings=with_backups)))
    missing = scheduled.simulate_get("/health").json["checks"]["backup"]
    assert (missing["ok"], "none was made yet" in missing["detail"]) == (True, True)
    backups.make(replace(context, settings=with_backups), tmp_path / "backups")
    clock.move(hours=1)
    assert scheduled.simulate_get("/health").json["checks"]["backup"] == {"ok": True, "last_age_s": 3600}
    assert "vidprod_backup_age_seconds 3600.0" in client.simulate_get("/metrics").text
    clock.move(hours=3)
    assert "the last one is 4 hours old" in scheduled.simulate_get("/health").json["checks"]["backup"]["detail"]


def test_a_machine_is_ready_while_others_that_do_the_work_are_silent(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer that asks /health would take all machines away that accept uploads."""
    waiting = QueueStats(queue="media", ready=1, delayed=0, leased=0, dead=0, oldest_ready_age_s=3600.0)
    monkeypatch.setattr(context.broker.admin, "queue_stats", lambda: [waiting])
    monkeypatch.setattr(context.broker.admin, "consumers", list)
    failing = client.simulate_get("/health").json["checks"]
    assert (failing["scheduler"]["ok"], failing["workers"]["ok"]) == (False, False)
    ready = TestClient(create_app(context)).simulate_get("/health/ready")  # without a key
    assert (ready.status_code, set(ready.json["checks"])) == (200, {"database", "disk", "write_lock"})


def test_a_machine_with_a_full_disk_is_not_ready(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context.disk, "sizes", replace(context.disk.sizes, headroom_bytes=2**62))
    full = TestClient(create_app(context)).simulate_get("/health/ready")
    assert (full.status_code, full.json["checks"]["disk"]["ok"]) == (503, False)


def test_health_is_red_when_the_scheduler_has_not_ticked(client: TestClient, context: Context, clock: Clock) -> None:
    failing = client.simulate_get("/health")
    assert (failing.status_code, failing.headers["retry-after"]) == (503, "30")
    tick(context, clock)
    clock.move(seconds=89)
    assert client.simulate_get("/health").status_code == 200

    clock.move(seconds=2)
    answer = client.simulate_get("/health")

    assert (answer.status_code, answer.json["status"]) == (503, "failing")
    assert answer.json["checks"]["scheduler"] == {"ok": False, "last_tick_age_s": 91.0}


def test_a_machine_that_has_just_started_need_not_have_ticked(context: Context, clock: Clock) -> None:
    young = TestClient(create_app(replace(context, started_s=clock.now_s())))

    assert young.simulate_get("/health").status_code == 200
    clock.move(seconds=91)
    assert young.simulate_get("/health").status_code == 503


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "ahead"])
def test_health_of_the_scheduler_does_not_depend_on_the_wall_clock(
    client: TestClient, context: Context, clock: Clock, hours: float
) -> None:
    tick(context, clock)
    clock.correct(hours=hours)
    assert client.simulate_get("/health").json["checks"]["scheduler"] == {"ok": True, "last_tick_age_s": 0.0}

    clock.move(seconds=91)
    assert client.simulate_get("/health").json["checks"]["scheduler"] == {"ok": False, "last_tick_age_s": 91.0}


def test_a_clock_that_was_set_back_makes_no_machine_young(context: Context, clock: Clock) -> None:
    young = TestClient(create_app(replace(context, started_s=clock.now_s())))
    clock.correct(hours=-1)
    clock.move(seconds=91)

    assert young.simulate_get("/health").status_code == 503


@pytest.mark.sqlite_only("a tick in a server's database may be another machine's")
@pytest.mark.parametrize(("wall_s", "age_s"), [(30.0, 30.0), (-1800.0, 20.0)], ids=["clock went on", "clock set back"])
def test_a_tick_before_the_boot_is_as_old_as_the_boot_at_least(
    client: TestClient, context: Context, clock: Clock, wall_s: float, age_s: float
) -> None:
    tick(context, clock)
    clock.correct(seconds=wall_s)
    clock.boot, clock.boot_s = "next boot", 20.0

    assert client.simulate_get("/health").json["checks"]["scheduler"]["last_tick_age_s"] == age_s


@pytest.mark.parametrize(
    ("waits_s", "queues", "status"),
    [(None, (), 200), (59.0, (), 200), (61.0, (), 503), (61.0, ("network",), 503), (9999.0, ("media",), 200)],
)
def test_health_is_red_when_work_waits_and_nobody_does_it(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    waits_s: float | None, queues: tuple[str, ...], status: int,
) -> None:  # fmt: skip
    tick(context, clock)
    waiting = QueueStats(queue="media", ready=1, delayed=0, leased=0, dead=0, oldest_ready_age_s=waits_s)
    worker = WorkerProcess(id=1, pid=1, host="h", queues=queues, leased=0, started_at=clock())
    monkeypatch.setattr(context.broker.admin, "queue_stats", lambda: [waiting])
    monkeypatch.setattr(context.broker.admin, "consumers", lambda: [worker] if queues else [])

    answer = client.simulate_get("/health")

    assert (answer.status_code, answer.json["checks"]["workers"]["ok"]) == (status, status == 200)


@pytest.mark.sqlite_only("a server has no write lock")
def test_health_is_red_when_the_write_lock_is_not_released(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(context, clock)
    assert context.broker.write_lock is not None
    with context.broker.write_lock:
        held = client.simulate_get("/health")
        assert held.status_code == 200
        assert held.json["checks"]["write_lock"]["held_s"] >= 0
        monkeypatch.setattr("api.resources.health.MAX_LOCK_S", 0.0)
        answer = client.simulate_get("/health")
    assert (answer.status_code, answer.json["checks"]["write_lock"]["ok"]) == (503, False)
    assert f"process {os.getpid()}" in answer.json["checks"]["write_lock"]["detail"]


@pytest.mark.sqlite_only("a server has no write lock")
def test_the_time_of_the_write_lock_counts_only_while_it_is_held(context: Context) -> None:
    lock = context.broker.write_lock
    assert lock is not None
    with lock:
        assert lock.held_s() > 0
    assert lock.held_s() == 0


def test_health_is_red_when_the_disk_is_full(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(context, clock)
    monkeypatch.setattr(context.disk, "sizes", Sizes(headroom_bytes=2**60))

    answer = client.simulate_get("/health")

    assert (answer.status_code, answer.json["checks"]["disk"]["ok"]) == (503, False)


def test_health_is_red_and_still_answers_without_a_database(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(jobs, "count_by_status", broken)

    answer = client.simulate_get("/health")

    assert (answer.status_code, answer.json["checks"]["database"]["ok"]) == (503, False)
    assert "device" not in answer.text  # anybody may read this


def test_metrics_tell_what_the_store_and_the_queue_hold(client: TestClient, context: Context, clock: Clock) -> None:
    tick(context, clock)
    connect(context, "tiktok")
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
        wiring.machine.send("split", "job")
    clock.move(seconds=5)

    answer = client.simulate_get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    for line in (
        'vidprod_jobs{status="processing"} 1.0',
        'vidprod_accounts{platform="tiktok",status="connected"} 1.0',
        'vidprod_queue_messages{queue="media",state="ready"} 1.0',
        'vidprod_workers{queue="media"} 0.0',
        "vidprod_scheduler_tick_age_seconds 5.0",
        'vidprod_health{check="scheduler"} 1.0',
    ):
        assert line in answer.text
    assert "process_resident_memory_bytes" in answer.text


def test_metrics_have_a_histogram_of_the_durations_of_each_stage(client: TestClient, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        for duration_s in (40.0, 70.0, 9999.0):
            stage_durations.observe(connection, stage_durations.RENDER, duration_s)

    lines = client.simulate_get("/metrics").text.splitlines()

    name = "vidprod_stage_duration_seconds"
    for line in (
        f'{name}_bucket{{le="15.0",stage="render"}} 0.0',
        f'{name}_bucket{{le="60.0",stage="render"}} 1.0',
        f'{name}_bucket{{le="+Inf",stage="render"}} 3.0',
        f'{name}_count{{stage="render"}} 3.0',
        f'{name}_sum{{stage="render"}} 10109.0',
    ):
        assert line in lines


def test_the_page_and_its_files_come_with_their_policy(client: TestClient, context: Context) -> None:
    page = client.simulate_get("/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    names = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text)
    assert len(names) > 3
    assert {client.simulate_get(name).status_code for name in names} == {200}
    assert page.headers["cache-control"] == "no-cache"
    tag = client.simulate_get("/static/app.js").headers["etag"]
    assert client.simulate_get("/static/app.js", headers={"If-None-Match": tag}).status_code == 304
    assert client.simulate_head("/").headers["content-length"] == page.headers["content-length"]


def test_files_of_the_page_are_kept_for_a_year_by_a_name_that_changes_with_them(
    context: Context, tmp_path: Path
) -> None:
    for name in ("index.html", "app.js"):
        shutil.copy(context.pages / name, tmp_path)

    def script() -> tuple[str, Result]:
        client = TestClient(create_app(replace(context, pages=tmp_path)))
        [name] = re.findall(r'src="(/assets/[^"]+/app.js)"', client.simulate_get("/").text)
        old = client.simulate_get(f"/assets/{'0' * 16}/app.js")
        assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
        return name, client.simulate_get(name)

    before, answer = script()
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script()[0] == before
    (tmp_path / "app.js").write_text("// for authors\nchanged();\n")
    after, answer = script()
    assert after != before
    assert answer.text.strip() == "changed();"


def test_files_of_the_page_are_compressed_for_those_who_accept_it(client: TestClient, context: Context) -> None:
    plain = client.simulate_get("/static/app.js")
    packed = client.simulate_get("/static/app.js", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    assert {answer.headers["vary"] for answer in (plain, packed)} == {"Accept-Encoding"}
    for other in ("", "br", "gzip;q=0", "identity"):
        assert "content-encoding" not in client.simulate_get("/", headers={"Accept-Encoding": other}).headers
    again = client.simulate_get("/", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
    assert again.status_code == 200, "another file"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fsettings.py", "index", "%00", "."])
def test_no_name_leads_out_of_the_pages(client: TestClient, name: str) -> None:
    assert client.simulate_get(f"/static/{name}").status_code == 404


def test_every_answer_is_safe_to_show(client: TestClient) -> None:
    for path in ("/", "/jobs", "/nothing", "/health"):
        headers = client.simulate_get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]


@contextmanager
def process(directory: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `python -m api` and give it with its root address."""
    [port] = free_ports(1)
    chosen = {"PATH": os.environ["PATH"], "DATA_DIR": str(directory), "PORT": str(port), **environ}
    subprocess.run([sys.executable, "-m", "scripts.machine.migrate"], cwd=ROOT, env=chosen, check=True)
    with subprocess.Popen(
        [sys.executable, "-m", "api"], cwd=ROOT, env=chosen, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            root = f"http://127.0.0.1:{port}"
            wait_for(lambda: _answers(root), "the API to answer")
            yield running, root
        finally:
            running.kill()


def _answers(root: str) -> bool:
    try:
        return requests.get(f"{root}/health", timeout=30).ok
    except requests.ConnectionError:
        return False


def test_the_start_of_the_api_imports_nothing_that_connects_to_others(tmp_path: Path) -> None:
    """A connection imports it. The test of the whole process has less room than these modules take."""
    code = f"import sys, api.__main__; print(sorted({CONNECTING!r} & set(sys.modules)))"
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_process_is_small_prints_its_key_once_and_ends_on_request(tmp_path: Path) -> None:
    (tmp_path / "uploads" / "job_cut_off").mkdir(parents=True)
    (tmp_path / "uploads" / "job_cut_off" / ".incoming").write_bytes(b"half a video")
    with process(tmp_path) as (running, root):
        key = (tmp_path / "api.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        assert requests.get(f"{root}/metrics", headers=headers, timeout=30).ok
        assert not (tmp_path / "uploads" / "job_cut_off").exists()

        status = Path(f"/proc/{running.pid}/status").read_text()
        # Only root may look into a process that forbids its inspection.
        mapped = Path(f"/proc/{running.pid}/maps").read_text() if os.geteuid() == 0 else ""
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
        assert running.stderr is not None
        printed = running.stderr.read()

    [rss_kb] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert rss_kb < MAX_RSS_KB
    assert not re.search(r"/(numpy|cv2|av|mediapipe|moviepy)[./]", mapped)
    assert printed.count(key) == 1
    with process(tmp_path) as (again, _):
        again.send_signal(signal.SIGTERM)
        again.wait(30)
        assert again.stderr is not None
        assert key not in again.stderr.read()


def test_health_is_red_while_the_clock_is_not_set(client: TestClient, context: Context, clock: Clock) -> None:
    tick(context, clock)
    clock.correct(days=-365)
    answer = client.simulate_get("/health")
    check = answer.json["checks"]["clock"]
    assert (answer.status_code, check["ok"], check["reason"]) == (503, False, "clock_not_set")


@pytest.mark.parametrize("recorded", ["tick", "job"])
def test_health_is_red_while_the_clock_is_behind_the_database(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch, recorded: str
) -> None:
    """After a start with an empty battery, say. The next tick overwrites that of the right time, a job stays."""
    monkeypatch.setattr(kernel_clock, "read", lambda: (kernel_clock.UNSYNCHRONISED, 0.0))
    if recorded == "tick":
        tick(context, clock)
    else:
        clock.correct(seconds=(rows.NOON - clock()).total_seconds())
        with context.store.writing(scope="everything") as connection:
            jobs.create(connection, rows.job())
    clock.correct(minutes=-59)
    assert client.simulate_get("/health").json["checks"]["clock"]["ok"]
    clock.correct(minutes=-2)
    check = client.simulate_get("/health").json["checks"]["clock"]
    assert (check["ok"], check["reason"]) == (False, "clock_behind")
    clock.correct(hours=2)
    assert client.simulate_get("/health").json["checks"]["clock"]["ok"]


def test_a_job_of_a_clock_that_was_ahead_keeps_no_machine_away_for_hours(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NTP has put the clock right since; only the job's time is wrong."""
    monkeypatch.setattr(kernel_clock, "read", lambda: (0, 0.0))
    clock.correct(seconds=(rows.NOON - clock()).total_seconds())
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
    clock.correct(hours=-6)
    tick(context, clock)
    check = client.simulate_get("/health").json["checks"]["clock"]
    assert (check["ok"], check["reason"]) == (True, "clock_behind")


@pytest.mark.parametrize(("minutes", "words"), [(30, "set ahead by 1800 s"), (-30, "set back by 1800 s"), (1, None)])
def test_health_tells_a_jump_of_the_clock_and_stays_green(
    client: TestClient, context: Context, clock: Clock, minutes: int, words: str | None
) -> None:
    """A clock that was just corrected is right: the API must not be taken from the network for it."""
    tick(context, clock)
    clock.correct(minutes=minutes)
    check = client.simulate_get("/health").json["checks"]["clock"]
    assert (check["ok"], check["set_by_s"]) == (True, 60.0 * minutes)
    assert (words or "") in check.get("detail", "")
    assert ("detail" in check) == (words is not None)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"status": AccountStatus.RECONNECT}, (1, 0, 0)),
        ({"status": AccountStatus.REFUSED}, (0, 1, 0)),
        ({"expires_at": rows.NOON}, (0, 0, 1)),
        ({"expires_at": rows.NOON.replace(year=2099)}, (0, 0, 0)),
        ({"status": AccountStatus.DISCONNECTED}, (0, 0, 0)),
    ],
)
def test_health_counts_accounts_that_cannot_publish_and_stays_green(
    client: TestClient, context: Context, clock: Clock, change: dict[str, Any], counts: tuple[int, int, int]
) -> None:
    """A creator's login is no reason to take the API from the network; anybody may ask, so no account is named."""
    tick(context, clock)
    known = replace(rows.account(), tokens=context.sealer.seal({}), **change)
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, known)
    clock.correct(seconds=(rows.NOON - clock()).total_seconds() + 600)
    tick(context, clock)
    answer = client.simulate_get("/health")
    check = answer.json["checks"]["accounts"]
    assert (check["reconnect"], check["refused"], check["expired"]) == counts
    assert (answer.status_code, check["ok"], "detail" in check) == (200, True, any(counts))
    assert known.name not in answer.text


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("127.0.0.1", None, "port {} of 127.0.0.1 is used by another program; end it, or choose another port"),
        ("192.0.2.1", 1, "HOST 192.0.2.1 is not an address of this computer"),
        ("1.2.3.4.5", 1, "HOST 1.2.3.4.5 is neither a name nor an address that this computer knows"),
    ],
)
def test_an_address_that_cannot_be_opened_is_one_sentence_in_the_log(
    tmp_path: Path, host: str, port: int | None, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        chosen = port or other.getsockname()[1]
        environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "HOST": host, "PORT": str(chosen)}
        subprocess.run([sys.executable, "-m", "scripts.machine.migrate"], cwd=ROOT, env=environ, check=True)
        ended = subprocess.run(
            [sys.executable, "-m", "api"],
            cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.rstrip().endswith(f"API: {reason.format(chosen)}")
