"""Clips, and the films that candidates make of them: made once, kept under build/, read frame by frame."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from media.frames import Planes
from media.process.files import atomic_write
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.writing.encode import Master

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Clip:
    """A film, or a section of it."""

    path: Path
    span: Span

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @classmethod
    def of(cls, path: Path, most_frames: int | None) -> "Clip":
        """Return a clip of a film: all of it, or `frames` frames after its first fifth."""
        grid = inspect(path).timeline.grid()
        if most_frames is None or grid.frames <= most_frames:
            return cls(path, grid)
        first = min(grid.frames // 5, grid.frames - most_frames)
        return cls(path, replace(grid, first=first, frames=most_frames))

    def frames(self) -> Iterator[Planes]:
        """Decode the clip as every candidate receives it."""
        yield from FrameReader(self.path, self.span)

    def key(self) -> str:
        """Return the key of the clip in a cache."""
        facts = self.path.stat()
        text = f"{self.path}{facts.st_size}{facts.st_mtime_ns}{self.span.first}+{self.span.frames}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Run:
    """The film that a candidate made of a clip."""

    film: Path
    stages_s: dict[str, float]  # as the child tells them; empty where no child made it
    report: dict[str, Any]  # JSON: the corrector's own, empty without one

    def frames(self) -> Iterator[Planes]:
        """Decode the film."""
        yield from FrameReader(self.film, inspect(self.film).timeline.grid())


def kept(film: Path) -> Run | None:
    """Return a film that was made earlier, or None."""
    return Run(film, {}, {}) if film.exists() else None


def correct(clip: Clip, intensity: float, film: Path) -> Run:
    """Process a clip with `python -m media.gaze` in a child process on one core.

    Raises:
        subprocess.CalledProcessError: the child failed; its words went to standard error.
    """
    report = film.with_suffix(".json")
    command = [sys.executable, "-m", "media.gaze", str(clip.path), str(film), "--json", f"--intensity={intensity}"]
    command += [f"--span={json.dumps(clip.span.to_json())}", f"--report={report}"]
    # The machine's cores are shared with others' work: whoever runs at the same time likely takes another one.
    cores = sorted(os.sched_getaffinity(0))
    core = cores[os.getpid() % len(cores)]
    done = subprocess.run(
        ["taskset", "-c", str(core), *command], cwd=ROOT, check=True, capture_output=True, text=True, env=os.environ
    )
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    return Run(film, result["stages_s"], json.loads(report.read_text()))


def keep(frames: Iterable[Planes], clip: Clip, film: Path) -> Run:
    """Encode frames as the product would, without sound."""
    with atomic_write(film) as temporary:
        master: Master | None = None
        for frame in frames:
            master = master or Master(temporary, size=frame.y.shape[::-1], rate=clip.span.rate, layout=None)
            master.add_frame(frame)
        if master is not None:
            master.close()
    return Run(film, {}, {})


def side_by_side(*films: Iterator[Planes]) -> Iterator[tuple[Planes, ...]]:
    """Yield the same frame of all films together."""
    yield from zip(*films, strict=True)
