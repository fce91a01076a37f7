"""Measure how long the API takes to answer after the last byte of an upload, and what an upload costs.

A server process gets uploads over the loopback network: as a form, by tus in one request, and by tus in pieces. Beside
them, in the same run, stock waitress with Falcon's own form parser gets the same form and writes it to a file, and the
tus server of Node.js gets the same upload by tus. Each upload is deleted at once. Times are those of the last request,
from its last byte to the status line.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.summary import tools
from scripts.benchmarks.summary.row import Goal, Line, NotMeasured, Row

KEY = "a-key-of-the-benchmark"
# As a machine does, another process migrates the database, with 10 MB of Alembic.
OURS = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "scripts.machine.migrate"], check=True)
from actors import malloc
from api.__main__ import context
from api.server import create_server
malloc.share_among_threads()
server = create_server(context(), host="127.0.0.1", port=0)
print(server.effective_port, flush=True)
server.run()
"""
STOCK = """
import os, tempfile, falcon, waitress
class Upload:
    def on_post(self, request, response):
        folder = tempfile.mkdtemp(dir=os.environ["DATA_DIR"], prefix="stock-")
        for part in request.get_media():
            with open(os.path.join(folder, "source"), "wb") as file:
                while data := part.stream.read(65_536):
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        response.media = {"job_id": os.path.basename(folder)}
app = falcon.App()
app.add_route("/upload", Upload())
server = waitress.create_server(app, host="127.0.0.1", port=0, max_request_body_size=2**33)
print(server.effective_port, flush=True)
server.run()
"""
TUS_SERVER = """
import { Server } from "@tus/server";
import { FileStore } from "@tus/file-store";
const server = new Server({ path: "/files", datastore: new FileStore({ directory: process.env.DATA_DIR }) });
const http = server.listen({ host: "127.0.0.1", port: 0 });
http.on("listening", () => console.log(http.address().port));
"""
PIECE_BYTES = 8_000_000
BLOCK_BYTES = 1_000_000
SHORT_BYTES, SHORT_RUNS = 500_000_000, 4  # for the table of all benchmarks
SIGNATURE = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
FORM_HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
FORM_END = b"\r\n--B--\r\n"


