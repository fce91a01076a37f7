"""The settings: read once from the environment, validated at start, and frozen.

The packages `api`, `actors` and `scripts` read them; `media`, `platforms`, `broker` and `store` take plain arguments.
Any `NAME` may be given as `NAME_FILE`, the path of a file that contains the value, which keeps secrets out of the
list of processes.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from platforms import registry

VERSION = "0.1.0"
"""The version of VidProd. The API's description and the package metadata (pyproject.toml) take it from here."""

BYTES_PER_UNIT = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}

# The variables of the platforms' base URLs: tests and the mock server replace the real hosts.
PLATFORM_ROOTS = tuple(name.upper() for name in registry.ROOT_NAMES)

LAST_PORT = 65_535
LOOPBACK = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # by listening address
# Schemes of the addresses of RabbitMQ and Redis, and the Python package of each.
TRANSPORTS = {"amqp": "pika", "amqps": "pika", "redis": "redis", "rediss": "redis"}
SHORTEST_SECRET = 16  # characters; generated secrets have 43
RESERVED_DOMAINS = (".localhost", ".local", ".internal", ".invalid", ".test", ".example")  # RFC 6761, RFC 9476
API_KEY_FILE = "api.key"  # in DATA_DIR: the key that is generated at the first start


class BadSettings(Exception):
    """The environment cannot be used; the message names each variable and what is wrong with it.

    Attributes:
        problems: a sentence about each variable, in the order in which they were found.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    def report(self) -> str:
        """Return the message of a command that does not start: a line for each problem."""
        return "\n".join(f"settings: {problem}" for problem in self.problems)


def _size_bytes(value: Any) -> Any:  # Any: the environment's text, or a test's value
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", value)
    unit = (match[2] or "B").upper() if match else ""
    if match is None or unit not in BYTES_PER_UNIT:
        raise ValueError(f"{value!r} is not a size such as 500MB")
    return int(match[1]) * BYTES_PER_UNIT[unit]


def _comma_list(value: Any) -> Any:  # Any: the environment's text, or a test's value
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _url_list(value: Any) -> Any:  # Any: the environment's text, or a test's value
    """Split a list of addresses, separated by spaces or commas; an address may contain commas, too."""
    if not isinstance(value, str):
        return value
    found = re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", value.strip())
    if any("://" not in address for address in found):
        raise ValueError("must be addresses such as ntfy://topic, separated by spaces")
    return tuple(found)


def _public_email(value: str) -> str:
    """Accept an address that a push service may accept: Apple's refuses all mail for a domain that cannot exist."""
    if not value:
        return value
    if re.fullmatch(r"[^@\s<>]+@([A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]+", value) is None:
        raise ValueError("must be an e-mail address such as you@example.com")
    if value.lower().endswith(RESERVED_DOMAINS):
        raise ValueError("must be at a domain that exists, or push services refuse it")
    return value


def _files_url(value: str) -> str:
    """Accept an absolute path, or a bucket with an optional prefix."""
    if value and re.fullmatch(r"file:///[^?#]+|s3://[a-z0-9][a-z0-9._-]*(/[^?#]*)?", value) is None:
        raise ValueError("must be file:///PATH or s3://BUCKET/PREFIX")
    return value


