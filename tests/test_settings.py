"""Settings: read once, checked at start, never repeated in an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

import settings
from scripts.local.run import development
from settings import BadSettings, kept_secret, read, secret_names


def test_nothing_set_gives_a_machine_that_works_in_development() -> None:
    chosen = read({})
    assert (chosen.environment, chosen.port, chosen.max_upload_size) == ("development", 8000, 500_000_000)
    assert chosen.database_path == Path("data/vidprod.sqlite3")


def test_uploads_are_deleted_early_unless_they_are_to_be_kept() -> None:
    assert (read({}).keep_source, read({"KEEP_SOURCE": "true"}).keep_source) == (False, True)


def test_videos_are_published_without_approval_unless_it_is_requested() -> None:
    assert (read({}).review, read({"REVIEW": "true"}).review) == (False, True)


@pytest.mark.parametrize(
    ("written", "size_bytes"), [("500MB", 500_000_000), ("1 GiB", 2**30), ("12", 12), ("3kb", 3000)]
)
def test_sizes_are_read_as_people_write_them(written: str, size_bytes: int) -> None:
    assert read({"MAX_UPLOAD_SIZE": written}).max_upload_size == size_bytes


BUCKET = {"FILES_URL": "s3://videos", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
POSTGRESQL = {
    "DATABASE_URL": "postgresql://vidprod:pass%40word@db/vidprod",
    "SECRET_KEY": "a-secret-of-all-machines",
    "API_KEYS": "a-key-of-all-machines",
}
NO_ADDRESSES = (
    "video.example.com",
    "ftp://video.example.com",
    "https://",
    "https://a b",
    "https://a:99999",
    "http://[::1",
)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"MAX_UPLOAD_SIZE": "big"}, "MAX_UPLOAD_SIZE"),
        ({"GAZE_INTENSITY": "2"}, "GAZE_INTENSITY"),
        ({"LOUDNESS": "0"}, "LOUDNESS"),
        ({"SEGMENT_SECONDS": "61"}, "SEGMENT_SECONDS"),
        ({"RETENTION_HOURS": "inf"}, "RETENTION_HOURS"),
        ({"PROCESSING_DEADLINE": "1e9"}, "PROCESSING_DEADLINE"),
        ({"PUBLISH_RETRIES": "21"}, "PUBLISH_RETRIES"),
        ({"NOTICE_URLS": "topic"}, "NOTICE_URLS: must be addresses such as"),
        ({"NOTICE_EMAIL": "mara"}, "NOTICE_EMAIL: must be an e-mail address"),
        ({"NOTICE_EMAIL": "mara@localhost"}, "NOTICE_EMAIL: must be an e-mail address"),
        ({"NOTICE_EMAIL": "mara@vidprod.local"}, "at a domain that exists"),
        ({"NOTICE_EMAIL": "mara@vidprod.invalid"}, "at a domain that exists"),
        ({"ENVIRONMENT": "production"}, "SECRET_KEY"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "s" * 32}, "PUBLIC_URL"),
        *(({"PUBLIC_URL": url}, "PUBLIC_URL must be an address such as https://") for url in NO_ADDRESSES),
        ({"PORT": "8000", "METRICS_PORT": "8000"}, "METRICS_PORT must be another port"),
        ({"SECRET_KEY": "x"}, "at least 16"),
        ({"API_KEYS": "a-key-of-sixteen-characters,fifteen-letters"}, "API_KEYS: each key must have at least 16"),
        ({"DATABASE_URL": "mysql://db/vidprod"}, "DATABASE_URL: must be sqlite:///PATH or postgresql"),
        ({"DATABASE_URL": "postgresql://me:p@ss@db/vidprod"}, "^DATABASE_URL: write @ as %40, / as %2F"),
        ({"DATABASE_URL": "postgresql://me:p/ss@db/vidprod"}, "^DATABASE_URL: write @ as %40, / as %2F"),
        ({"DATABASE_URL": "postgresql://me:p?ss@db/vidprod"}, "^DATABASE_URL: write @ as %40, / as %2F"),
        ({"BROKER_LISTEN_URL": "postgresql://db/vidprod?user=me&password=x"}, "^BROKER_LISTEN_URL: the password must"),
        ({"BROKER_URL": "redis://queue"}, "^BROKER_URL names RabbitMQ or Redis, which need DATABASE_URL=postgresql"),
        ({"BROKER_URL": "amqps://queue/videos"}, "^BROKER_URL names RabbitMQ or Redis, which need DATABASE_URL=postgr"),
        ({"BROKER_URL": "kafka://queue"}, "BROKER_URL must name the database itself"),
        ({**POSTGRESQL, "BROKER_URL": "redis://queue:port"}, "^BROKER_URL: must be an address such as amqp://"),
        ({**POSTGRESQL, "BROKER_URL": "kafka://queue"}, "BROKER_URL must name the database itself"),
        ({**POSTGRESQL, "BROKER_URL": "sqlite:///a"}, "BROKER_URL must name the database itself"),
        ({**POSTGRESQL, "SECRET_KEY": ""}, "^SECRET_KEY must be set: all machines"),
        ({**POSTGRESQL, "API_KEYS": ""}, "^API_KEYS must be set: all machines"),
        ({**POSTGRESQL, "BACKUP_DIR": "/backups"}, "^BACKUP_DIR is for SQLite"),
        ({"DATABASE_URL": "sqlite:///a", "BROKER_URL": "sqlite:///b"}, "one transaction"),
        ({"SERVICES": "api"}, "^SERVICES must name all services"),
        ({**POSTGRESQL, "SERVICES": "api"}, "^SERVICES must name all services"),
        ({"SERVICES": "api,relay"}, "SERVICES"),
        ({"SERVICES": ","}, "SERVICES"),
        ({"FILES_URL": "s3://videos"}, "AWS_ACCESS_KEY_ID must be set"),
        ({"S3_ENDPOINT_URL": "https://s3.example.com"}, "S3_ENDPOINT_URL is set, but FILES_URL names no bucket"),
        ({"S3_LINKS": "true"}, "S3_LINKS is set, but FILES_URL names no bucket"),
        ({**BUCKET, "SCRATCH_SIZE": "1MB"}, "SCRATCH_SIZE must be at least MAX_UPLOAD_SIZE"),
        (
            {**BUCKET, "ENVIRONMENT": "production", "S3_LINKS": "true", "S3_ENDPOINT_URL": "http://s3.internal"},
            "S3_ENDPOINT_URL must be https with S3_LINKS",
        ),
        ({"TIKTOK_CLIENT_KEY": "only half"}, "TIKTOK_CLIENT_SECRET"),
        ({"SECRET_KEY_FILE": "/does/not/exist"}, "SECRET_KEY_FILE"),
    ],
)
def test_what_cannot_work_is_refused_by_name(environ: dict[str, str], told: str) -> None:
    with pytest.raises(BadSettings, match=told):
        read(environ)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PORT": "abc"}, "PORT: must be a valid integer"),
        ({"SECRET_KEY": "x"}, "SECRET_KEY must have at least 16 characters; take random ones"),
        ({"GAZE_INTENSITY": "2"}, "GAZE_INTENSITY: must be less than or equal to 1"),
        ({"LANDSCAPE": "wide"}, "LANDSCAPE: must be 'crop', 'blur' or 'none'"),
        ({"MAX_UPLOAD_SIZE": "big"}, "MAX_UPLOAD_SIZE: 'big' is not a size such as 500MB"),
    ],
)
def test_an_error_is_a_plain_sentence(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read(environ)
    assert str(refused.value) == sentence


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """Nobody should have to start the machine six times to correct six variables."""
    with pytest.raises(BadSettings) as refused:
        read(
            {
                "ENVIRONMENT": "production",
                "PORT": "abc",
                "GAZE_INTENSITY": "2",
                "API_KEYS": "short",
                "DATABASE_URL": "mysql://db/vidprod",
                "TIKTOK_CLIENT_KEY": "only half",
                "SECRET_KEY_FILE": str(tmp_path / "missing"),
            }
        )
    found = refused.value.problems
    names = ["SECRET_KEY_FILE", "TIKTOK_CLIENT_KEY", "DATABASE_URL", "PORT", "GAZE_INTENSITY", "PUBLIC_URL", "API_KEYS"]
    assert [re.match(r"[A-Z_]+", problem)[0] for problem in found] == names  # type: ignore[index]
    assert refused.value.report().splitlines() == [f"settings: {problem}" for problem in found]


def test_a_secret_file_that_is_no_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe secret")
    with pytest.raises(BadSettings, match=r"^SECRET_KEY_FILE: not a text in UTF-8: "):
        read({"SECRET_KEY_FILE": str(tmp_path / "key")})


COMMANDS = [
    "scripts.local.run",
    "scripts.machine.serve",
    "scripts.machine.adopt",
    "scripts.machine.migrate",
    "scripts.machine.retry",
    "scripts.machine.keys",
    "scripts.machine.backup",
    "api",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_ends_on_a_bad_setting_with_one_sentence(command: str, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "PORT": "abc"}
    ran = subprocess.run(
        [sys.executable, "-m", command], env=environ, capture_output=True, text=True, check=False, timeout=60,
        cwd=Path(settings.__file__).parent,
    )  # fmt: skip
    assert ran.returncode in {1, 2}
    assert re.fullmatch(r"settings: PORT: must be .*\n", ran.stderr)


@pytest.mark.parametrize("given", ["abc", "0", "70000", "-1", "\u0661", " 8000"])
def test_a_mistaken_port_of_the_mock_is_told_by_name(given: str) -> None:
    with pytest.raises(BadSettings, match=r"^MOCK_PORT: must be a whole number from 1 to 65535$"):
        development({"MOCK_PORT": given})
    assert development({"PORT": "9000"})["MOCK_PORT"] == "9001"


def test_an_error_does_not_repeat_a_secret() -> None:
    with pytest.raises(BadSettings) as refused:
        read({"ENVIRONMENT": "production", "API_KEYS": "do-not-tell", "PORT": "0"})
    assert "do-not-tell" not in str(refused.value)


def test_the_broker_may_be_told_the_stores_own_file() -> None:
    chosen = read({"BROKER_URL": "sqlite:///data/vidprod.sqlite3"})
    assert chosen.database_path == Path("data/vidprod.sqlite3")


@pytest.mark.parametrize(("url", "package"), [("amqp://mq/videos", "pika"), ("rediss://queue/1", "redis")])
def test_a_transport_without_its_package_is_refused(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(POSTGRESQL | {"BROKER_URL": url}).transport_url == url
    monkeypatch.setattr("settings.find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(BadSettings, match=f"^BROKER_URL needs the Python package {package}"):
        read(POSTGRESQL | {"BROKER_URL": url})


def test_the_password_of_a_transport_is_a_secret() -> None:
    chosen = read(POSTGRESQL | {"BROKER_URL": "amqp://vidprod:mq%40word@mq/videos"})
    assert "mq@word" in chosen.secret_values()
    assert "mq%40word" not in repr(chosen)
    assert "BROKER_URL" in secret_names()


def test_a_postgresql_server_has_no_file_and_its_password_is_a_secret() -> None:
    chosen = read(POSTGRESQL)
    assert chosen.database_path is None
    assert chosen.postgresql_url == "postgresql+psycopg://vidprod:pass%40word@db/vidprod"
    assert "pass@word" in chosen.secret_values()
    assert "pass%40word" not in repr(chosen)
    assert "DATABASE_URL" in settings.secret_names()


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("read from a file\n")
    chosen = read({"SECRET_KEY_FILE": str(tmp_path / "key")})
    assert chosen.secret_key is not None
    assert chosen.secret_key.get_secret_value() == "read from a file"
    assert "read from a file" not in repr(chosen)


def test_processes_that_start_together_keep_the_same_secret(tmp_path: Path) -> None:
    with ThreadPool(16) as pool:
        made = pool.map(lambda _: kept_secret(tmp_path / "api.key"), range(16))
    assert len({secret for secret, _ in made}) == 1
    assert sum(1 for _, fresh in made if fresh) == 1
    assert (tmp_path / "api.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"HOST": "*", "PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "0.0.0.0"}, "http://127.0.0.1:8000"),  # noqa: S104  # read, not bound
        ({"HOST": "::"}, "http://[::1]:8000"),
        ({"HOST": "::1"}, "http://[::1]:8000"),
        ({"HOST": "*", "PUBLIC_URL": "https://video.example/"}, "https://video.example"),
    ],
)
def test_the_root_url_is_an_address_that_a_client_can_open(environ: dict[str, str], root: str) -> None:
    """The listening address `*` is none: with it, a login would send the browser to http://*:8000."""
    assert read(environ).root_url == root