@dataclass(frozen=True)
class Server:
    """A server process."""

    port: int
    pid: int
    data_dir: Path

    def processor_s(self) -> float:
        """Return the processor time."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written_bytes(self) -> int:
        """Return the bytes of all writes, answers included."""
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))

    def memory_mb(self, name: str, file: str) -> float:
        """Return a figure of the memory: `VmHWM` of `status`, or `Pss` of `smaps_rollup`."""
        lines = Path(f"/proc/{self.pid}/{file}").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


@dataclass(frozen=True)
class Figures:
    """The figures of one upload."""

    answer_ms: float
    sent_mb_per_s: float
    written_per_sent: float
    processor_s: float
    pss_mb: float


class Sender:
    """Sends one upload on a connection, and keeps the largest memory that it has seen meanwhile."""

    def __init__(self, server: Server, size_bytes: int) -> None:
        self._server = server
        self._size_bytes = size_bytes
        self._block = memoryview(os.urandom(BLOCK_BYTES))
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=600)
        self.pss_mb = 0.0
        self.answer_s = 0.0

    def form(self) -> str:
        """Send a form; return the id of the upload."""
        length = len(FORM_HEAD) + self._size_bytes + len(FORM_END)
        head = {"Content-Type": "multipart/form-data; boundary=B", "Content-Length": str(length)}
        self._send_head("POST /upload", head)
        self._socket.sendall(FORM_HEAD)
        self._send_video(0, self._size_bytes)
        answer = self._answer(FORM_END)
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["job_id"])

    def tus(self, piece_bytes: int | None = None) -> str:
        """Send by tus; return the id of the upload."""
        self._send_head("POST /files", {"Upload-Length": str(self._size_bytes), "Content-Length": "0"})
        upload_id = _header(self._answer(), "location").rpartition("/")[2]
        offset = 0
        while offset < self._size_bytes:
            count = min(piece_bytes or self._size_bytes, self._size_bytes - offset)
            head = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
            self._send_head(f"PATCH /files/{upload_id}", {**head, "Content-Length": str(count)})
            self._send_video(offset, count)
            answer = self._answer()
            offset += count
        return _header(answer, "x-job-id") or upload_id  # no other server tells a job

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _send_head(self, line: str, headers: dict[str, str]) -> None:
        given = {"Host": "x", "Authorization": f"Bearer {KEY}", "Tus-Resumable": "1.0.0", **headers}
        lines = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        self._socket.sendall("\r\n".join(lines).encode())

    def _send_video(self, offset: int, count: int) -> None:
        if offset == 0:
            self._socket.sendall(SIGNATURE)
            count -= len(SIGNATURE)
        for number, begin in enumerate(range(0, count, BLOCK_BYTES)):
            self._socket.sendall(self._block[: min(BLOCK_BYTES, count - begin)])
            if number % 50 == 0:
                self.pss_mb = max(self.pss_mb, self._server.memory_mb("Pss", "smaps_rollup"))

    def _answer(self, last: bytes = b"") -> bytes:
        if last:
            self._socket.sendall(last)
        began_s = time.perf_counter()
        answer = self._socket.recv(65_536)
        self.answer_s = time.perf_counter() - began_s
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(65_536)
        length = int(_header(answer, "content-length", "0"))
        while len(answer.partition(b"\r\n\r\n")[2]) < length:
            answer += self._socket.recv(65_536)
        if not answer.split(b" ", 2)[1].startswith(b"2"):
            raise SystemExit(answer.decode())
        return answer


Way = tuple[str, Callable[[Sender], str]]  # the server's program, and how the video is sent
STOCK_FORM, FORM, NODE_TUS, TUS = "form, stock waitress and Falcon", "form", "tus, @tus/server", "tus, one request"
WAYS: dict[str, Way] = {
    STOCK_FORM: (STOCK, Sender.form),
    FORM: (OURS, Sender.form),
    NODE_TUS: (TUS_SERVER, Sender.tus),
    TUS: (OURS, Sender.tus),
    "tus, pieces of 8 MB": (OURS, lambda sender: sender.tus(PIECE_BYTES)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each way, ratios to the first one before the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="size of the video (default: 500)")
    parser.add_argument("--runs", type=int, default=10, help="uploads of each way (default: 10)")
    parser.add_argument("--directory", help="where the files are written (default: the temporary directory)")
    chosen = parser.parse_args(arguments)
    heads = ("p50", "CPU", "p50 ms", "p95 ms", "MB/s", "written/sent", "CPU s", "peak RSS MB", "PSS MB")
    print(f"{'way':34}" + "".join(f"{head:>13}" for head in heads))
    stock: tuple[float, float] | None = None
    for name, (program, send) in WAYS.items():
        if reason := missing(program):
            print(f"{name:34} {reason}")
            continue
        with _serving(program, chosen.directory) as server:
            found = [_measure(server, send, chosen.megabytes * 10**6) for _ in range(chosen.runs)]
            peak_mb = server.memory_mb("VmHWM", "status")
        stock = stock or _medians(found)
        print(_row(name, found, stock, peak_mb), flush=True)
    return 0


def rows(folder: Path) -> Iterator[Line]:
    """Compare forms to stock waitress with Falcon, and tus to a server of the protocol's authors."""
    for ours, theirs, baseline in (
        (FORM, STOCK_FORM, "waitress and Falcon's form parser"),
        (TUS, NODE_TUS, "@tus/server (does not sync the file to the disk)"),
    ):
        if reason := missing(WAYS[theirs][0]):
            yield NotMeasured(f"an upload by {ours} beside {baseline}", reason)
            continue
        with _serving(WAYS[ours][0], str(folder)) as own, _serving(WAYS[theirs][0], str(folder)) as other:
            pairs = [
                (_measure(own, WAYS[ours][1], SHORT_BYTES), _measure(other, WAYS[theirs][1], SHORT_BYTES))
                for _ in range(SHORT_RUNS)
            ]
            peaks_mb = own.memory_mb("VmHWM", "status"), other.memory_mb("VmHWM", "status")
        yield from _compared(ours, baseline, pairs, peaks_mb)


