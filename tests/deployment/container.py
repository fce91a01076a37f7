"""Runs the image's final stage without Docker: its files, user, variables and commands in namespaces of their own.

The root file system is read-only, except for the data directory. The process is number 1 of its process namespace, as
in a container, has no capabilities, and its user has no entry in /etc/passwd. System libraries and Python are those of
this machine instead of the base image's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.deployment import dockerfile
from tests.support.waiting import wait_for

SYSTEM = ("bin", "etc", "lib", "lib64", "sbin", "sys", "usr")
NAMESPACES = ("--mount", "--pid", "--ipc", "--uts")
MOUNT = """
set -eu
umask 022  # the tests have the installation's 077
root=$1; python=$2; shift 2
mount --bind "$root" "$root"
for name in SYSTEM; do
  if [ -L "/$name" ]; then cp -a "/$name" "$root/$name"; elif [ -d "/$name" ]; then
    mkdir -p "$root/$name"; mount --rbind "/$name" "$root/$name"; mount -o remount,bind,ro "$root/$name"; fi
done
mkdir -p "$root$python" "$root/proc" "$root/dev" "$root/tmp"
mount --bind "$python" "$root$python"; mount -o remount,bind,ro "$root$python"
mkdir -p "$root/app"; mount --bind "$APP" "$root/app"; mount -o remount,bind,ro "$root/app"
mount --bind "$VENV" "$root/app/.venv"; mount -o remount,bind,ro "$root/app/.venv"
for name in $REMOVED; do mount -t tmpfs -o mode=755,ro none "$root/app/.venv/$name"; done
mount --bind "$DATA" "$root/data"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 none "$root/dev"
for name in null zero full random urandom; do : > "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
ln -s /proc/self/fd "$root/dev/fd"
mount -o remount,ro "$root/dev"
mount -o remount,bind,ro "$root"
exec "$@"
""".replace("SYSTEM", " ".join(SYSTEM))


@cache
def missing() -> str:
    """Return why this machine cannot run a container; nothing if it can."""
    if os.geteuid() != 0:
        return "only root can change the root directory"
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def build_app(target: Path) -> Path:
    """Make the image's /app, compiled as in the Dockerfile: else each process compiles all that it imports."""
    for source in dockerfile.copied_files():
        copy = target / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(dockerfile.ROOT / source, copy, follow_symlinks=False)
    (target / ".venv").mkdir()
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-s", target, "-p", "/app", target], check=True)
    subprocess.run(["chmod", "-R", "a+rX", target], check=True)
    return target


class Container:
    """A container of the image; starting again takes the same data directory."""

    def __init__(self, app: Path, directory: Path, environ: Mapping[str, str]) -> None:
        if missing():
            pytest.skip(f"no namespaces: {missing()}")
        self._app = app
        self._stage = dockerfile.stages()[-1]
        self.data_dir = directory / "data"
        self._root = directory / "root"
        self.environ = {**self._stage.environ, "HOME": "/", **environ}
        self._log = directory / "log"
        for path in (directory, self._root):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        self.data_dir.mkdir(mode=0o700)
        os.chown(self.data_dir, *self._stage.user)
        (self._root / "data").mkdir()

    def start(self) -> None:
        """Start the image's program."""
        with self._log.open("ab") as log:
            self._outer = subprocess.Popen(
                [
                    "unshare", *NAMESPACES, "--fork", "--kill-child", "--propagation", "private",
                    "bash", "-c", MOUNT, "container", str(self._root), sys.base_prefix,
                    "chroot", str(self._root), *self._as_user(), *self._stage.entrypoint,
                ],
                env=os.environ
                | {
                    "APP": str(self._app),
                    "VENV": str(dockerfile.ROOT / ".venv"),
                    "DATA": str(self.data_dir),
                    "REMOVED": " ".join(dockerfile.removed_folders()),
                },
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self._children, "the container to start")
        [self.pid] = self._children()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another program in the container, as `docker exec` does."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root"]
        return subprocess.run(
            [*enter, *self._as_user(), *command], capture_output=True, text=True, check=False, timeout=60
        )

    def is_healthy(self) -> bool:
        """Return whether the image's health check succeeds."""
        return self.run(*self._stage.health_command).returncode == 0

    def stop(self, within_s: float) -> int:
        """Send the signal of `docker stop` to the first process; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it did not exit in time, and the container was killed.
        """
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self._outer.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End all processes at once."""
        if self._outer.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._outer.wait()

    def log(self) -> str:
        """Return the output of all starts."""
        return self._log.read_text()

    def processes(self) -> dict[int, tuple[str, str]]:
        """Return the state and the command line of each process, by its number outside of the container."""
        inside = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "ns" / "pid").readlink() == inside:
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(entry.name)] = (state, line)
            except OSError:
                continue  # it has ended
        return found

    def _children(self) -> list[int]:
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        assert self._outer.poll() is None, self.log()
        return [int(pid) for pid in children.read_text().split()]

    def _as_user(self) -> list[str]:
        user, group = self._stage.user
        environ = [f"{name}={value}" for name, value in self.environ.items()]
        rights = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--clear-groups"]
        inner = ["bash", "-c", 'cd /app && exec "$@"', "workdir"]
        return ["setpriv", f"--reuid={user}", f"--regid={group}", *rights, "env", "-i", *environ, *inner]