@pytest.mark.parametrize(
    ("environ", "contact"),
    [
        ({"PUBLIC_URL": "https://video.example/"}, "https://video.example"),
        (
            {"PUBLIC_URL": "https://video.example/", "NOTICE_EMAIL": "mara@mail.example.org"},
            "mailto:mara@mail.example.org",
        ),
        ({}, "mailto:vidprod@localhost"),
    ],
)
def test_push_services_are_told_a_contact(environ: dict[str, str], contact: str) -> None:
    """Apple's accepts https: and mailto: only."""
    assert read(environ).push_contact == contact


def test_addresses_of_notices_are_separated_without_cutting_one_apart() -> None:
    """An address may contain commas, spaces follow only between two."""
    chosen = read(
        {"NOTICE_URLS": "mailto://u:pw@x.org?to=a@x.org,b@x.org, ntfy://topic\ntgram://1:a/2,json://u:p,w@x.org"}
    )
    assert [url.get_secret_value() for url in chosen.notice_urls] == [
        "mailto://u:pw@x.org?to=a@x.org,b@x.org", "ntfy://topic", "tgram://1:a/2",
        "json://u:p,w@x.org",
    ]  # fmt: skip
    assert "pw@" not in repr(chosen)
    assert "NOTICE_URLS" in settings.secret_names()


def test_an_error_about_addresses_repeats_none() -> None:
    with pytest.raises(BadSettings) as refused:
        read({"NOTICE_URLS": "s3cret-topic"})
    assert "s3cret" not in str(refused.value)


def test_an_empty_secret_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(BadSettings, match="contains no secret"):
        kept_secret(tmp_path / "secret.key")