def _compared(
    way: str, baseline: str, pairs: list[tuple[Figures, Figures]], peaks_mb: tuple[float, float]
) -> Iterator[Row]:
    what = f"upload of {SHORT_BYTES // 10**6} MB, {way}"
    found = [[pair[side] for pair in pairs] for side in (0, 1)]
    (own_ms, own_s), (other_ms, other_s) = map(_medians, found)
    slowest_ms, other_slowest_ms = (max(one.answer_ms for one in runs) for runs in found)
    goal = Goal(50.0) if way == TUS else None
    yield Row(f"{what}: last byte to answer, median", own_ms, "ms", baseline, other_ms)
    yield Row(f"{what}: the same, slowest of {len(pairs)}", slowest_ms, "ms", baseline, other_slowest_ms, goal=goal)
    yield Row(f"{what}: CPU", own_s, "s", baseline, other_s)
    yield Row(f"{what}: peak memory (RSS)", peaks_mb[0], "MiB", baseline, peaks_mb[1], goal=Goal(80.0))


@contextmanager
def _serving(program: str, directory: str | None) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": folder, "TMPDIR": folder, "API_KEYS": KEY}
        environment |= {"UPLOAD_RATE_LIMIT": "100000", "MAX_UPLOAD_SIZE": "8GB"}
        command, place = [sys.executable, "-c", program], None
        if program == TUS_SERVER:  # finds its packages in the folder in which it runs
            command, place = ["node", "--input-type=module", "-e", program], tools.TUS_FOLDER
        with subprocess.Popen(
            command, env=environment, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            try:
                yield Server(int(process.stdout.readline()), process.pid, Path(folder))
            finally:
                process.kill()


def missing(program: str) -> str | None:
    """Return what is not installed; None if the server can be measured."""
    if program != TUS_SERVER:
        return None
    lacking = [] if shutil.which("node") else ["node"]
    lacking += [] if (tools.TUS_FOLDER / "node_modules").exists() else ["@tus/server (scripts/bench --install)"]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def _measure(server: Server, send: Callable[[Sender], str], size_bytes: int) -> Figures:
    before_s, before_bytes, sender = server.processor_s(), server.written_bytes(), Sender(server, size_bytes)
    began_s = time.perf_counter()
    upload_id = send(sender)
    took_s = time.perf_counter() - began_s
    sender.close()
    shutil.rmtree(server.data_dir / "uploads" / upload_id, ignore_errors=True)
    for path in server.data_dir.glob(f"{upload_id}*"):  # a folder of the stock server, files of @tus/server
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Figures(
        answer_ms=1000 * sender.answer_s,
        sent_mb_per_s=size_bytes / 10**6 / took_s,
        written_per_sent=(server.written_bytes() - before_bytes) / size_bytes,
        processor_s=server.processor_s() - before_s,
        pss_mb=sender.pss_mb,
    )


def _medians(found: list[Figures]) -> tuple[float, float]:
    answer_ms = statistics.median(one.answer_ms for one in found)
    return answer_ms, statistics.median(one.processor_s for one in found)


def _row(name: str, found: list[Figures], stock: tuple[float, float], peak_mb: float) -> str:
    answer_ms, processor_s = _medians(found)
    times_ms = sorted(one.answer_ms for one in found)
    figures = (
        f"{answer_ms / stock[0]:.3f} x",
        f"{processor_s / stock[1]:.2f} x" if stock[1] else "-",
        f"{answer_ms:.1f}",
        f"{times_ms[min(len(times_ms) - 1, round(0.95 * len(times_ms)))]:.1f}",
        f"{statistics.median(one.sent_mb_per_s for one in found):.0f}",
        f"{statistics.median(one.written_per_sent for one in found):.3f}",
        f"{processor_s:.2f}",
        f"{peak_mb:.0f}",
        f"{max(one.pss_mb for one in found):.0f}",
    )
    return f"{name:34}" + "".join(f"{figure:>13}" for figure in figures)


def _header(answer: bytes, name: str, default: str = "") -> str:
    """Return the value of a header."""
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}.get(name, default)


if __name__ == "__main__":
    sys.exit(main())
