"""Renders one span of an upload as one platform master: one decode, an optional frame stage, one encode.

A span in which no picture has to change is stream-copied instead.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from media.frames import FrameStage, Planes
from media.process.files import atomic_write
from media.process.memory import left_bytes, release_unused
from media.process.memory_profile import LIMITS, MemoryLimits, MemoryProfile, MemoryStep, fitted
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.reading.soundtrack import Soundtrack
from media.reading.spans import Span
from media.reframing.framing import Framing, FramingPlan
from media.sound.audio_filter import Block
from media.writing import stream_copy
from media.writing.encode import Master
from media.writing.stream_copy import Obstacle


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of a render, and its cost."""

    frames: int
    duration_s: float
    size_bytes: int
    width: int
    height: int
    sha256: str
    frames_held: int  # ticks that repeat the previous picture because the source has none for them
    picture: str  # "encoded", or "copied" bit for bit
    encoded_because: str | None  # the `Obstacle` if the picture was not copied
    sound: str | None  # "encoded", "copied", "unreadable" (see `Soundtrack.outcome`), or None
    memory_steps: list[MemoryStep]  # by which the encoder took less memory
    landscape: dict[str, str | None] | None  # `FramingPlan.to_json()` of a reframed landscape picture
    stages_s: dict[str, float]  # CPU seconds of this process: "decode", "stage", "encode", "sound"


def render(
    source: Path,
    target: Path,
    *,
    span: Span | None = None,
    stage: FrameStage | None = None,
    framed: FramingPlan | None = None,
    memory: MemoryProfile = MemoryProfile.FULL,
    on_frame: Callable[[Planes], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Rendered:
    """Write a span of the source as a platform master; the target exists only when it is complete.

    Args:
        source: the upload.
        target: an MP4 file; written beside it under a temporary name, synced, renamed.
        span: the part; None for the whole video.
        stage: changes frames before they are encoded; None changes none.
        framed: the framing of the stage's frames; None keeps their shape.
        memory: limits of decoding and encoding; stream copies are not affected.
        on_frame: called with every finished frame, in order, just before it is encoded; must not change it.
        on_progress: called with the share of frames done, 0 to 1.

    Raises:
        Refused: the source cannot be played.
        MemoryError: libav could not allocate.
    """
    part = span or inspect(source).timeline.grid()
    obstacle = Obstacle.CHANGED if stage or framed else stream_copy.obstacle(source, part)
    release_unused()  # PyAV's files and streams refer to each other, so decoders of the inspection are still in memory
    with atomic_write(target) as temporary:
        work: _Encoding | _StreamCopy = _StreamCopy(source, temporary, part)
        if obstacle is not None:
            framing = framed.apply if framed else _unframed
            work = _Encoding(
                source, temporary, part, stage or _NoStage(), framing, Soundtrack(source, part), LIMITS[memory]
            )
        work.run(on_frame or _ignore_frame, on_progress or _ignore_progress)
        return Rendered(
            frames=part.frames,
            duration_s=part.duration_s,
            size_bytes=temporary.stat().st_size,
            width=work.size[0],
            height=work.size[1],
            sha256=_sha256(temporary),
            frames_held=work.reader.held,
            picture="copied" if obstacle is None else "encoded",
            encoded_because=obstacle,
            sound=work.sound,
            memory_steps=work.memory_steps,
            landscape=framed.to_json() if framed else None,
            stages_s={name: round(seconds, 3) for name, seconds in work.clock.spent.items()},
        )


class _NoStage:
    """A frame stage that changes nothing."""

    def push(self, frame: Planes) -> list[Planes]:
        return [frame]

    def drain(self) -> list[Planes]:
        return []


@dataclass
class _CpuClock:
    """Adds up this process's CPU time by step; encoder threads count for the step that runs beside them."""

    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("decode", "stage", "encode", "sound"), 0.0))
    _since: float = field(default_factory=time.process_time)

    def add(self, name: str) -> None:
        now = time.process_time()
        self.spent[name] += now - self._since
        self._since = now


