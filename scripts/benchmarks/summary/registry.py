"""All benchmarks, in the order in which they run and are shown."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BENCHMARKS", "Benchmark"]

PACKAGE = "scripts.benchmarks"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A command of `scripts/bench`, and the module whose function `rows` measures it in a short run."""

    name: str
    rows_in: str  # dotted, below `PACKAGE`
    share_s: int  # of the complete run: about its time on two cores without other load
    title: str

    @property
    def command(self) -> str:
        """The module of the command. An underscore in the name separates the package from its module."""
        return f"{PACKAGE}.{self.name.replace('_', '.', 1)}"

    @property
    def rows_module(self) -> str:
        """The module with `rows(folder)`, which yields lines; the folder is for its files, on a disk."""
        return f"{PACKAGE}.{self.rows_in}"

    @property
    def deadline_s(self) -> float:
        """Time after which the benchmark has failed."""
        return 300.0 + 10 * self.share_s  # on a machine with much other load


BENCHMARKS = (
    Benchmark("broker", "broker.rows", 150, "the message broker beside Redis, RabbitMQ and PostgreSQL"),
    Benchmark("upload", "upload", 60, "receiving a video beside stock waitress with Falcon and a tus server"),
    Benchmark("connections", "connections", 30, "answers while 1,000 connections are held, beside stock waitress"),
    Benchmark("webhooks", "webhooks", 30, "deliveries beside receivers that do not answer"),
    Benchmark("scheduler", "scheduler", 30, "the scheduler with many waiting publications beside few"),
    Benchmark("render", "render.rows", 120, "rendering beside PyAV, the ffmpeg program and MoviePy"),
    Benchmark("render_cuts", "render.cuts", 60, "cuts inside words beside cuts by loudness alone"),
    Benchmark("render_memory", "render.memory", 60, "memory of rendering beside the ffmpeg program"),
    Benchmark("cpu", "cpu.rows", 90, "CPU time of a second of video, by way of rendering, and hours on Fly.io"),
    Benchmark("gaze", "gaze.rows", 90, "gaze that is left after correction beside none and a simple one"),
    Benchmark("machine", "machine.rows", 120, "the whole machine in 460 MiB beside Postiz's published minimum"),
)
