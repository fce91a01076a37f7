"""One span of a video becomes one platform master: one decode, one encode, a frame stage in between.

Where nothing has to change the packets are taken over instead, and not a bit of the picture is lost.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from media.frames import FrameStage, Planes
from media.process.files import atomic_write
from media.process.memory import release_unused
from media.process.memory_profile import LIMITS, MemoryLimits, MemoryProfile
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
    """What was written, and what it cost."""

    frames: int
    duration_s: float
    size_bytes: int
    width: int
    height: int
    sha256: str
    frames_held: int  # pictures shown again because the source had none for that time
    picture: str  # "encoded", or "copied" bit for bit
    encoded_because: str | None  # `verbatim.Obstacle` when the picture was not copied
    sound: str | None  # "encoded", "copied", "unreadable" (see `Soundtrack.outcome`), or None
    landscape: (
        dict[str, str | None] | None
    )  # what was made of a landscape picture: "layout", and why not what was asked
    stages_s: dict[str, float]  # CPU seconds of this process: "decode", "stage", "encode", "sound"


def render(
    source: Path,
    target: Path,
    *,
    span: Span | None = None,
    stage: FrameStage | None = None,
    framed: FramingPlan | None = None,
    memory: MemoryProfile = MemoryProfile.FULL,
    watch: Callable[[Planes], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Rendered:
    """Write the span of the source as a platform master under the target's name, whole or not at all.

    Args:
        source: the upload, as it came.
        target: an MP4 file; written beside it under a temporary name, synced, renamed.
        span: which part; None for the whole video.
        stage: changes frames on their way; None leaves them alone.
        framed: how finished frames become those that are encoded; None keeps their shape.
        memory: how much memory encoding may use; stream copies are not affected.
        watch: shown every finished frame, in order, just before it is encoded; must not change it.
        on_progress: told the share of frames done, 0 to 1.

    Raises:
        Refused: the source cannot be played.
        MemoryError: libav could not allocate.
    """
    part = span or inspect(source).timeline.grid()
    obstacle = Obstacle.CHANGED if stage or framed else stream_copy.obstacle(source, part)
    release_unused()  # PyAV's files and streams refer to each other, so decoders of the inspection are still in memory
    with atomic_write(target) as temporary:
        work: _Work | _Copy = _Copy(source, temporary, part)
        if obstacle is not None:
            framing = framed.apply if framed else _as_it_is
            work = _Work(
                source, temporary, part, stage or _Unchanged(), framing, Soundtrack(source, part), LIMITS[memory]
            )
        work.run(watch or _unwatched, on_progress or _silent)
        return Rendered(
            frames=part.frames,
            duration_s=part.duration_s,
            size_bytes=temporary.stat().st_size,
            width=work.size[0],
            height=work.size[1],
            sha256=_sha256(temporary),
            frames_held=work.reel.held,
            picture="copied" if obstacle is None else "encoded",
            encoded_because=obstacle,
            sound=work.sound,
            landscape=framed.to_json() if framed else None,
            stages_s={name: round(seconds, 3) for name, seconds in work.clock.spent.items()},
        )


class _Unchanged:
    """The stage that leaves every frame as it is."""

    def push(self, frame: Planes) -> list[Planes]:
        return [frame]

    def drain(self) -> list[Planes]:
        return []


@dataclass
class _Clock:
    """Adds up this process's CPU time by stage; encoder threads count for whatever runs beside them."""

    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("decode", "stage", "encode", "sound"), 0.0))
    _since: float = field(default_factory=time.process_time)

    def add(self, name: str) -> None:
        now = time.process_time()
        self.spent[name] += now - self._since
        self._since = now


class _Copy:
    """One part being taken over as it is."""

    def __init__(self, source: Path, target: Path, span: Span) -> None:
        self.clock = _Clock()
        self.reel = FrameReader(source, span)
        self.size = (0, 0)
        self.sound: str | None = None
        self._source = source
        self._target = target
        self._span = span

    def run(self, watch: Callable[[Planes], None], on_progress: Callable[[float], None]) -> None:
        self.sound = stream_copy.copy(self._source, self._target, self._span)
        self.clock.add("encode")
        for planes in self.reel:  # whoever watches wants to see pictures; and what cannot be decoded is not published
            self.size = (planes.y.shape[1], planes.y.shape[0])
            watch(planes)
            self.clock.add("decode")
            on_progress((planes.index + 1) / self._span.frames)


class _Work:
    """One render under way."""

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
        self.clock = _Clock()
        self._limits = limits
        self.reel = FrameReader(source, span, limits)
        self.size = (0, 0)
        self._target = target
        self._span = span
        self._stage = stage
        self._framing = framing
        self._soundtrack = soundtrack
        self._sound: Iterator[Block] = iter(self._soundtrack)
        self._master: Master | None = None
        self._shown = 0
        self._watch: Callable[[Planes], None] = _unwatched
        self._on_progress: Callable[[float], None] = _silent

    @property
    def sound(self) -> str | None:
        return self._soundtrack.outcome

    def run(self, watch: Callable[[Planes], None], on_progress: Callable[[float], None]) -> None:
        self._watch, self._on_progress = watch, on_progress
        try:
            for planes in self.reel:
                self.clock.add("decode")
                finished = self._stage.push(planes)
                self.clock.add("stage")
                self._write(finished)
            self._write(self._stage.drain())
            self._complete()
        except BaseException:
            if self._master is not None:
                self._master.abandon()
            raise

    def _write(self, finished: list[Planes]) -> None:
        for whole_picture in finished:
            planes = self._framing(whole_picture)
            self.clock.add("stage")
            if self._master is None:
                self.size = (planes.y.shape[1], planes.y.shape[0])
                self._master = Master(
                    self._target,
                    size=self.size,
                    rate=self._span.rate,
                    layout=self._soundtrack.layout,
                    limits=self._limits,
                )
            self._watch(planes)
            self._master.show(planes)
            self.clock.add("encode")
            self._shown += 1
            # In step with the pictures, so that the muxer never has to hold more than a moment of either.
            self._sound_until(self._master, float(self._shown / self._span.rate))
            self._on_progress(self._shown / self._span.frames)

    def _sound_until(self, master: Master, seconds: float) -> None:
        while master.sound_s < seconds and (block := next(self._sound, None)) is not None:
            master.sound(block)
        self.clock.add("sound")

    def _complete(self) -> None:
        assert self._master is not None
        assert self._shown == self._span.frames, "a stage keeps the number of frames"
        self._sound_until(self._master, self._span.duration_s + 1)
        self._master.close()
        self.clock.add("encode")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_it_is(planes: Planes) -> Planes:
    return planes


def _unwatched(planes: Planes) -> None:
    """Let a frame pass that nobody wants to see."""


def _silent(share: float) -> None:
    """Take progress that nobody wants to hear of."""
