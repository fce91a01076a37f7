"""scripts/run: run all services on this machine, with mocks of TikTok, Instagram and YouTube.

With a video (or --demo): upload it, wait until all parts are published and the webhook has arrived, print the result of
each part, and stop. Without: run until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import requests

import process_protection
import settings as environment
from actors import logging_setup
from platforms import registry
from platforms.mock.roots import mock_hosts
from scripts.local.client import ApiError, Client
from scripts.local.journey import Journey, JourneyFailed
from scripts.machine import services
from scripts.machine.child import ROOT
from scripts.machine.installation import AlreadyRunning
from scripts.machine.private_files import NotPrivate
from scripts.machine.serve import NoDatabase, NoStorage, migrate, unusable_directory
from scripts.machine.supervisor import REAP_INTERVAL_S, Supervisor
from store.errors import DatabaseUnavailable

START_WITHIN_S = 60.0
FAILURES = (JourneyFailed, ApiError, requests.RequestException, NoDatabase, NoStorage, DatabaseUnavailable)
# The last login of each platform: Instagram's is Facebook Login, which works without a public address.
MOCK_LOGINS = tuple(platform.logins[-1] for platform in registry.PLATFORMS.values())


class Machine:
    """The services of a development machine, and the mock platforms."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = development(environ)
        self.settings = environment.read(self.environ)
        self.mock_port = int(self.environ["MOCK_PORT"])
        self.mock_url = f"http://127.0.0.1:{self.mock_port}"
        self.supervisor = Supervisor(
            [
                services.mock_platforms(self.mock_port, self.settings.data_dir.resolve() / "mock"),
                services.api(),
                services.network_worker(),
                services.media_worker(),
                *services.relay(self.settings),
            ],
            environ=self.environ,
            settings=self.settings,
            log_to_files=True,
            watchdog=services.watchdog(self.settings),
        )
        self.api_key = self._api_key()
        self.client = Client(self.settings.root_url, self.api_key)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start all services, wait until they answer, and connect the mock accounts and the mock webhook receiver.

        Raises:
            NoDatabase: the database cannot be used.
            NoStorage: the settings of the storage are wrong.
            JourneyFailed: the services do not answer within `START_WITHIN_S`.
        """
        migrate(self.environ)
        if self.settings.database_path is not None:
            self.supervisor.monitor_database(self.settings.database_path.resolve())
        self.supervisor.start()
        threading.Thread(target=self._supervise, daemon=True, name="supervisor").start()
        deadline = time.monotonic() + START_WITHIN_S
        while not (self.client.healthy() and self._mock_answers()):
            if time.monotonic() > deadline:
                raise JourneyFailed(f"the machine does not start; see {self.settings.data_dir / 'logs'}")
            time.sleep(0.1)
        connect_mocks(self.client, self.mock_url)

    def stop(self) -> None:
        """Stop all services."""
        self._stopping.set()
        self.supervisor.stop()

    def _supervise(self) -> None:
        while not self._stopping.wait(REAP_INTERVAL_S):
            self.supervisor.check_services()

    def _api_key(self) -> str:
        if self.settings.api_keys:
            return self.settings.api_keys[0].get_secret_value()
        return environment.kept_secret(self.settings.data_dir / environment.API_KEY_FILE)[0]

    def _mock_answers(self) -> bool:
        try:
            return requests.get(f"{self.mock_url}/mock/posts", timeout=5).ok
        except requests.RequestException:
            return False


def connect_mocks(client: Client, mock_url: str) -> None:
    """Connect an account of each mock platform, unless it is, and the mock's webhook receiver."""
    connected = {account["platform"] for account in client.accounts()["accounts"]}
    for platform in registry.NAMES:
        if platform not in connected:
            client.connect(platform)
    if not connected:
        at_once = {name: {"windows": [], "max_per_day": 1000, "min_gap_s": 0} for name in registry.NAMES}
        client.call("PUT", "/schedule", json=at_once)
    endpoint = client.call("POST", "/webhooks", json={"url": f"{mock_url}/webhooks/receive"})
    requests.post(f"{mock_url}/mock/webhook-secret", json={"secret": endpoint["secret"]}, timeout=10).raise_for_status()