def _database_url(value: SecretStr) -> SecretStr:
    """Accept a file of SQLite, or a database of a PostgreSQL server."""
    url = value.get_secret_value()
    if url and re.fullmatch(r"sqlite:///.+|postgresql(\+psycopg)?://\S+", url) is None:
        raise ValueError("must be sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    if url.startswith("postgresql"):
        address, _, options = url.partition("?")
        host, _, name = address.partition("://")[2].partition("/")
        if host.count("@") > 1 or "@" in name or "@" in options:
            raise ValueError("write @ as %40, / as %2F, ? as %3F, # as %23, : as %3A and % as %25 in user and password")
        if "password=" in options:  # which no log would hide
            raise ValueError(
                "the password must stand before the host: postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
            )
    return value


def _transport_url(value: SecretStr) -> SecretStr:
    """Refuse an address whose port is no number; `Settings` decides about the rest."""
    try:
        _ = urlsplit(value.get_secret_value()).port
    except ValueError:
        raise ValueError("must be an address such as amqp://USER:PASSWORD@HOST/VHOST or redis://HOST/NUMBER") from None
    return value


def _endpoint(value: str) -> str:
    if value and not _is_web_address(value):
        raise ValueError("must be an address such as https://s3.example.com")
    return value.rstrip("/")


class OAuthClient(BaseModel):
    """One registered application at a platform."""

    model_config = ConfigDict(frozen=True)
    client_id: str
    client_secret: SecretStr


# Also the types of the options of an upload.
SegmentSeconds = Annotated[float, Field(ge=6, le=60, allow_inf_nan=False)]
GazeIntensity = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


ServiceName = Literal["api", "network", "media", "relay"]
ALL_SERVICES: tuple[ServiceName, ...] = ("api", "network", "media", "relay")  # the last one only with a transport


class Settings(BaseModel):
    """The validated environment. Field names are the variables' names in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    environment: Literal["development", "production"] = "development"
    data_dir: Path = Path("data")
    # Empty: SQLite in data_dir. It may contain a password.
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = SecretStr("")
    # Empty: the same database, which the workers listen to. RabbitMQ or Redis wake workers of a PostgreSQL server.
    broker_url: Annotated[SecretStr, AfterValidator(_transport_url)] = SecretStr("")
    broker_listen_url: Annotated[SecretStr, AfterValidator(_database_url)] = SecretStr("")  # past a pooler
    lease_seconds: Annotated[float, Field(ge=10, le=3600)] = 60.0  # after which work of a lost machine goes to others
    database_pool: Annotated[int, Field(ge=1, le=100)] = 8  # connections that a process keeps to PostgreSQL
    # Of this machine; each one runs on some machine.
    services: Annotated[tuple[ServiceName, ...], BeforeValidator(_comma_list), Field(min_length=1)] = ALL_SERVICES
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 8000
    metrics_port: Annotated[int, Field(ge=1, le=LAST_PORT)] | None = (
        None  # metrics without an API key, for a private network
    )
    public_url: str = ""  # empty: http://host:port
    api_keys: Annotated[tuple[SecretStr, ...], BeforeValidator(_comma_list)] = ()
    secret_key: SecretStr | None = None
    worker_concurrency: Annotated[int, Field(ge=0, le=64)] = 1
    max_upload_size: Annotated[int, BeforeValidator(_size_bytes), Field(ge=1)] = 500 * 10**6
    queue_poll_interval: Annotated[float, Field(gt=0, le=3600)] = 30.0  # seconds
    segment_seconds: SegmentSeconds = 60.0
    gaze_intensity: GazeIntensity = 0.8
    gaze_faces: Annotated[int, Field(ge=1, le=4)] = 1  # people whose eyes are turned, the most prominent ones
    landscape: Literal["crop", "blur", "none"] = "crop"  # what is made of videos that are wider than high
    loudness: Annotated[float, Field(ge=-31, le=-9)] | None = None  # LUFS; none leaves the sound as it is
    worker_memory_mb: Annotated[int, Field(ge=200)] | None = None
    processing_deadline: Annotated[float, Field(gt=0, le=86_400)] = 3600.0  # seconds of one attempt at a part
    # before the first retry; the second waits 4 times as long, the third 16 times
    media_retry_seconds: Annotated[float, Field(ge=0, le=3600)] = 30.0
    review: bool = False  # nothing is published before approval, unless the upload says otherwise
    dry_run: bool = (
        False  # nothing is published; `GET /jobs/{id}/payloads` shows what would be, unless the upload differs
    )
    mute_video: Literal["ask", "publish", "refuse"] = "ask"  # for a video whose sound cannot be read
    keep_source: bool = False  # keep an uploaded file until the other files of its job are deleted
    retention_hours: Annotated[float, Field(ge=0, le=24 * 365)] = 0.0
    keep_pictures_days: Annotated[float, Field(ge=0, le=3650)] = 30.0  # small covers and previews, after the videos
    lost_found_days: Annotated[float, Field(ge=0, le=3650)] = 14.0  # for which files without a record are kept
    files_url: Annotated[str, AfterValidator(_files_url)] = ""  # file:///PATH or s3://BUCKET/PREFIX; empty: in data_dir
    s3_endpoint_url: Annotated[str, AfterValidator(_endpoint)] = ""  # of a storage that is not Amazon's
    s3_region: str = "us-east-1"
    s3_links: bool = False  # platforms fetch parts from the storage, not from PUBLIC_URL
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    scratch_dir: Path | None = None  # of copies of files in S3; none: in data_dir
    scratch_size: Annotated[int, BeforeValidator(_size_bytes), Field(ge=1)] = 2 * 10**9
    backup_dir: Path | None = None  # none: no scheduled backups
    backup_hours: Annotated[float, Field(gt=0, le=24 * 31)] = 24.0  # between two scheduled backups
    backup_keep: Annotated[int, Field(ge=1, le=1000)] = 7  # newest backups in BACKUP_DIR that are kept
    upload_rate_limit: Annotated[int, Field(ge=1)] = 10  # uploads a minute and address
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    sentry_dsn: SecretStr | None = None
    webhook_allow_private: bool = False
    notice_urls: Annotated[tuple[SecretStr, ...], BeforeValidator(_url_list)] = ()  # Apprise's addresses
    notice_email: Annotated[str, AfterValidator(_public_email)] = ""  # of the operator, for push services
    tiktok_mode: Literal["inbox", "direct"] = "inbox"
    ai_disclosure: Literal["never", "gaze", "always"] = "gaze"  # which posts are declared as altered by AI
    publish_retries: Annotated[int, Field(ge=0, le=20)] = 3  # of one step of a publication, in a row
    publish_pace: Annotated[float, Field(gt=0, le=1)] = 1.0  # factor for pauses: `platforms.steps.Pacing`

    oauth_clients: dict[str, OAuthClient] = Field(default_factory=dict)  # by the logins' `client_name`
    platform_roots: dict[str, str] = Field(default_factory=dict)  # by the fields in `hosts.py` of each platform

    @model_validator(mode="after")
    def _refuse_what_cannot_work(self) -> Self:
        if wrong := list(self._contradictions()):
            raise ValueError("\n".join(wrong))
        return self

    def _contradictions(self) -> Iterator[str]:
        """Yield what cannot work together; each sentence begins with the name of the variable to change."""
        if self.environment == "production":
            if self.secret_key is None:
                yield "SECRET_KEY must be set in production: it encrypts stored tokens"
            if not self.public_url:
                yield "PUBLIC_URL must be set in production: logins and media links are made from it"
        if self.public_url and not _is_web_address(self.public_url):
            yield "PUBLIC_URL must be an address such as https://videos.example.com"  # it may contain a password
        if self.metrics_port == self.port:
            yield "METRICS_PORT must be another port than PORT"
        if self.secret_key is not None and len(self.secret_key.get_secret_value()) < SHORTEST_SECRET:
            yield f"SECRET_KEY must have at least {SHORTEST_SECRET} characters; take random ones"
        if any(len(key.get_secret_value()) < SHORTEST_SECRET for key in self.api_keys):
            yield f"API_KEYS: each key must have at least {SHORTEST_SECRET} characters; take random ones"
        yield from self._database_contradictions()
        yield from self._storage_contradictions()
        if set(self.services) == {"relay"} and self.transport_url is None:
            yield "SERVICES names the relay alone, which needs BROKER_URL=amqp://… or redis://…"
        if {*self.services, "relay"} != set(ALL_SERVICES) and not self.is_shared:
            yield (
                "SERVICES must name all services, or be empty: other machines reach neither this one's SQLite file nor "
                "its videos. Set DATABASE_URL to a PostgreSQL server and FILES_URL to a bucket first"
            )

    def _database_contradictions(self) -> Iterator[str]:
        """Yield what is missing for a server of PostgreSQL, and a broker that is elsewhere."""
        path, broker_url = self.database_path, self.broker_url.get_secret_value()
        is_own = path is not None and broker_url in {f"sqlite:///{path}", f"sqlite:///{path.resolve()}"}
        package = TRANSPORTS.get(urlsplit(broker_url).scheme)
        if package is not None and not self.is_postgresql:
            yield (
                "BROKER_URL names RabbitMQ or Redis, which need DATABASE_URL=postgresql+psycopg://…: they wake "
                "workers, and the messages are in that database; SQLite wakes its workers itself"
            )
        elif package is not None and find_spec(package) is None:
            yield f"BROKER_URL needs the Python package {package}, which is not installed"
        elif package is None and broker_url and not is_own and broker_url != self.database_url.get_secret_value():
            yield (
                "BROKER_URL must name the database itself, or be empty: a change of state and its messages are "
                "committed in one transaction. With PostgreSQL it may be amqp://… or redis://…"
            )
        if not self.is_postgresql:
            return
        if self.secret_key is None:
            yield "SECRET_KEY must be set: all machines that use a PostgreSQL server decrypt the same tokens"
        if not self.api_keys:
            yield "API_KEYS must be set: all machines that use a PostgreSQL server accept the same keys"
        if self.backup_dir is not None:
            yield "BACKUP_DIR is for SQLite: make backups of PostgreSQL on its server, such as with pg_dump"

    def _storage_contradictions(self) -> Iterator[str]:
        """Yield what is missing for a storage, or was set without one."""
        required = {
            "AWS_ACCESS_KEY_ID": self.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws_secret_access_key,
        }
        if self.is_remote:
            for name in [name for name, value in required.items() if value is None]:
                yield f"{name} must be set: FILES_URL names a bucket"
            if self.scratch_size < self.max_upload_size:
                yield "SCRATCH_SIZE must be at least MAX_UPLOAD_SIZE: the longest video is copied there to be cut"
            if self.s3_links and self.environment == "production" and self.s3_endpoint_url.startswith("http://"):
                yield "S3_ENDPOINT_URL must be https with S3_LINKS: Instagram fetches the parts there"
        elif self.s3_links:
            yield "S3_LINKS is set, but FILES_URL names no bucket (s3://BUCKET/PREFIX)"
        elif self.s3_endpoint_url:
            yield "S3_ENDPOINT_URL is set, but FILES_URL names no bucket (s3://BUCKET/PREFIX)"

    @property
    def is_remote(self) -> bool:
        """Whether the files of jobs are in an S3-compatible storage."""
        return self.files_url.startswith("s3://")

    @property
    def files_dir(self) -> Path:
        """The directory of the files of jobs; with a remote storage, of uploads that are being received."""
        path = self.files_url.removeprefix("file://")
        return self.data_dir if self.is_remote or not path else Path(path)

    @property
    def is_postgresql(self) -> bool:
        """Whether store and broker are on a PostgreSQL server."""
        return self.database_url.get_secret_value().startswith("postgresql")

    @property
    def is_shared(self) -> bool:
        """Whether other machines may work on the same jobs: database and files are elsewhere."""
        return self.is_postgresql and self.is_remote

    @property
    def transport_url(self) -> str | None:
        """The address of RabbitMQ or Redis, through which a relay wakes workers; None without."""
        url = self.broker_url.get_secret_value()
        return url if urlsplit(url).scheme in TRANSPORTS else None

    @property
    def postgresql_url(self) -> str:
        """The address of the database on a server, with the name of the driver."""
        return self.database_url.get_secret_value().replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def database_path(self) -> Path | None:
        """The SQLite file of store and broker; None if they are on a server."""
        if self.is_postgresql:
            return None
        url = self.database_url.get_secret_value()
        return Path(url.removeprefix("sqlite:///")) if url else self.data_dir / "vidprod.sqlite3"

    @property
    def uploads_dir(self) -> Path:
        """One directory per job with the uploaded file."""
        return self.files_dir / "uploads"

    @property
    def jobs_dir(self) -> Path:
        """One directory per job with its parts."""
        return self.files_dir / "jobs"

    @property
    def own_hosts(self) -> frozenset[str]:
        """Names under which clients reach the API: a webhook to one of them would be a loop."""
        name = urlsplit(self.public_url).hostname
        return frozenset({name}) if name else frozenset()

    @property
    def push_contact(self) -> str:
        """The operator's address in the signature of web push messages (RFC 8292): "mailto:" or "https:"."""
        if self.notice_email:
            return f"mailto:{self.notice_email}"
        # Without https there is no web push, except from a browser on this machine.
        return self.root_url if self.root_url.startswith("https://") else "mailto:vidprod@localhost"

    def secret_values(self) -> list[str]:
        """Return all secrets, to keep them out of logs."""
        found = [
            *self.api_keys,
            *(SecretStr(password) for password in self._database_passwords()),
            self.secret_key,
            self.aws_secret_access_key,
            *(client.client_secret for client in self.oauth_clients.values()),
        ]
        return [secret.get_secret_value() for secret in found if secret is not None]

    def _database_passwords(self) -> Iterator[str]:
        for url in (self.database_url, self.broker_listen_url):
            if self.is_postgresql and (password := urlsplit(url.get_secret_value()).password):
                yield unquote(password)
        if self.transport_url and (password := urlsplit(self.transport_url).password):
            yield unquote(password)

    def secret_addresses(self) -> list[str]:
        """Return the addresses that contain secrets."""
        found = [*self.notice_urls, self.sentry_dsn]
        return [secret.get_secret_value() for secret in found if secret is not None]

    @property
    def root_url(self) -> str:
        """Root of the public address of this machine, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://{_client_host(self.host)}:{self.port}"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:  # of the port, or of an IPv6 address
        return False
    return parts.scheme in {"https", "http"} and re.fullmatch(r"\S+", host) is not None


def _client_host(host: str) -> str:
    """Return the host with which a client on this machine reaches a server that listens on `host`."""
    reached = LOOPBACK.get(host, host)
    return f"[{reached}]" if ":" in reached else reached


def read(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings.

    Raises:
        BadSettings: a variable has no usable value, or two of them contradict each other; with all such problems.
    """
    wrong: dict[str, str] = {}  # problem by variable
    given = _with_files(environ, wrong)
    values: dict[str, Any] = {  # Any: pydantic converts each text to its field's type
        name: given[name.upper()] for name in Settings.model_fields if given.get(name.upper(), "") != ""
    }
    values["oauth_clients"] = _oauth_clients(given, wrong)
    values["platform_roots"] = {name.lower(): given[name].rstrip("/") for name in PLATFORM_ROOTS if given.get(name)}
    chosen = _validated(values, wrong)
    if chosen is None or wrong:
        raise BadSettings(*wrong.values())
    return chosen


def _validated(values: dict[str, Any], wrong: dict[str, str]) -> Settings | None:  # Any: see `read`
    """Return the settings, or None, and add what is wrong with them.

    Pydantic compares variables only if each of them is valid. So the invalid ones are left out once, and the problems
    of a comparison with one of them are none.
    """
    try:
        return Settings(**values)
    except ValidationError as exc:  # pydantic's own text repeats the values, which may be secrets
        found = exc.errors()
    broken = {str(error["loc"][0]) for error in found if error["loc"]}
    for error in found:
        if error["loc"]:
            wrong[".".join(map(str, error["loc"])).upper()] = _sentence(error["loc"], error["msg"])
        else:
            sentences = _own(error["msg"]).split("\n")
            named = {sentence: sentence.split()[0].rstrip(":") for sentence in sentences}
            wrong |= {name: sentence for sentence, name in named.items() if name not in wrong}
    return _validated({name: values[name] for name in values.keys() - broken}, wrong) if broken else None


def _oauth_clients(given: Mapping[str, str], wrong: dict[str, str]) -> dict[str, OAuthClient]:
    clients = {}
    for login in registry.LOGINS.values():
        names = login.client_id_variable, login.client_secret_variable
        client_id, secret = map(given.get, names)
        if client_id and secret:
            clients[login.client_name] = OAuthClient(client_id=client_id, client_secret=SecretStr(secret))
        elif (client_id or secret) and not wrong.keys() & set(names):
            wrong[names[0]] = f"{names[0]} and {names[1]} belong together"
    return clients


def port(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return a port from the environment; the default if the variable is empty or missing.

    For `scripts/run`, which chooses the mock's port, and with it other settings, before the settings are read.

    Raises:
        BadSettings: the value is not a number from 1 to 65535.
    """
    given = environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,5}", given) or not 1 <= int(given) <= LAST_PORT:
        raise BadSettings(f"{name}: must be a whole number from 1 to {LAST_PORT}")
    return int(given)


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    """Return an error message of pydantic after the name of its variable."""
    return f"{'.'.join(map(str, place)).upper()}: {_own(message)}"


def _own(message: str) -> str:
    words = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return words.partition(", unable to parse")[0]


def kept_secret(path: Path) -> tuple[str, bool]:
    """Return the secret that a file contains; generate it first if the file does not exist.

    Returns:
        The secret (43 URL-safe characters), and True if it was generated by this call. Two processes that start
        together get the same secret: the file is created atomically.

    Raises:
        BadSettings: the file exists without a secret (after a power cut, or by mistake).
    """
    made = not path.exists() and _make_secret(path)  # an existing one is only read: the disk may be full
    secret = path.read_text().strip()
    if len(secret) < SHORTEST_SECRET:
        raise BadSettings(
            f"{path} contains no secret; delete it, and the next start generates a new one (after a new secret.key, "
            "connect all accounts again)"
        )
    return secret, made


def _make_secret(path: Path) -> bool:
    """Generate the secret of a missing file; return False if another process has just done it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 (a mode)
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
        _sync_directory(path.parent)
    return True


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _with_files(environ: Mapping[str, str], wrong: dict[str, str]) -> dict[str, str]:
    given = dict(environ)
    for name, path in environ.items():
        variable = name.removesuffix("_FILE")
        if name.endswith("_FILE") and path and variable in known_names():
            try:
                given[variable] = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else "not a text in UTF-8"
                wrong[variable] = f"{name}: {reason}: {path}"
    return given


def secret_names() -> frozenset[str]:
    """Return the variables whose values are secrets."""
    fields = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in repr(field.annotation)}
    return frozenset(fields | {login.client_secret_variable for login in registry.LOGINS.values()})


def known_names() -> set[str]:
    """Return the names of all variables."""
    clients = {
        name for login in registry.LOGINS.values() for name in (login.client_id_variable, login.client_secret_variable)
    }
    return {name.upper() for name in Settings.model_fields} | clients | set(PLATFORM_ROOTS)
