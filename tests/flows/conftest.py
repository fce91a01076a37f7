"""A complete machine on its own ports, and a short video without a face, which renders quickly."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

from scripts.local.ports import free_ports
from tests.flows.machine import TestMachine


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 13 seconds of moving pattern with bursts of sound and pauses: three parts of at most six seconds."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    sound = "sine=frequency=220:duration=13,volume='if(lt(mod(t,2.5),1.9),0.5,0.001)':eval=frame"
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y",
            "-f", "lavfi", "-i", "testsrc2=size=360x640:rate=25:duration=13", "-f", "lavfi", "-i", sound,
            "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac", str(path),
        ],
        check=True,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def shared_machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestMachine]:
    """Return a running machine with the module's ENVIRON, which the module's tests share.

    Starting and stopping one takes longer than processing a video. Each test uploads videos with titles of its own.
    """
    api_port, mock_port = free_ports(2)
    environ = {"UPLOAD_RATE_LIMIT": "1000", **request.module.ENVIRON}
    running = TestMachine(tmp_path_factory.mktemp("shared") / "data", api_port, mock_port, environ)
    running.wait_until_it_answers()
    yield running
    running.stop()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., TestMachine]]:
    """Return what starts the machine; starting again takes the same data directory and ports."""
    api_port, mock_port = free_ports(2)
    started: list[TestMachine] = []

    def start(**environ: str) -> TestMachine:
        one = TestMachine(tmp_path / "data", api_port, mock_port, environ)
        started.append(one)
        one.wait_until_it_answers()
        return one

    yield start
    for one in started:
        one.stop()