def development(environ: dict[str, str]) -> dict[str, str]:
    """Return the given environment, with the defaults of a development machine for missing variables."""
    given = dict(environ)
    api_port = environment.port(given, "PORT", 8000)
    given["MOCK_PORT"] = str(environment.port(given, "MOCK_PORT", api_port + 1))
    roots = mock_hosts(f"http://127.0.0.1:{given['MOCK_PORT']}")
    chosen = {name.upper(): root for name, root in roots.items()}
    for login in MOCK_LOGINS:
        chosen |= {login.client_id_variable: "mock", login.client_secret_variable: "mock"}
    chosen |= {
        "ENVIRONMENT": "development",
        "WEBHOOK_ALLOW_PRIVATE": "true",  # the mock receiver is on loopback
        "TIKTOK_MODE": "direct",
        "PUBLISH_PACE": "0.05",  # the mocks need no pauses of minutes
        "RETENTION_HOURS": "24",  # keeps the before/after pictures for a day
        "DATA_DIR": "data",
    }
    return chosen | given


def main() -> int:
    """Run the command; return its exit code."""
    process_protection.protect()
    parser = argparse.ArgumentParser(
        prog="scripts/run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("video", nargs="?", type=Path, help="a video to upload and publish")
    parser.add_argument("--demo", action="store_true", help="upload a sample clip, which the first start makes")
    parser.add_argument(
        "--title", default="", help="the title of the posts (default: from the caption, the file or the date)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="publish nothing; print the requests that each post would send"
    )
    arguments = parser.parse_args()
    if arguments.video is not None:  # the shell command has changed into the project's folder
        arguments.video = Path(os.environ.get("STARTED_IN", "")) / arguments.video
    if arguments.video is not None and not arguments.video.is_file():
        parser.error(f"there is no file {arguments.video}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        machine = Machine(dict(os.environ) | ({"DRY_RUN": "true"} if arguments.dry_run else {}))
        logging_setup.add_output(machine.settings)
        process_protection.remove_secrets(environment.secret_names())
    except environment.BadSettings as error:
        print(error.report(), file=sys.stderr)
        return 2
    except (AlreadyRunning, NotPrivate) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(unusable_directory(Path(os.environ.get("DATA_DIR") or "data"), error), file=sys.stderr)
        return 1
    try:
        return _run(machine, arguments)
    except (*FAILURES, subprocess.CalledProcessError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        machine.stop()


def _run(machine: Machine, arguments: argparse.Namespace) -> int:
    video = arguments.video
    if arguments.demo:
        video = sample(machine.settings.data_dir)
    print("Starting API, workers, scheduler and the mock platforms ...", flush=True)
    machine.start()
    if video is None:
        wait_for_interrupt(machine, partial(print, flush=True))
        return 0
    return Journey(machine.client, machine.mock_url, machine.settings.data_dir.resolve()).run(
        video, title=arguments.title or video.stem
    )


def sample(data_dir: Path) -> Path:
    """Return the path of the sample clip; render the clip if it does not exist."""
    clip = data_dir / "sample.mp4"
    if not clip.exists():
        print("Making the sample clip, once; this can take some minutes ...", flush=True)
        clip.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "media.sample", str(clip.resolve())]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # it prints measurements
    return clip


def wait_for_interrupt(machine: Machine, write: Callable[[str], None]) -> None:
    """Write the addresses, the API key and the folder of the logs, and wait for Ctrl-C."""
    write(f"The page:   {machine.settings.root_url}/")
    write(f"API key:    {machine.api_key}")
    write(f"Mock posts: {machine.mock_url}/mock/posts")
    write(f"Logs:       {machine.settings.data_dir / 'logs'}")
    write("Ctrl-C stops everything.")
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