class _StreamCopy:
    """A stream copy of one span."""

    def __init__(self, source: Path, target: Path, span: Span) -> None:
        self.clock = _CpuClock()
        self.reader = FrameReader(source, span)
        self.size = (0, 0)
        self.memory_steps: list[MemoryStep] = []
        self.sound: str | None = None
        self._source = source
        self._target = target
        self._span = span

    def run(self, on_frame: Callable[[Planes], None], on_progress: Callable[[float], None]) -> None:
        self.sound = stream_copy.copy(self._source, self._target, self._span)
        self.clock.add("encode")
        # The frames are decoded for `on_frame`, and because a span that cannot be decoded must not be published.
        for planes in self.reader:
            self.size = (planes.y.shape[1], planes.y.shape[0])
            on_frame(planes)
            self.clock.add("decode")
            on_progress((planes.index + 1) / self._span.frames)


class _Encoding:
    """A render of one span that encodes its pictures."""

    def __init__(
        self,
        source: Path,
        target: Path,
        span: Span,
        stage: FrameStage,
        framing: Framing,
        soundtrack: Soundtrack,
        limits: MemoryLimits,
    ) -> None:
        self.clock = _CpuClock()
        self._limits = limits
        self.reader = FrameReader(source, span, limits)
        self.size = (0, 0)
        self.memory_steps: list[MemoryStep] = []
        self._target = target
        self._span = span
        self._stage = stage
        self._framing = framing
        self._soundtrack = soundtrack
        self._blocks: Iterator[Block] = iter(self._soundtrack)
        self._master: Master | None = None
        self._written = 0  # frames
        self._on_frame: Callable[[Planes], None] = _ignore_frame
        self._on_progress: Callable[[float], None] = _ignore_progress

    @property
    def sound(self) -> str | None:
        return self._soundtrack.outcome

    def run(self, on_frame: Callable[[Planes], None], on_progress: Callable[[float], None]) -> None:
        self._on_frame, self._on_progress = on_frame, on_progress
        try:
            for planes in self.reader:
                self.clock.add("decode")
                finished = self._stage.push(planes)
                self.clock.add("stage")
                self._write(finished)
            self._write(self._stage.drain())
            self._complete()
        except BaseException:
            if self._master is not None:
                self._master.discard()
            raise

    def _write(self, finished: list[Planes]) -> None:
        for frame in finished:
            planes = self._framing(frame)
            self.clock.add("stage")
            if self._master is None:
                self._master = self._open_master(planes)
            self._on_frame(planes)
            self._master.add_frame(planes)
            self.clock.add("encode")
            self._written += 1
            # Sound is written in step with the pictures, so that the muxer buffers only a moment of either.
            self._write_sound(self._master, float(self._written / self._span.rate))
            self._on_progress(self._written / self._span.frames)

    def _open_master(self, planes: Planes) -> Master:
        """Open the master with as much memory as is left now that the decoder and the stage have their own."""
        self.size = (planes.y.shape[1], planes.y.shape[0])
        limits, self.memory_steps = fitted(self._limits, planes.y.size, left_bytes())
        return Master(self._target, size=self.size, rate=self._span.rate, layout=self._soundtrack.layout, limits=limits)

    def _write_sound(self, master: Master, until_s: float) -> None:
        while master.sound_s < until_s and (block := next(self._blocks, None)) is not None:
            master.add_sound(block)
        self.clock.add("sound")

    def _complete(self) -> None:
        assert self._master is not None
        assert self._written == self._span.frames, "a stage keeps the number of frames"
        self._write_sound(self._master, self._span.duration_s + 1)
        self._master.close()
        self.clock.add("encode")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unframed(planes: Planes) -> Planes:
    return planes


def _ignore_frame(planes: Planes) -> None:
    pass


def _ignore_progress(share: float) -> None:
    pass
